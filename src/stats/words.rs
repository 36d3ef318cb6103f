//! Shared memory as words: the only place of the counters that needs `unsafe`.

use std::fs::File;
use std::io;
use std::slice;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use crate::sys::sync::atomic::AtomicU64;

/// A mapping, seen as 64-bit words. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Words(Arc<MmapRaw>);

impl Words {
    /// A file, to write and to read.
    pub(super) fn writable(file: &File) -> io::Result<Words> {
        Ok(Words(Arc::new(MmapOptions::new().map_raw(file)?)))
    }

    /// A file, only to read.
    pub(super) fn read_only(file: &File) -> io::Result<Words> {
        Ok(Words(Arc::new(MmapOptions::new().map_raw_read_only(file)?)))
    }

    /// Memory of this process alone.
    pub(super) fn anonymous(size: usize) -> io::Result<Words> {
        Ok(Words(Arc::new(MmapRaw::from(MmapMut::map_anon(size)?))))
    }

    /// The words; a rest of less than 8 bytes is left out. Only loads where the mapping is read-only.
    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn get(&self) -> &[AtomicU64] {
        // SAFETY: a mapping begins at a page, so it is aligned; it has `len` bytes, and lives as long as `self`
        // borrows it. Any bytes are a valid AtomicU64. This process touches them through these atomics only, and other
        // processes likewise (whoever else writes to the file breaks numbers, not memory). A mapping past the end of the file
        // would be a SIGBUS: the file has its whole size, with its blocks, before it gets its name, and nothing shrinks it.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() / size_of::<AtomicU64>()) }
    }
}
