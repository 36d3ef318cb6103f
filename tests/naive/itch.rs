//! ITCH 5.0, read field by field from the tables of its layouts. Integers are big-endian.

/// Bytes of a message of type `kind`; `None` for a type that is not one of the 23.
pub fn length(kind: u8) -> Option<usize> {
    Some(match kind {
        b'S' => 12,
        b'R' => 39,
        b'H' => 25,
        b'Y' => 20,
        b'L' => 26,
        b'V' => 35,
        b'W' => 12,
        b'K' => 28,
        b'J' => 35,
        b'h' => 21,
        b'A' => 36,
        b'F' => 40,
        b'E' => 31,
        b'C' => 36,
        b'X' => 23,
        b'D' => 19,
        b'U' => 35,
        b'P' => 44,
        b'Q' => 40,
        b'B' => 19,
        b'I' => 50,
        b'N' => 20,
        b'O' => 48,
        _ => return None,
    })
}

/// All types.
pub const KINDS: &[u8; 23] = b"SRHYLVWKJhAFECXDUPQBINO";

/// Why a message is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// "A message whose length is not its type's".
    Malformed,
    /// "or of an unknown type".
    UnknownType,
}

/// "A message whose length is not its type's (`malformed`), or of an unknown type (`unknown_types`)". Empty is
/// malformed: "A MoldUDP64 block of length zero is `malformed`".
pub fn check(bytes: &[u8]) -> Result<Message<'_>, Skipped> {
    let Some(&kind) = bytes.first() else { return Err(Skipped::Malformed) };
    match length(kind) {
        None => Err(Skipped::UnknownType),
        Some(n) if n != bytes.len() => Err(Skipped::Malformed),
        Some(_) => Ok(Message(bytes)),
    }
}

/// A well-formed message.
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a [u8]);

impl Message<'_> {
    pub fn kind(&self) -> u8 {
        self.0[0]
    }

    pub fn locate(&self) -> u16 {
        self.int(1, 2) as u16
    }

    /// Nanoseconds since midnight.
    pub fn ts(&self) -> u64 {
        self.int(5, 6)
    }

    pub fn byte(&self, offset: usize) -> u8 {
        self.0[offset]
    }

    pub fn int(&self, offset: usize, size: usize) -> u64 {
        self.0[offset..offset + size].iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    /// A price(4), in 1e-9.
    pub fn price(&self, offset: usize) -> i128 {
        i128::from(self.int(offset, 4)) * 100_000
    }

    /// A symbol with its padding.
    pub fn symbol(&self, offset: usize) -> [u8; 8] {
        self.0[offset..offset + 8].try_into().expect("eight bytes")
    }
}
