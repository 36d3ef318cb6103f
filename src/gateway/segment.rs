//! A segment: one mapped file of the alert log.
//!
//! ```text
//!  0          8          12        16        24             32            42          64
//!  +----------+----------+---------+---------+--------------+-------------+-----------+=========+
//!  | magic    | version  | pages   | ordinal | first number | session id  | 0 (22)    | records |
//!  +----------+----------+---------+---------+--------------+-------------+-----------+=========+
//! ```
//!
//! Little-endian; a page is 4 KiB. A file is allocated in full and touched before it is used: a full disk is an error here, off the
//! path, and never a SIGBUS in the middle of a record. The first number is written when the segment becomes active.
//!
//! What is appended lies in the kernel's memory at once, so it survives the end of the process; it is synced only at a stop in
//! order, so a power cut may take some of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use memmap2::MmapMut;

use crate::soup::login::SessionId;

/// Size of a segment's header.
pub const HEADER_SIZE: usize = 64;
const MAGIC: [u8; 8] = *b"HTALERTS";
const VERSION: u32 = 1;
const PAGE_SIZE: usize = 4096;

/// A mapped segment.
pub struct Segment {
    map: MmapMut,
    path: PathBuf,
    ordinal: u64,
}

impl Segment {
    /// Creates the file `ORDINAL.segment` of `size` bytes in `directory`, allocated and touched.
    ///
    /// # Errors
    /// When it is there already, or cannot be created, allocated (disk full) or mapped; nothing is left behind then.
    pub fn create(directory: &Path, ordinal: u64, size: usize, session: &SessionId) -> io::Result<Segment> {
        let path = directory.join(format!("{ordinal:020}.segment"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let mut map = allocate(&file, size).and_then(|()| map(&file)).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
        for page in map.chunks_mut(PAGE_SIZE) {
            page.fill(0);
        }
        map[..8].copy_from_slice(&MAGIC);
        map[8..12].copy_from_slice(&VERSION.to_le_bytes());
        map[12..16].copy_from_slice(&((size / PAGE_SIZE) as u32).to_le_bytes());
        map[16..24].copy_from_slice(&ordinal.to_le_bytes());
        map[32..42].copy_from_slice(session.bytes());
        Ok(Segment { map, path, ordinal })
    }

    /// Its place among the segments of its log, from 0.
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// All of its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// All of its bytes, to be written.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// The segment becomes active with this number as its first.
    pub fn begin(&mut self, first_number: u64) {
        self.map[24..32].copy_from_slice(&first_number.to_le_bytes());
    }

    /// Returns when all of it is on disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }

    /// Unmaps it and deletes the file.
    ///
    /// # Errors
    /// When the file cannot be deleted; it is unmapped all the same.
    pub fn remove(self) -> io::Result<()> {
        let Segment { map, path, .. } = self;
        drop(map);
        std::fs::remove_file(path)
    }
}

/// The ordinal in the header of a segment's bytes; `None` when they are no segment of this version.
pub fn ordinal(bytes: &[u8]) -> Option<u64> {
    let (header, _) = bytes.split_first_chunk::<HEADER_SIZE>()?;
    let is_ours = header[..8] == MAGIC && header[8..12] == VERSION.to_le_bytes();
    let (_, rest) = header.split_at(16);
    is_ours.then_some(u64::from_le_bytes(*rest.first_chunk()?))
}

#[allow(unsafe_code)]
fn allocate(file: &File, size: usize) -> io::Result<()> {
    let size = libc::off_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: posix_fallocate takes no memory of ours; the descriptor is open as long as `file` is borrowed.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: needs that nobody truncates or writes the file while it is mapped. This process has just created it
    // (`create_new`) in its own directory and never truncates it; others only read it.
    unsafe { MmapMut::map_mut(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_all_there_and_goes_when_removed() {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000007");
        let mut segment = Segment::create(directory.path(), 3, 8192, &session).unwrap();
        segment.begin(41);
        let path = directory.path().join("00000000000000000003.segment");
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..8], &bytes[32..42]), (8192, &MAGIC[..], &session.0[..]));
        assert_eq!((bytes[16], bytes[24]), (3, 41));
        assert!(Segment::create(directory.path(), 3, 8192, &session).is_err(), "never over an existing file");
        segment.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000007");
        assert!(Segment::create(directory.path(), 0, 1 << 60, &session).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
