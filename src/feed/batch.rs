//! Datagrams read together, in one system call, and taken one by one.
//!
//! For a socket that has more than one datagram. For a single one `recvmmsg` is slower than `recv`, since it looks for the
//! next before it returns the first: a print's alert came 0.6 us later by it.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use crate::limits::{DATAGRAM_SIZE_MAX, DATAGRAMS_PER_CYCLE};

/// Bytes from one datagram's place to the next. Not a power of two: all heads would share a set of the cache.
const STRIDE: usize = (DATAGRAM_SIZE_MAX + 1) + 3 * 64;
const PAGE_SIZE: usize = 4_096;

/// Room for a batch, and what is left of the last one.
pub(super) struct Batch {
    buffer: Box<[u8]>,
    sizes: [u32; DATAGRAMS_PER_CYCLE],
    /// Datagrams of the batch that were taken,
    next: usize,
    /// and that were read.
    count: usize,
}

impl Batch {
    pub(super) fn new() -> Batch {
        let mut buffer = vec![0; DATAGRAMS_PER_CYCLE * STRIDE].into_boxed_slice();
        // Touched now: a first write to a page costs a fault.
        buffer.iter_mut().step_by(PAGE_SIZE).for_each(|byte| *std::hint::black_box(byte) = 0);
        Batch { buffer, sizes: [0; DATAGRAMS_PER_CYCLE], next: 0, count: 0 }
    }

    /// True when all are taken.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.count
    }

    /// The first that is left.
    #[inline]
    pub(super) fn first(&self) -> Option<&[u8]> {
        let start = self.next * STRIDE;
        (!self.is_empty()).then(|| &self.buffer[start..start + self.sizes[self.next] as usize])
    }

    /// Takes the first.
    #[inline]
    pub(super) fn take(&mut self) {
        self.next += usize::from(!self.is_empty());
    }

    /// Puts in a single datagram, which `receive` writes and says the size of. What was left is gone.
    pub(super) fn fill_one<T>(&mut self, receive: impl FnOnce(&mut [u8]) -> io::Result<(usize, T)>) -> io::Result<T> {
        (self.next, self.count) = (0, 0);
        let (size, from) = receive(&mut self.buffer[..DATAGRAM_SIZE_MAX])?;
        (self.sizes[0], self.count) = (size.min(DATAGRAM_SIZE_MAX) as u32, 1);
        Ok(from)
    }

    /// Reads what the socket has, at most a batch, without waiting. Returns how many. What was left is gone.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when there is nothing.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        (self.next, self.count) = (0, 0);
        let places = self.buffer.chunks_exact_mut(STRIDE);
        let count = receive_all(socket, places, &mut self.sizes)?;
        self.count = count;
        Ok(count)
    }
}

#[allow(unsafe_code)]
fn receive_all<'a>(
    socket: &UdpSocket,
    places: impl Iterator<Item = &'a mut [u8]>,
    sizes: &mut [u32; DATAGRAMS_PER_CYCLE],
) -> io::Result<usize> {
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; DATAGRAMS_PER_CYCLE];
    for (vector, place) in vectors.iter_mut().zip(places) {
        *vector = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: DATAGRAM_SIZE_MAX.min(place.len()) };
    }
    let mut headers = vectors.each_mut().map(|vector| {
        // SAFETY: `mmsghdr` is plain C data, integers and pointers, for all of which zero is a valid value.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (vector, 1);
        header
    });
    // SAFETY: the kernel writes to `headers` (as many as we say there are) and to the memory of each vector, at most
    // its length. Headers and vectors live on this stack beyond the call; each vector's memory is a place of its own within the
    // caller's buffer, borrowed mutably for the call (chunks do not overlap) and not shorter than the length given. A
    // vector without a place has length 0. Names, control data and timeout are null: the kernel writes none.
    let count = unsafe {
        let (descriptor, size) = (socket.as_raw_fd(), headers.len() as libc::c_uint);
        libc::recvmmsg(descriptor, headers.as_mut_ptr(), size, libc::MSG_DONTWAIT as _, std::ptr::null_mut())
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for (size, header) in sizes.iter_mut().zip(&headers[..count]) {
        *size = header.msg_len;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_what_was_sent_in_order_and_no_more_than_fits() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&socket).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!((batch.is_empty(), batch.first()), (true, None));
        let longest = vec![7; 65_507];
        for number in 0..DATAGRAMS_PER_CYCLE as u8 + 3 {
            let text = if number == 1 { &longest[..] } else { &[number; 5][..usize::from(number % 6).min(5)] };
            sender.send_to(text, socket.local_addr().unwrap()).unwrap();
        }
        let mut number = 0;
        for expected in [DATAGRAMS_PER_CYCLE, 3] {
            assert_eq!(batch.receive(&socket).unwrap(), expected);
            while let Some(datagram) = batch.first() {
                let text = if number == 1 { &longest[..] } else { &[number; 5][..usize::from(number % 6).min(5)] };
                assert_eq!(datagram, text);
                batch.take();
                number += 1;
            }
        }
        assert_eq!(usize::from(number), DATAGRAMS_PER_CYCLE + 3);
        batch.take();
        assert!(batch.receive(&socket).is_err() && batch.is_empty());
    }
}
