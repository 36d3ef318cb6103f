//! Unpacks gzip of any number of members, and keeps what came before damage.
//!
//! The `Read` adapters of `flate2` discard what they unpacked in the call that meets an error. Here the inflater is driven
//! directly, so that every byte before the damage is handed out and the damage's place is exact.

use flate2::{Decompress, FlushDecompress, Status};

/// What every member begins with.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How packed bytes ended before they should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipDamage {
    /// Inside a member.
    #[error("the gzip stream ends early")]
    Cut,
    /// A checksum is wrong, or the bytes of a member are none that gzip writes.
    #[error("the gzip stream is corrupt")]
    Corrupt,
    /// Something else stands behind a member.
    #[error("bytes that are no gzip follow the gzip stream")]
    Trailing,
}

/// A place in packed bytes, which the caller keeps.
pub struct Gunzip {
    inflate: Decompress,
    at: usize,
    end: Option<Result<(), GzipDamage>>,
}

impl Gunzip {
    /// Before the first member. The packed bytes are taken to begin with [`MAGIC`].
    pub fn new() -> Gunzip {
        Gunzip { inflate: Decompress::new_gzip(15), at: 0, end: None }
    }

    /// What ended the stream early; `None` before its end, and when it is whole.
    pub fn damage(&self) -> Option<GzipDamage> {
        self.end.and_then(Result::err)
    }

    /// `packed` goes on behind the end that was found, where that was one behind which it may.
    pub fn go_on(&mut self, packed: &[u8]) {
        match self.end {
            Some(Err(GzipDamage::Cut)) => self.end = None,
            Some(Ok(())) => {
                self.end = None;
                self.next_member(&packed[self.at..]);
            }
            _ => (),
        }
    }

    /// Unpacks into `out` until it is full or the stream ends; says how much it wrote.
    /// Less than `out` holds: the end, see [`Self::damage`]. `packed` is the same at each call, up to [`Self::go_on`].
    pub fn read(&mut self, packed: &[u8], out: &mut [u8]) -> usize {
        let mut written = 0;
        while self.end.is_none() && written < out.len() {
            written += self.step(packed, &mut out[written..]);
        }
        written
    }

    /// One call of the inflater and what follows from it.
    fn step(&mut self, packed: &[u8], out: &mut [u8]) -> usize {
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(&packed[self.at..], out, FlushDecompress::None);
        let consumed = (self.inflate.total_in() - in_before) as usize;
        let written = (self.inflate.total_out() - out_before) as usize;
        self.at += consumed;
        match status {
            Ok(Status::StreamEnd) => self.next_member(&packed[self.at..]),
            Ok(_) if consumed + written > 0 => {}
            Ok(_) => self.end = Some(Err(GzipDamage::Cut)),
            Err(_) => self.end = Some(Err(GzipDamage::Corrupt)),
        }
        written
    }

    fn next_member(&mut self, rest: &[u8]) {
        let begins = &rest[..rest.len().min(MAGIC.len())];
        if begins.is_empty() {
            self.end = Some(Ok(()));
        } else if MAGIC.starts_with(begins) {
            self.inflate = Decompress::new_gzip(15);
        } else {
            self.end = Some(Err(GzipDamage::Trailing));
        }
    }
}

impl Default for Gunzip {
    fn default() -> Gunzip {
        Gunzip::new()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks with a buffer of `size` bytes.
    fn unpack(packed: &[u8], size: usize) -> (Vec<u8>, Option<GzipDamage>) {
        let (mut gunzip, mut buffer, mut all) = (Gunzip::new(), vec![0; size], Vec::new());
        loop {
            let count = gunzip.read(packed, &mut buffer);
            all.extend(&buffer[..count]);
            if count < size {
                return (all, gunzip.damage());
            }
        }
    }

    #[test]
    fn members_are_one_stream() {
        let text: Vec<u8> = (0..20_000u32).flat_map(|n| (n * n).to_be_bytes()).collect();
        let packed = [gzip(&text[..7]), gzip(&[]), gzip(&text[7..])].concat();
        for size in [1, 7, 80_000, 100_000] {
            assert!(unpack(&packed, size) == (text.clone(), None), "{size}");
        }
    }

    #[test]
    fn what_comes_before_damage_is_kept() {
        let text = b"0123456789".repeat(50);
        let packed = gzip(&text);
        let mut longest = 0;
        for size in 2..packed.len() {
            let (all, damage) = unpack(&packed[..size], 64);
            assert!(text.starts_with(&all) && all.len() >= longest, "{size}");
            assert_eq!(damage, Some(GzipDamage::Cut), "{size}");
            longest = all.len();
        }
        assert_eq!(longest, text.len(), "only the trailer was cut");

        for at in packed.len() - 8..packed.len() {
            let mut wrong = packed.clone();
            wrong[at] ^= 1;
            assert_eq!(unpack(&wrong, 64), (text.clone(), Some(GzipDamage::Corrupt)), "trailer byte {at}");
        }
    }

    #[test]
    fn what_stands_behind_a_member_is_told_from_a_cut_one() {
        let packed = gzip(b"text");
        for (tail, damage) in [(&b"\0"[..], GzipDamage::Trailing), (b"\x1f\x8c", GzipDamage::Trailing)] {
            assert_eq!(unpack(&[&packed, tail].concat(), 64), (b"text".to_vec(), Some(damage)));
        }
        for size in 1..packed.len() {
            let (all, damage) = unpack(&[&packed, &packed[..size]].concat(), 64);
            assert!(all.starts_with(b"text") && damage == Some(GzipDamage::Cut), "{size}");
        }
    }
}
