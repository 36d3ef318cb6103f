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
//! path, and never a SIGBUS in the middle of a record. The first number is written when the segment becomes active: 0 is one that
//! was prepared and never begun.
//!
//! What is appended lies in the kernel's memory at once, so it survives the end of the process; it is synced only at a stop in
//! order, so a power cut may take some of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use memmap2::{MmapMut, MmapOptions};

use crate::model::Nanos;
use crate::soup::login::SessionId;

/// Size of a segment's header.
pub const HEADER_SIZE: usize = 64;
const MAGIC: [u8; 8] = *b"HTALERTS";
/// Version of the format. 1 had no marks, so its logs cannot go on.
pub const VERSION: u32 = 2;
const PAGE_SIZE: usize = 4096;

/// A mapped segment.
pub struct Segment {
    map: MmapMut,
    path: PathBuf,
    ordinal: u64,
    ts_begun: Nanos,
}

/// Who opens a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The engine that has locked the directory.
    Owner,
    /// Anybody: nothing of it gets back into the file.
    Reader,
}

/// Why a file is no segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The system.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Another version of the format.
    #[error(
        "{}: format version {found}, and this program reads version {VERSION}: use the program that wrote it, or move the \
         directory of the alert log away", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Damage: no header of ours, or not that of this place.
    #[error("no whole header of this session and this number")]
    Header,
}

impl Segment {
    /// Creates the file `ORDINAL.segment` of `size` bytes in `directory`, allocated and touched.
    ///
    /// # Errors
    /// When it is there already, or cannot be created, allocated (disk full) or mapped; nothing is left behind then.
    pub fn create(directory: &Path, ordinal: u64, size: usize, session: &SessionId) -> io::Result<Segment> {
        let path = directory.join(file_name(ordinal));
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
        Ok(Segment { map, path, ordinal, ts_begun: 0 })
    }

    /// Opens a file that an earlier run has left.
    ///
    /// # Errors
    /// [`SegmentError`]. A file that is shorter or longer than its header says is opened all the same: see [`Self::is_all_there`].
    pub fn open(path: &Path, session: &SessionId, access: Access) -> Result<Segment, SegmentError> {
        let file = OpenOptions::new().read(true).write(access == Access::Owner).open(path)?;
        if file.metadata()?.len() < HEADER_SIZE as u64 {
            return Err(SegmentError::Header);
        }
        let map = match access {
            Access::Owner => map(&file)?,
            Access::Reader => map_to_read(&file)?,
        };
        let found = u32_at(&map, 8);
        let named = ordinal_of(path).filter(|_| map[..8] == MAGIC && map[32..42] == session.0);
        match named {
            Some(_) if found != VERSION => Err(SegmentError::Version { path: path.into(), found }),
            Some(ordinal) if map[16..24] == ordinal.to_le_bytes() => {
                Ok(Segment { map, path: path.into(), ordinal, ts_begun: 0 })
            }
            _ => Err(SegmentError::Header),
        }
    }

    /// True when the file has the size that it was created with.
    pub fn is_all_there(&self) -> bool {
        self.map.len() == u32_at(&self.map, 12) as usize * PAGE_SIZE
    }

    /// Makes an opened segment the active one: what lies behind `end` is emptied, allocated and touched.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn go_on(&mut self, end: usize) -> io::Result<()> {
        // A copy of the file may have holes.
        allocate(&OpenOptions::new().write(true).open(&self.path)?, self.map.len())?;
        self.map[end..].fill(0);
        Ok(())
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

    /// The number of its first message, which is that of the log's next one; 0 when it was never begun.
    pub fn first_number(&self) -> u64 {
        u64::from(u32_at(&self.map, 24)) | u64::from(u32_at(&self.map, 28)) << 32
    }

    /// When it became active; 0 when it did not, or that is not known.
    pub fn ts_begun(&self) -> Nanos {
        self.ts_begun
    }

