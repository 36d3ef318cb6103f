//! Reading and writing fixed layouts, field after field. The caller has checked the whole size before.

use super::{Encoded, RULE_SIZE};
use crate::model::{Comparison, Fire, NEVER, Nanos, OnSet, Signal};

/// Fields to read. Beyond the end everything is 0: sizes are checked before, so that nothing real ever is.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }

    pub fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.bytes())
    }

    /// An expiry: 0 is "never" on the wire, and so is the greatest value.
    pub fn expiry(&mut self) -> Nanos {
        match self.u64() {
            0 => NEVER,
            at => at,
        }
    }
}

/// Fields to write.
pub struct Writer(Encoded);

impl Writer {
    pub fn new(kind: u8, id: u64) -> Writer {
        Writer(Encoded { bytes: [0; RULE_SIZE], size: 0 }).u8(kind).u64(id)
    }

    pub fn bytes(mut self, field: &[u8]) -> Writer {
        let at = self.0.size;
        // Proof that it fits: every layout's size is a constant of at most RULE_SIZE, checked where `Encoded` is defined.
        self.0.bytes[at..at + field.len()].copy_from_slice(field);
        self.0.size = at + field.len();
        self
    }

    pub fn u8(self, value: u8) -> Writer {
        self.bytes(&[value])
    }

    pub fn u32(self, value: u32) -> Writer {
        self.bytes(&value.to_be_bytes())
    }

    pub fn u64(self, value: u64) -> Writer {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i64(self, value: i64) -> Writer {
        self.bytes(&value.to_be_bytes())
    }

    pub fn expiry(self, at: Nanos) -> Writer {
        self.u64(if at == NEVER { 0 } else { at })
    }

    pub fn end(self) -> Encoded {
        self.0
    }
}

pub fn signal(byte: u8) -> Option<Signal> {
    Signal::ALL.get(usize::from(byte)).copied()
}

pub fn comparison(byte: u8) -> Option<Comparison> {
    Comparison::ALL.get(usize::from(byte)).copied()
}

pub fn fire(byte: u8) -> Option<Fire> {
    [Fire::Once, Fire::Repeat].get(usize::from(byte)).copied()
}

pub fn on_set(byte: u8) -> Option<OnSet> {
    [OnSet::Fire, OnSet::Wait, OnSet::Reject].get(usize::from(byte)).copied()
}
