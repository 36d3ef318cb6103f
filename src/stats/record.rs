//! Records of the stats file: how one lies in its words. Its kind is stored last and loaded first, so who sees a record sees all of it.

use crate::sys::sync::atomic::{AtomicU64, Ordering};

pub const COUNTERS: u64 = 1;
pub const HISTOGRAM: u64 = 2;
/// Words before a record's text.
const HEADER: usize = 5;
/// Values begin at multiples of this, in words: two cache lines, as they are fetched in pairs.
const ALIGN: usize = 16;

/// A record that was read.
pub struct Record<'w> {
    /// What it is.
    pub kind: u64,
    /// Its size in words.
    pub size: usize,
    /// Names, with line feeds between them.
    pub text: String,
    /// One word each.
    pub values: &'w [AtomicU64],
}

/// Writes a record at the word `at`, with all values 0 but for what `begin` sets. Returns the word of its first value and the one
/// behind the record; `None` when there is no room.
pub fn write(
    words: &[AtomicU64],
    at: usize,
    (kind, text): (u64, &str),
    values: usize,
    begin: impl Fn(&[AtomicU64]),
) -> Option<(usize, usize)> {
    let first = (at + HEADER + text.len().div_ceil(8)).next_multiple_of(ALIGN);
    let end = (first + values).next_multiple_of(ALIGN);
    // One word stays 0 behind the last record.
    let record = words.get(at..end).filter(|_| end < words.len())?;
    for (word, value) in record[1..].iter().zip([end - at, first - at, values, text.len()]) {
        word.store(value as u64, Ordering::Relaxed);
    }
    for (word, piece) in record[HEADER..].iter().zip(text.as_bytes().chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..piece.len()].copy_from_slice(piece);
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
    // Touched now, so that the first store of an agent is no page fault.
    record[first - at..].iter().for_each(|word| word.store(0, Ordering::Relaxed));
    begin(&record[first - at..]);
    record[0].store(kind, Ordering::Release);
    Some((first, end))
}

/// What stands at the word `at`: `Some(None)` behind the last record, `None` when it is damaged.
pub fn read(words: &[AtomicU64], at: usize) -> Option<Option<Record<'_>>> {
    let words = words.get(at..)?;
    let kind = words.first()?.load(Ordering::Acquire);
    if kind == 0 {
        return Some(None);
    }
    let number = |index: usize| usize::try_from(words.get(index)?.load(Ordering::Relaxed)).ok();
    let (size, first, values, text_size) = (number(1)?, number(2)?, number(3)?, number(4)?);
    // A record of no size would be read for ever.
    let record = words.get(..size).filter(|record| record.len() > HEADER)?;
    let text = text(record.get(HEADER..first)?, text_size)?;
    let values = record.get(first..first.checked_add(values)?)?;
    Some(Some(Record { kind, size, text, values }))
}

fn text(words: &[AtomicU64], size: usize) -> Option<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    String::from_utf8(bytes.get(..size)?.to_vec()).ok()
}