    /// The segment becomes active with this number as its first.
    pub fn begin(&mut self, first_number: u64, now: Nanos) {
        self.map[24..32].copy_from_slice(&first_number.to_le_bytes());
        self.ts_begun = now;
    }

    /// It became active then: for one that was opened.
    pub fn begun_at(&mut self, ts: Nanos) {
        self.ts_begun = ts;
    }

    /// Returns when all of it is on disk, also what earlier runs have written.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Returns when the names of all segments beside it are on disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_directory(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
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

/// The name of the file of the segment with this ordinal.
pub fn file_name(ordinal: u64) -> String {
    format!("{ordinal:020}.segment")
}

/// The ordinal in a segment's file name.
pub fn ordinal_of(path: &Path) -> Option<u64> {
    let is_segment = path.extension().is_some_and(|extension| extension == "segment");
    path.file_stem()?.to_str()?.parse().ok().filter(|_| is_segment)
}

/// False when a segment was prepared, perhaps not as a whole, and never begun.
///
/// # Errors
/// What the system says.
pub fn is_begun(path: &Path) -> io::Result<bool> {
    let mut header = [0; HEADER_SIZE];
    let is_read = File::open(path)?.read_exact(&mut header).is_ok();
    Ok(is_read && header[24..32] != [0; 8])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[place..place + 4]);
    u32::from_le_bytes(number)
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
    // SAFETY: needs that nobody else truncates or writes the file while it is mapped. It lies in a directory that this process
    // has locked (one engine a directory), and no engine truncates a segment; others only read it.
    unsafe { MmapMut::map_mut(file) }
}

#[allow(unsafe_code)]
fn map_to_read(file: &File) -> io::Result<MmapMut> {
    // SAFETY: needs that nobody truncates the file while it is mapped: no engine ever does. An engine that runs may append to it:
    // then a record that is not whole yet is read, which its CRC32C tells, as it tells any damage; every access is checked
    // against the map's size and no byte is taken for anything but a number.
    unsafe { MmapOptions::new().map_copy(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_all_there_and_goes_when_removed() {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000007");
        let mut segment = Segment::create(directory.path(), 3, 8192, &session).unwrap();
        segment.begin(41, 7);
        let path = directory.path().join("00000000000000000003.segment");
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..8], &bytes[32..42]), (8192, &MAGIC[..], &session.0[..]));
        assert_eq!((bytes[16], bytes[24]), (3, 41));
        assert!(Segment::create(directory.path(), 3, 8192, &session).is_err(), "never over an existing file");
        segment.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn an_opened_segment_is_what_was_created_and_nothing_else_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000007");
        let mut segment = Segment::create(directory.path(), 3, 8192, &session).unwrap();
        segment.begin(1 << 40, 7);
        segment.bytes_mut()[100] = 9;
        drop(segment);
        let path = directory.path().join("00000000000000000003.segment");
        let mut segment = Segment::open(&path, &session, Access::Owner).unwrap();
        assert_eq!((segment.ordinal(), segment.first_number(), segment.is_all_there()), (3, 1 << 40, true));
        segment.go_on(100).unwrap();
        assert_eq!(segment.bytes()[100], 0);
        let other = SessionId(*b"0000000008");
        assert!(matches!(Segment::open(&path, &other, Access::Reader), Err(SegmentError::Header)));
        let whole = std::fs::read(&path).unwrap();
        for (place, is_newer) in [(0, false), (8, true), (16, false)] {
            let mut bytes = whole.clone();
            bytes[place] += 1;
            std::fs::write(&path, bytes).unwrap();
            let error = Segment::open(&path, &session, Access::Owner).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string().contains("format version 3, and this program reads version 2"), is_newer);
        }
        std::fs::write(&path, &whole[..5000]).unwrap();
        assert!(!Segment::open(&path, &session, Access::Owner).unwrap().is_all_there());
        std::fs::write(&path, &whole[..50]).unwrap();
        assert!(matches!(Segment::open(&path, &session, Access::Owner), Err(SegmentError::Header)));
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000007");
        assert!(Segment::create(directory.path(), 0, 1 << 60, &session).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
