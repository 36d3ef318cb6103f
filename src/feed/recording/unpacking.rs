//! Gzip that is unpacked as it is asked for, or on a thread of its own, some chunks before it is.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use memmap2::Mmap;

use crate::feed::gunzip::{Gunzip, GzipDamage};
use crate::limits::{UNPACK_BUFFER_SIZE, UNPACKED_CHUNKS_AHEAD};

pub(super) struct Unpacking {
    packed: Arc<Mmap>,
    place: Place,
}

enum Place {
    Here(Gunzip),
    Aside(Chunks),
}

/// What the thread has unpacked.
struct Chunks {
    coming: Receiver<Chunk>,
    now: Chunk,
    /// Bytes of it that were read.
    read: usize,
}

#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// What ended the stream early, behind these bytes.
    damage: Option<GzipDamage>,
}

impl Unpacking {
    /// Before the first byte.
    pub(super) fn new(packed: Mmap) -> Unpacking {
        Unpacking { packed: Arc::new(packed), place: Place::Here(Gunzip::new()) }
    }

    /// Starts again before the first byte.
    pub(super) fn rewind(&mut self) {
        self.place = Place::Here(Gunzip::new());
    }

    /// Starts again before the first byte, on a thread that ends with the stream, or when nobody reads any more.
    pub(super) fn rewind_aside(&mut self) {
        let (sender, coming) = sync_channel(UNPACKED_CHUNKS_AHEAD);
        let packed = self.packed.clone();
        std::thread::spawn(move || {
            let mut gunzip = Gunzip::new();
            loop {
                let mut bytes = vec![0; UNPACK_BUFFER_SIZE];
                let count = gunzip.read(&packed, &mut bytes);
                bytes.truncate(count);
                let sent = sender.send(Chunk { bytes, damage: gunzip.damage() });
                if count < UNPACK_BUFFER_SIZE || sent.is_err() {
                    break;
                }
            }
        });
        self.place = Place::Aside(Chunks { coming, now: Chunk::default(), read: 0 });
    }

    /// As [`Gunzip::read`].
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        match &mut self.place {
            Place::Here(gunzip) => gunzip.read(&self.packed, out),
            Place::Aside(chunks) => chunks.read(out),
        }
    }

    /// The size of the packed file, if it can go on behind that: not where a thread has come to its end.
    pub(super) fn open_size(&self) -> Option<usize> {
        matches!(self.place, Place::Here(_)).then_some(self.packed.len())
    }

    /// As [`Gunzip::go_on`]: the same packed file, longer.
    pub(super) fn go_on(&mut self, longer: Mmap) {
        if let Place::Here(gunzip) = &mut self.place {
            gunzip.go_on(&longer);
            self.packed = Arc::new(longer);
        }
    }

    /// As [`Gunzip::damage`].
    pub(super) fn damage(&self) -> Option<GzipDamage> {
        match &self.place {
            Place::Here(gunzip) => gunzip.damage(),
            Place::Aside(chunks) => chunks.now.damage,
        }
    }
}

impl Chunks {
    fn read(&mut self, out: &mut [u8]) -> usize {
        let mut written = 0;
        while written < out.len() {
            let rest = &self.now.bytes[self.read..];
            if rest.is_empty() {
                let Ok(next) = self.coming.recv() else { break };
                (self.now, self.read) = (next, 0);
                continue;
            }
            let count = rest.len().min(out.len() - written);
            out[written..][..count].copy_from_slice(&rest[..count]);
            (self.read, written) = (self.read + count, written + count);
        }
        written
    }
}
