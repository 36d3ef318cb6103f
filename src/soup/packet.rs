//! Packets: where one ends and the next begins, and the bytes of the ones that a server sends.
//!
//! ```text
//!  0       2      3
//!  +--------+------+=========================+
//!  | len 2  | type | payload, len - 1 bytes  |    len: big-endian, counts type and payload
//!  +--------+------+=========================+
//! ```

use super::login::{NUMBER_SIZE, SESSION_SIZE, SessionId, put_number};

/// Size of the length field.
pub const LENGTH_SIZE: usize = 2;
/// Size of length and type: what a packet has over its payload.
pub const HEADER_SIZE: usize = 3;
/// The longest payload that the length field can say.
pub const PAYLOAD_SIZE_MAX: usize = u16::MAX as usize - 1;
/// Size of a whole Login Accepted.
pub const ACCEPTED_SIZE: usize = HEADER_SIZE + SESSION_SIZE + NUMBER_SIZE;

/// Types of packets.
pub mod kind {
    /// Free text for people, either way; to be ignored.
    pub const DEBUG: u8 = b'+';
    /// Login Accepted, from the server.
    pub const ACCEPTED: u8 = b'A';
    /// Login Rejected, from the server.
    pub const REJECTED: u8 = b'J';
    /// Sequenced Data, from the server.
    pub const SEQUENCED: u8 = b'S';
    /// Server Heartbeat.
    pub const SERVER_HEARTBEAT: u8 = b'H';
    /// End of Session, from the server.
    pub const END_OF_SESSION: u8 = b'Z';
    /// Login Request, from the client.
    pub const LOGIN: u8 = b'L';
    /// Unsequenced Data, from the client.
    pub const UNSEQUENCED: u8 = b'U';
    /// Client Heartbeat.
    pub const CLIENT_HEARTBEAT: u8 = b'R';
    /// Logout Request, from the client.
    pub const LOGOUT: u8 = b'O';
}

/// A whole Server Heartbeat.
pub const SERVER_HEARTBEAT: [u8; HEADER_SIZE] = header(kind::SERVER_HEARTBEAT, 0);
/// A whole Client Heartbeat.
pub const CLIENT_HEARTBEAT: [u8; HEADER_SIZE] = header(kind::CLIENT_HEARTBEAT, 0);
/// A whole End of Session.
pub const END_OF_SESSION: [u8; HEADER_SIZE] = header(kind::END_OF_SESSION, 0);
/// A whole Logout Request.
pub const LOGOUT: [u8; HEADER_SIZE] = header(kind::LOGOUT, 0);

/// Why bytes are no packet. Nothing behind it can be read: the connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length of 0: not even a type.
    #[error("a packet of length 0")]
    Empty,
    /// A length beyond what is allowed here.
    #[error("a packet longer than allowed")]
    TooLong,
}

/// Why a login was refused: the payload of Login Rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Reject {
    /// User or password is wrong.
    #[error("not authorized")]
    NotAuthorized = b'A',
    /// The session or sequence number asked for is not to be had.
    #[error("session not available")]
    SessionNotAvailable = b'S',
}

/// A packet's type and payload, in the buffer that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// See [`kind`]; not checked.
    pub kind: u8,
    /// What follows the type.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The first packet of `bytes`; `None` when more bytes are needed. Its whole size is
    /// [`HEADER_SIZE`] plus that of the payload, which may be at most `payload_size_max`.
    ///
    /// # Errors
    /// As soon as the length field is there and is 0 or says more than allowed.
    #[inline]
    pub fn first(bytes: &'a [u8], payload_size_max: usize) -> Result<Option<Packet<'a>>, FrameError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length - 1 > payload_size_max {
            return Err(FrameError::TooLong);
        }
        let packet = rest.get(..length).and_then(|body| body.split_first());
        Ok(packet.map(|(&kind, payload)| Packet { kind, payload }))
    }

    /// Bytes that it takes on the wire.
    #[inline]
    pub const fn size(&self) -> usize {
        HEADER_SIZE + self.payload.len()
    }
}

/// Length and type of a packet with a payload of this size.
///
/// # Panics
/// When the payload is longer than [`PAYLOAD_SIZE_MAX`]: no caller has one, all payloads are bounded by `limits`.
#[inline]
pub const fn header(kind: u8, payload_size: usize) -> [u8; HEADER_SIZE] {
    assert!(payload_size <= PAYLOAD_SIZE_MAX, "a payload that no length field can say");
    let [high, low] = (payload_size as u16 + 1).to_be_bytes();
    [high, low, kind]
}

/// A whole Login Accepted: the session, and the number of the next Sequenced Data packet.
pub fn accepted(session: &SessionId, next: u64) -> [u8; ACCEPTED_SIZE] {
    let mut packet = [b' '; ACCEPTED_SIZE];
    packet[..HEADER_SIZE].copy_from_slice(&header(kind::ACCEPTED, ACCEPTED_SIZE - HEADER_SIZE));
    packet[HEADER_SIZE..HEADER_SIZE + SESSION_SIZE].copy_from_slice(session.bytes());
    put_number(&mut packet[HEADER_SIZE + SESSION_SIZE..], next);
    packet
}

/// A whole Login Rejected.
pub const fn rejected(reason: Reject) -> [u8; HEADER_SIZE + 1] {
    let [high, low, kind] = header(kind::REJECTED, 1);
    [high, low, kind, reason as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_of_the_specification() {
        assert_eq!(SERVER_HEARTBEAT, [0, 1, 0x48]);
        assert_eq!(END_OF_SESSION, [0, 1, 0x5a]);
        assert_eq!(CLIENT_HEARTBEAT, [0, 1, 0x52]);
        assert_eq!(LOGOUT, [0, 1, 0x4f]);
        assert_eq!(rejected(Reject::NotAuthorized), [0, 2, 0x4a, 0x41]);
        assert_eq!(&accepted(&SessionId(*b"0000000001"), 1), b"\0\x1fA0000000001                   1");
    }

    #[test]
    fn a_packet_is_there_when_its_last_byte_is() {
        let bytes = [0, 3, b'S', b'h', b'i', 0, 1];
        for size in 0..5 {
            assert_eq!(Packet::first(&bytes[..size], 10), Ok(None), "{size}");
        }
        let packet = Packet { kind: b'S', payload: b"hi" };
        assert_eq!((Packet::first(&bytes, 2), packet.size()), (Ok(Some(packet)), 5));
        assert_eq!(Packet::first(&[0, 1, b'H'], 0), Ok(Some(Packet { kind: b'H', payload: b"" })));
    }

    #[test]
    fn a_bad_length_is_seen_before_the_rest_comes() {
        assert_eq!(Packet::first(&[0, 0], 10), Err(FrameError::Empty));
        assert_eq!(Packet::first(&[0, 12], 10), Err(FrameError::TooLong));
        assert_eq!(Packet::first(&[0, 11], 10), Ok(None));
        assert_eq!(Packet::first(&[255, 255], PAYLOAD_SIZE_MAX), Ok(None));
    }
}
