//! Buffers of fixed size, one for each way of a connection: allocated when it is accepted, and anew at its login.

use super::packet::header;

/// Bytes with a front that is taken and an end that is added to; what is left moves to the start when room is short.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    front: usize,
    end: usize,
}

impl Buffer {
    /// An empty one of `size` bytes.
    pub fn new(size: usize) -> Buffer {
        Buffer { bytes: vec![0; size].into(), front: 0, end: 0 }
    }

    /// Makes it as large as this, if it is smaller. For the few moments when that is known; nothing grows by itself.
    pub fn grow(&mut self, size: usize) {
        if size > self.bytes.len() {
            let mut larger = Buffer::new(size);
            larger.bytes[..self.filled().len()].copy_from_slice(self.filled());
            larger.end = self.filled().len();
            *self = larger;
        }
    }

    /// What is in it.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.front..self.end]
    }

    /// True when nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.front == self.end
    }

    /// Room at the end, all that there is; empty only when the buffer is full.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        if self.front > 0 {
            self.bytes.copy_within(self.front..self.end, 0);
            self.end -= self.front;
            self.front = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Says that the first `count` bytes of [`Self::space`] hold something now.
    #[inline]
    pub fn fill(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Drops the first `count` bytes of [`Self::filled`].
    #[inline]
    pub fn take(&mut self, count: usize) {
        self.front = (self.front + count).min(self.end);
        if self.front == self.end {
            (self.front, self.end) = (0, 0);
        }
    }

    /// Takes the first `size` bytes and gives them out, without the first `skip` of them.
    #[inline]
    pub fn take_front(&mut self, size: usize, skip: usize) -> &[u8] {
        let front = self.front;
        self.take(size);
        &self.bytes[front + skip..front + size]
    }

    /// Room that is left.
    #[inline]
    pub fn free(&self) -> usize {
        self.bytes.len() - self.filled().len()
    }

    /// Adds these bytes; false, and nothing done, when they do not fit.
    #[inline]
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.push_parts([bytes])
    }

    /// Adds a packet; false, and nothing done, when it does not fit.
    #[inline]
    #[must_use]
    pub fn push_packet(&mut self, kind: u8, payload: &[u8]) -> bool {
        self.push_parts([&header(kind, payload.len()), payload])
    }

    #[inline]
    fn push_parts<const N: usize>(&mut self, parts: [&[u8]; N]) -> bool {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if self.free() < size {
            return false;
        }
        if self.bytes.len() - self.end < size {
            let _ = self.space();
        }
        for part in parts {
            self.bytes[self.end..self.end + part.len()].copy_from_slice(part);
            self.end += part.len();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_whatever_the_pieces() {
        let mut buffer = Buffer::new(7);
        let (mut sent, mut seen, mut next) = (Vec::<u8>::new(), Vec::<u8>::new(), 0u8);
        for round in 0..200usize {
            let piece: Vec<u8> = (0..round % 5).map(|i| next.wrapping_add(i as u8)).collect();
            if buffer.push(&piece) {
                next = next.wrapping_add(piece.len() as u8);
                sent.extend(&piece);
            } else {
                assert!(buffer.free() < piece.len());
            }
            let count = (round % 4).min(buffer.filled().len());
            seen.extend(&buffer.filled()[..count]);
            buffer.take(count);
        }
        seen.extend(buffer.filled());
        assert_eq!(seen, sent);
        assert!(sent.len() > 200);
    }

    #[test]
    fn a_larger_one_has_the_same_bytes() {
        let mut buffer = Buffer::new(8);
        assert!(buffer.push(b"abcdefgh"));
        buffer.take(3);
        buffer.grow(4);
        assert_eq!((buffer.filled(), buffer.free()), (&b"defgh"[..], 3));
        buffer.grow(20);
        assert_eq!((buffer.filled(), buffer.free()), (&b"defgh"[..], 15));
    }

    #[test]
    fn a_packet_goes_in_whole_or_not_at_all() {
        let mut buffer = Buffer::new(8);
        assert!(buffer.push_packet(b'S', b"hi"));
        assert!(!buffer.push_packet(b'H', b"x"));
        assert!(buffer.push_packet(b'H', b""));
        assert_eq!(buffer.filled(), b"\0\x03Shi\0\x01H");
        assert!(buffer.space().is_empty());
        buffer.take(8);
        assert!(buffer.is_empty() && buffer.space().len() == 8);
    }
}
