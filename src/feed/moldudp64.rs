//! MoldUDP64 V 1.00: the packets of a multicast feed, their requests, and the walk over a packet's messages.
//!
//! ```text
//!  0                   10                18      20
//!  +--------------------+-----------------+-------+==================================+
//!  | session (10)       | sequence (8)    |count 2| length 2, message; length 2 ...  |
//!  +--------------------+-----------------+-------+==================================+
//! ```
//!
//! All numbers are big-endian. Source: Nasdaq, "MoldUDP64 Protocol Specification" V 1.00.

/// Size of the header, and of a whole heartbeat, end of session or request.
pub const HEADER_SIZE: usize = 20;
/// The count that says "end of session".
pub const END_OF_SESSION: u16 = 0xFFFF;

/// The first 20 bytes of a packet, or a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The session's id.
    pub session: [u8; 10],
    /// Number of the first message; in a heartbeat or end of session the next number expected; in a request the first wanted.
    pub sequence: u64,
    /// Messages that follow: 0 heartbeat, [`END_OF_SESSION`]; in a request how many are wanted.
    pub count: u16,
}

impl Header {
    /// Reads the header. `None`: shorter than 20 bytes, or a sequence that its messages would carry past 2^64.
    #[inline]
    pub fn read(packet: &[u8]) -> Option<Header> {
        let (header, _) = packet.split_first_chunk::<HEADER_SIZE>()?;
        let (session, rest) = header.split_first_chunk::<10>()?;
        let (sequence, count) = rest.split_first_chunk::<8>()?;
        let header = Header {
            session: *session,
            sequence: u64::from_be_bytes(*sequence),
            count: u16::from_be_bytes([count[0], count[1]]),
        };
        header.sequence.checked_add(u64::from(header.count))?;
        Some(header)
    }

    /// The header as bytes.
    pub fn bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..10].copy_from_slice(&self.session);
        bytes[10..18].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[18..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    /// Messages that a downstream packet with this header announces: 0 for a heartbeat and an end of session.
    #[inline]
    pub fn messages(&self) -> u16 {
        if self.count == END_OF_SESSION { 0 } else { self.count }
    }
}

/// The messages of a downstream packet, in order. Ends early, with [`Blocks::is_cut`], where a block runs over the
/// end of the packet; bytes behind the last block are left in [`Blocks::rest`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    rest: &'a [u8],
    left: u16,
    cut: bool,
}

impl<'a> Blocks<'a> {
    /// The blocks of `packet`, whose header is `header`.
    #[inline]
    pub fn new(header: &Header, packet: &'a [u8]) -> Blocks<'a> {
        Blocks { rest: packet.get(HEADER_SIZE..).unwrap_or(&[]), left: header.messages(), cut: false }
    }

    /// True once a block was found to run over the end of the packet: it and all later ones are lost.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Bytes not walked yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        let block = self
            .rest
            .split_first_chunk::<2>()
            .and_then(|(size, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*size))));
        match block {
            Some((message, rest)) => {
                self.left -= 1;
                self.rest = rest;
                Some(message)
            }
            None => {
                self.left = 0;
                self.cut = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of Nasdaq's feed of 2023-08-22, with one ITCH `D`.
    const REAL: [u8; 41] =
        *b"000010059B\0\0\0\0\0\xe1\x2f\x5a\0\x01\0\x13D\x0d\xbd\0\0\x1f\x1a\xce\xd8\x5a\xd8\0\0\0\0\x01\x66\x8b\xd6";

    #[test]
    fn reads_a_real_packet() {
        let header = Header::read(&REAL).unwrap();
        assert_eq!((&header.session, header.sequence, header.count), (b"000010059B", 14_757_722, 1));
        assert_eq!(header.bytes(), REAL[..20]);
        let mut blocks = Blocks::new(&header, &REAL);
        assert_eq!((blocks.next(), blocks.next()), (Some(&REAL[22..]), None));
        assert!(!blocks.is_cut() && blocks.rest().is_empty());
    }

    #[test]
    fn a_block_over_the_end_is_cut_and_nothing_is_read_beyond() {
        let header = Header::read(&REAL).unwrap();
        for size in HEADER_SIZE..REAL.len() {
            let mut blocks = Blocks::new(&header, &REAL[..size]);
            assert_eq!((blocks.next(), blocks.is_cut()), (None, true), "{size}");
        }
        assert_eq!(Header::read(&REAL[..19]), None);
    }

    #[test]
    fn heartbeats_and_ends_carry_no_messages_and_no_sequence_wraps() {
        for count in [0, END_OF_SESSION] {
            let header = Header { session: *b"S000000001", sequence: 9, count };
            assert_eq!(Blocks::new(&header, &header.bytes()).count(), 0);
        }
        let forged = Header { session: *b"S000000001", sequence: u64::MAX, count: 1 };
        assert_eq!(Header::read(&forged.bytes()), None);
    }
}
