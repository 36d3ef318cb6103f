//! Right checksums over any bytes: no fuzzer guesses a CRC32C, and behind them is what it is to look for.

use hairtrigger::journal::{record, segment, snapshot};

/// Size of a snapshot's chunk without its archive, and what it is padded to.
const CHUNK_HEADER_SIZE: usize = 16;

/// A segment of the journal whose header and records, as far as their lengths make sense, have right checksums.
pub fn segment(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    let Some(mut previous) = seal_header::<{ segment::HEADER_SIZE }>(&mut sealed, 16) else { return sealed };
    let mut at = segment::HEADER_SIZE;
    while let Some(length) = u32_at(&sealed, at)
        && length as usize >= record::HEADER_SIZE
        && let Some(found) = sealed.get_mut(at..at + length as usize)
    {
        found[8..12].copy_from_slice(&previous.to_le_bytes());
        previous = crc32c::crc32c_append(crc32c::crc32c(&found[..4]), &found[8..]);
        found[4..8].copy_from_slice(&previous.to_le_bytes());
        at += length as usize;
    }
    sealed
}

/// A snapshot whose header and chunks, as far as their lengths make sense, have right checksums.
pub fn snapshot(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    let Some(mut previous) = seal_header::<{ snapshot::HEADER_SIZE }>(&mut sealed, 12) else { return sealed };
    let mut at = snapshot::HEADER_SIZE;
    while let Some(length) = u32_at(&sealed, at) {
        let end = (at + CHUNK_HEADER_SIZE + length as usize).next_multiple_of(CHUNK_HEADER_SIZE);
        let Some(chunk) = sealed.get_mut(at..end) else { break };
        previous = crc32c::crc32c_append(crc32c::crc32c_append(previous, &chunk[..4]), &chunk[8..]);
        chunk[4..8].copy_from_slice(&previous.to_le_bytes());
        at = end;
    }
    sealed
}

/// Seals a header of `SIZE` bytes; returns the number at `chain`, from which the checksums behind it go on.
fn seal_header<const SIZE: usize>(bytes: &mut [u8], chain: usize) -> Option<u32> {
    let header: &mut [u8; SIZE] = bytes.first_chunk_mut()?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    u32_at(header, chain)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
