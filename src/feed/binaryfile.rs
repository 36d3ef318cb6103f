//! BinaryFILE 1.00: messages one behind the other, each with its length.
//!
//! ```text
//!  +--------+=========+--------+=========+ ... +-------+
//!  | size 2 | message | size 2 | message |     | 00 00 |
//!  +--------+=========+--------+=========+ ... +-------+
//! ```
//!
//! Sizes are big-endian and do not count themselves; size 0 ends the session. There is no header: a message's number is
//! its place, from 1. Many files have no end marker. Source: Nasdaq, BinaryFILE 1.00.

use std::io::{self, Write};

/// The end-of-session marker.
pub const END_OF_SESSION: [u8; 2] = [0, 0];

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message; it took two bytes more than it is long.
    Message(&'a [u8]),
    /// The marker.
    EndOfSession,
    /// Nothing, or the beginning of a frame that is not whole.
    Cut,
}

/// Reads the frame at the beginning of `bytes`.
#[inline]
pub fn frame(bytes: &[u8]) -> Frame<'_> {
    let Some((size, rest)) = bytes.split_first_chunk::<2>() else { return Frame::Cut };
    match usize::from(u16::from_be_bytes(*size)) {
        0 => Frame::EndOfSession,
        size => rest.get(..size).map_or(Frame::Cut, Frame::Message),
    }
}

/// Writes one message with its length. An empty message would be read as the end of the session, and one of more than
/// 65,535 bytes has no length: both are refused with `InvalidInput`.
pub fn write(out: &mut impl Write, message: &[u8]) -> io::Result<()> {
    match u16::try_from(message.len()) {
        Ok(size) if size > 0 => {
            out.write_all(&size.to_be_bytes())?;
            out.write_all(message)
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let messages: [&[u8]; 4] = [b"foo", b"bar", b"baz", b"quux"];
        let mut file = Vec::new();
        for message in messages {
            write(&mut file, message).unwrap();
        }
        file.extend(END_OF_SESSION);
        assert_eq!(file, b"\0\x03foo\0\x03bar\0\x03baz\0\x04quux\0\0");

        let mut rest = &file[..];
        for message in messages {
            assert_eq!(frame(rest), Frame::Message(message));
            assert_eq!(frame(&rest[..1 + message.len()]), Frame::Cut);
            rest = &rest[2 + message.len()..];
        }
        assert_eq!((frame(rest), frame(&rest[..1]), frame(&[])), (Frame::EndOfSession, Frame::Cut, Frame::Cut));
    }

    #[test]
    fn refuses_what_has_no_length() {
        for size in [0, 65_536] {
            let refused = write(&mut Vec::new(), &vec![b'S'; size]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        write(&mut Vec::new(), &[b'S'; 65_535]).unwrap();
    }
}
