//! The kernel's own stamps (`SO_TIMESTAMPING`, made in software), and how its clock lies to this program's.
//!
//! A datagram is stamped when it leaves (loopback: when it is handed to the receiving side), received bytes when the kernel takes
//! them in. Stamps are of `CLOCK_REALTIME`. On a TCP stream a read is told the stamp of the last bytes that it returns.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd;
use std::time::{Instant, SystemTime};

/// Bytes for control messages: a stamp (three `timespec`) and, on the error queue, a `sock_extended_err` with an address.
const CONTROL_SIZE: usize = 256;
/// Tries to read two clocks at the same moment.
const TRIES: usize = 32;

/// What the kernel is to stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing.
    None,
    /// What leaves: read with [`sent`].
    Sent,
    /// What comes: read with [`receive`].
    Received,
}

/// Has the kernel stamp this socket's traffic; what comes, some milliseconds later only.
///
/// # Errors
/// The system's.
pub fn enable(socket: &impl AsRawFd, side: Side) -> io::Result<()> {
    let tell = libc::SOF_TIMESTAMPING_SOFTWARE;
    let flags: libc::c_uint = match side {
        Side::None => 0,
        Side::Sent => tell | libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_OPT_TSONLY,
        Side::Received => tell | libc::SOF_TIMESTAMPING_RX_SOFTWARE,
    };
    let size = size_of::<libc::c_uint>() as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes of `flags`, which is as large and lives during the call.
    let result = unsafe {
        let value = std::ptr::from_ref(&flags).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, value, size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// When the last datagram left, in ns since 1970, if the kernel has said so since the last call.
pub fn sent(socket: &impl AsRawFd) -> Option<u64> {
    let mut newest = None;
    while let Ok((_, stamp)) = message(socket, &mut [], libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) {
        newest = stamp.or(newest);
    }
    newest
}

/// Reads without waiting: bytes, and when the kernel took them in, in ns since 1970.
///
/// # Errors
/// The system's; `WouldBlock` when there is nothing.
#[inline]
pub fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
    message(socket, buffer, libc::MSG_DONTWAIT)
}

fn message(socket: &impl AsRawFd, buffer: &mut [u8], flags: libc::c_int) -> io::Result<(usize, Option<u64>)> {
    // As control messages are aligned.
    let mut control = [0u64; CONTROL_SIZE / 8];
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `msghdr` is plain C data, integers and pointers, for all of which zero is a valid value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut vector, 1);
    (header.msg_control, header.msg_controllen) = (control.as_mut_ptr().cast(), CONTROL_SIZE as _);
    // SAFETY: the kernel writes at most the lengths given to `buffer` and `control`, both borrowed mutably and live during
    // the call; the header and its vector live on this stack.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok((count, stamp_of(&header)))
}

/// The stamp among the control messages of a header that `recvmsg` has filled.
fn stamp_of(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: `header` was filled by `recvmsg`, so its control buffer holds whole control messages up to `msg_controllen`,
    // within which the macros stay. The data of a SCM_TIMESTAMPING is three `timespec`; it is read without need of alignment.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = at.as_ref() {
            if message.cmsg_level == libc::SOL_SOCKET && message.cmsg_type == libc::SCM_TIMESTAMPING {
                let stamp: libc::timespec = libc::CMSG_DATA(at).cast::<libc::timespec>().read_unaligned();
                let ns = (stamp.tv_sec as u64) * 1_000_000_000 + stamp.tv_nsec as u64;
                return (ns > 0).then_some(ns);
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

/// UTC ns since 1970 at a moment of the monotonic clock, as the wall clock stands to it now.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    base: Instant,
    utc: i128,
}

impl Wall {
    /// As they stand now.
    pub fn now() -> Wall {
        let mut best = (u128::MAX, Instant::now(), 0);
        for _ in 0..TRIES {
            let before = Instant::now();
            let utc = SystemTime::now();
            let apart = before.elapsed();
            let utc = utc.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
            if apart.as_nanos() < best.0 {
                best = (apart.as_nanos(), before + apart / 2, utc);
            }
        }
        Wall { base: best.1, utc: best.2 }
    }

    /// ns from `start`, which may lie ahead, to a moment of the wall clock.
    pub fn since(&self, start: Instant, utc: u64) -> i64 {
        let from_base = i128::from(utc) - self.utc;
        let start = match start.checked_duration_since(self.base) {
            Some(ahead) => ahead.as_nanos() as i128,
            None => -(self.base.duration_since(start).as_nanos() as i128),
        };
        (from_base - start) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_datagram_is_stamped_at_both_ends_between_its_send_and_its_read() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        enable(&from, Side::Sent).unwrap();
        enable(&to, Side::Received).unwrap();
        let (start, wall) = (Instant::now(), Wall::now());
        let mut buffer = [0; 16];
        // The kernel begins to stamp what comes some time after it was asked.
        let (before, left, came) = loop {
            let before = start.elapsed().as_nanos() as i64;
            from.send_to(b"hello", to.local_addr().unwrap()).unwrap();
            let left = sent(&from).expect("a stamp of what left");
            let (size, came) = receive(&to, &mut buffer).unwrap();
            assert_eq!(&buffer[..size], b"hello");
            if let Some(came) = came {
                break (before, wall.since(start, left), wall.since(start, came));
            }
        };
        let after = start.elapsed().as_nanos() as i64;
        // The wall clock may be slewed meanwhile, by far less than this.
        let slack = 1_000_000;
        assert!(
            before - slack <= left && left <= came + slack && came <= after + slack,
            "{before} {left} {came} {after}"
        );
    }
}
