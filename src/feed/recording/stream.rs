//! The messages of a BinaryFILE, which is mapped, or unpacked through a buffer as it goes.

use memmap2::Mmap;

use super::unpacking::Unpacking;
use super::{Damage, DamageKind, NotAFeed, is_well_formed};
use crate::feed::binaryfile::{END_OF_SESSION, Frame, frame};
use crate::feed::gunzip::GzipDamage;
use crate::limits::UNPACK_BUFFER_SIZE;

/// A place in a BinaryFILE: everything before `at` in the window was read.
pub(super) struct Stream {
    source: Source,
    at: usize,
    sequence: u64,
    end: Option<End>,
}

enum Source {
    /// The window is the whole file.
    Mapped(Mmap),
    /// The window is what is filled of a buffer.
    Packed(Box<Unpacker>),
}

struct Unpacker {
    unpacking: Unpacking,
    buffer: Box<[u8]>,
    filled: usize,
    /// Offset of the buffer's first byte in the unpacked file.
    offset: u64,
}

#[derive(Clone, Copy)]
enum End {
    Marker,
    NoMarker,
    Damaged(Damage),
}

impl Stream {
    pub(super) fn new(map: Mmap, gzipped: bool) -> Result<Stream, NotAFeed> {
        let source = if gzipped { Source::Packed(Box::new(Unpacker::new(map))) } else { Source::Mapped(map) };
        let mut stream = Stream { source, at: 0, sequence: 0, end: None };
        if !stream.is_feed() {
            return Err(NotAFeed::NoMessage);
        }
        stream.rewind();
        Ok(stream)
    }

    /// Looks for the first well-formed message, from the beginning.
    fn is_feed(&mut self) -> bool {
        while let Some((_, message)) = self.next() {
            if is_well_formed(message) {
                return true;
            }
        }
        self.sequence == 0 && matches!(self.end, Some(End::Marker))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<(u64, &[u8])> {
        let size = self.frame_size()?;
        let start = self.at + END_OF_SESSION.len();
        self.at = start + size;
        self.sequence += 1;
        Some((self.sequence, &self.window()[start..self.at]))
    }

    /// Has the next message whole in the window and says its size. At the end the place does not move: asked again,
    /// it finds the same end.
    #[inline]
    fn frame_size(&mut self) -> Option<usize> {
        loop {
            let marker = match frame(&self.window()[self.at..]) {
                Frame::Message(message) => return Some(message.len()),
                Frame::EndOfSession => true,
                Frame::Cut => false,
            };
            if marker || !self.refill() {
                self.end = Some(self.ended(marker));
                return None;
            }
        }
    }

    /// What the end is, where there is a marker, or nothing whole any more.
    #[cold]
    fn ended(&mut self, marker: bool) -> End {
        let size = if marker { END_OF_SESSION.len() } else { 0 };
        // Behind a marker at the end of the window nothing was looked for yet.
        let more = self.window().len() > self.at + size || (marker && self.refill());
        let damaged = |kind| End::Damaged(Damage { kind, offset: self.source.offset() + (self.at + size) as u64 });
        match (self.source.gzip_damage(), marker) {
            (_, true) if more => damaged(DamageKind::AfterMarker),
            (Some(gzip), _) => damaged(DamageKind::Gzip(gzip)),
            (None, true) => End::Marker,
            (None, false) if more => damaged(DamageKind::CutMessage),
            (None, false) => End::NoMarker,
        }
    }

    pub(super) fn damage(&self) -> Option<&Damage> {
        match &self.end {
            Some(End::Damaged(damage)) => Some(damage),
            _ => None,
        }
    }

    pub(super) fn is_marker_missing(&self) -> bool {
        matches!(self.end, Some(End::NoMarker))
    }

    /// The size that the file had, once it has been read to an end behind which it may go on.
    pub(super) fn open_size(&self) -> Option<usize> {
        let is_open = match self.end? {
            End::NoMarker => true,
            End::Marker => false,
            End::Damaged(damage) => {
                matches!(damage.kind, DamageKind::CutMessage | DamageKind::Gzip(GzipDamage::Cut))
            }
        };
        match &self.source {
            Source::Mapped(map) => is_open.then_some(map.len()),
            Source::Packed(unpacker) => unpacker.unpacking.open_size().filter(|_| is_open),
        }
    }

    /// The same file, longer.
    pub(super) fn go_on(&mut self, longer: Mmap) {
        self.end = None;
        match &mut self.source {
            Source::Mapped(map) => *map = longer,
            Source::Packed(unpacker) => unpacker.unpacking.go_on(longer),
        }
    }

    pub(super) fn rewind(&mut self) {
        (self.at, self.sequence, self.end) = (0, 0, None);
        if let Source::Packed(unpacker) = &mut self.source {
            unpacker.rewind();
        }
    }

    /// Starts again before the first message. What is gzipped is unpacked on a thread of its own this time.
    pub(super) fn rewind_aside(&mut self) {
        self.rewind();
        if let Source::Packed(unpacker) = &mut self.source {
            unpacker.unpacking.rewind_aside();
        }
    }

    #[inline]
    fn window(&self) -> &[u8] {
        match &self.source {
            Source::Mapped(map) => map,
            Source::Packed(unpacker) => &unpacker.buffer[..unpacker.filled],
        }
    }

    /// Brings more bytes behind those not read yet; false: there are none.
    #[cold]
    fn refill(&mut self) -> bool {
        match &mut self.source {
            Source::Mapped(_) => false,
            Source::Packed(unpacker) => {
                unpacker.discard(self.at);
                self.at = 0;
                unpacker.fill()
            }
        }
    }
}

impl Source {
    fn offset(&self) -> u64 {
        match self {
            Source::Mapped(_) => 0,
            Source::Packed(unpacker) => unpacker.offset,
        }
    }

    fn gzip_damage(&self) -> Option<GzipDamage> {
        match self {
            Source::Mapped(_) => None,
            Source::Packed(unpacker) => unpacker.unpacking.damage(),
        }
    }
}

impl Unpacker {
    fn new(packed: Mmap) -> Unpacker {
        let buffer = vec![0; UNPACK_BUFFER_SIZE].into_boxed_slice();
        Unpacker { unpacking: Unpacking::new(packed), buffer, filled: 0, offset: 0 }
    }

    fn rewind(&mut self) {
        self.unpacking.rewind();
        (self.filled, self.offset) = (0, 0);
    }

    /// Forgets the first `count` bytes of the window.
    fn discard(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.offset += count as u64;
    }

    /// What is left in the window is less than a frame, so the buffer has room (see `limits`).
    fn fill(&mut self) -> bool {
        let count = self.unpacking.read(&mut self.buffer[self.filled..]);
        self.filled += count;
        count > 0
    }
}
