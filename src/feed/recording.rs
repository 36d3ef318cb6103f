//! A recorded feed: BinaryFILE or a capture of MoldUDP64, plain or gzipped, told apart by content.
//!
//! ```text
//!               first bytes (unpacked)      in memory              sequence
//!  BinaryFILE   anything else               mapped                 1-based place in the file
//!   gzipped     1f 8b, then the same        a buffer of fixed size
//!  capture      one of the 4 pcap magics    mapped, and an index   MoldUDP64's, rising, first copy of each
//!   gzipped     1f 8b, then the same        unpacked, and an index
//! ```
//!
//! A file is a feed when at least one message in it is well formed, whatever stands before that message; the two bytes
//! `00 00` alone are a session without messages. What is damaged is read up to the damage, which is then told.
//!
//! A file that is still being written, by who only appends to it, is read up to what is whole of it when it is opened; [`Recording::go_on`]
//! takes what came since. Known limit: not of a gzipped capture, which is unpacked as a whole.
//!
//! Known limit: a mapped file that another process truncates meanwhile ends this one with SIGBUS.

mod capture;
mod stream;
#[cfg(test)]
mod tests;
mod unpacking;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap};

use self::capture::Capture;
use self::stream::Stream;
use super::gunzip::{self, Gunzip, GzipDamage};
use super::{itch, pcap};
use crate::limits::UNPACKED_CAPTURE_SIZE_MAX;

/// Why a file cannot be read as a feed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The system's reason.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It can be read, but is no feed.
    #[error("{} is no feed: {reason}", path.display())]
    NotAFeed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: NotAFeed,
    },
}

/// Why bytes are no feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFeed {
    /// Neither as BinaryFILE nor as a capture.
    #[error("there is no well-formed ITCH 5.0 message in it")]
    NoMessage,
    /// The successor of the classic format.
    #[error("a pcapng capture: convert it to classic pcap (editcap -F nsecpcap)")]
    Pcapng,
    /// A capture that cannot be read.
    #[error(transparent)]
    Capture(#[from] pcap::CaptureError),
    /// A gzipped capture that is too large to be unpacked into memory.
    #[error("a gzipped capture of more than {UNPACKED_CAPTURE_SIZE_MAX} bytes: unpack it first")]
    TooLarge,
}

/// What a recording is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BinaryFILE.
    BinaryFile,
    /// A classic pcap of MoldUDP64.
    Capture,
}

/// What ended a recording before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at byte {offset}")]
pub struct Damage {
    /// What was found.
    pub kind: DamageKind,
    /// Where in the (unpacked) file: the length field or packet header of what is cut, or the first byte after the marker.
    pub offset: u64,
}

/// The ways in which a recording can be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// A BinaryFILE.
    #[error("the file ends inside a message")]
    CutMessage,
    /// A capture.
    #[error("the file ends inside a packet")]
    CutPacket,
    /// A BinaryFILE.
    #[error("bytes follow the end-of-session marker")]
    AfterMarker,
    /// Either, gzipped.
    #[error("{0} (the byte is counted unpacked)")]
    Gzip(GzipDamage),
}

/// A recorded feed that is open, at one of its messages.
pub struct Recording {
    file: File,
    body: Body,
    gzipped: bool,
}

enum Body {
    Stream(Stream),
    Capture(Capture),
}

impl Recording {
    /// Opens a feed before its first message. Reads a BinaryFILE up to its first well-formed message, and a whole capture.
    pub fn open(path: &Path) -> Result<Recording, RecordingError> {
        let failed = |source| RecordingError::Io { path: path.into(), source };
        let file = open_file(path).map_err(failed)?;
        let map = map(&file).map_err(failed)?;
        let gzipped = map.starts_with(&gunzip::MAGIC);
        let body = Body::new(map, gzipped);
        let body = body.map_err(|reason| RecordingError::NotAFeed { path: path.into(), reason })?;
        Ok(Recording { file, body, gzipped })
    }

    /// The next message and its sequence, in the order of the feed. `None`: the end, or damage; it stays `None`.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> Option<(u64, &[u8])> {
        match &mut self.body {
            Body::Stream(stream) => stream.next(),
            Body::Capture(capture) => capture.next(),
        }
    }

    /// Once [`Self::next`] gave `None`: goes on with what was written behind that end since, if the file may go on there. True: there
    /// are more bytes, and [`Self::next`] may have a message again.
    ///
    /// # Errors
    /// What the system says.
    pub fn go_on(&mut self) -> io::Result<bool> {
        let size = match &self.body {
            Body::Stream(stream) => stream.open_size(),
            Body::Capture(capture) => capture.open_size(),
        };
        if size.is_none_or(|size| self.file.metadata().is_ok_and(|file| file.len() <= size as u64)) {
            return Ok(false);
        }
        let map = map(&self.file)?;
        match &mut self.body {
            Body::Stream(stream) => stream.go_on(map),
            Body::Capture(capture) => capture.go_on(map),
        }
        Ok(true)
    }

    /// Once [`Self::next`] gave `None`: what ended the recording early.
    pub fn damage(&self) -> Option<&Damage> {
        match &self.body {
            Body::Stream(stream) => stream.damage(),
            Body::Capture(capture) => capture.damage(),
        }
    }

    /// Once [`Self::next`] gave `None`: true for a BinaryFILE that ends whole but without the end-of-session marker.
    pub fn is_marker_missing(&self) -> bool {
        matches!(&self.body, Body::Stream(stream) if stream.is_marker_missing())
    }

    /// Starts again before the first message.
    pub fn rewind(&mut self) {
        match &mut self.body {
            Body::Stream(stream) => stream.rewind(),
            Body::Capture(capture) => capture.rewind(),
        }
    }

    /// Starts again before the first message, and has a gzipped BinaryFILE unpacked on a thread of its own, some chunks ahead.
    pub fn rewind_aside(&mut self) {
        match &mut self.body {
            Body::Stream(stream) => stream.rewind_aside(),
            Body::Capture(capture) => capture.rewind(),
        }
    }

    /// What it is made of.
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Stream(_) => Kind::BinaryFile,
            Body::Capture(_) => Kind::Capture,
        }
    }

    /// True when it is gzipped.
    pub fn is_gzipped(&self) -> bool {
        self.gzipped
    }

    /// The MoldUDP64 session of a capture.
    pub fn session(&self) -> Option<[u8; 10]> {
        match &self.body {
            Body::Stream(_) => None,
            Body::Capture(capture) => Some(capture.session()),
        }
    }

    /// How many messages there are, where that is known before they are read: in a capture.
    pub fn size_hint_messages(&self) -> Option<u64> {
        match &self.body {
            Body::Stream(_) => None,
            Body::Capture(capture) => Some(capture.messages()),
        }
    }
}

impl Body {
    fn new(map: Mmap, gzipped: bool) -> Result<Body, NotAFeed> {
        let magic = if gzipped { unpacked_magic(&map) } else { map.first_chunk().copied() };
        match magic {
            Some(pcap::PCAPNG_MAGIC) => Err(NotAFeed::Pcapng),
            Some(magic) if pcap::is_magic(magic) => Capture::new(map, gzipped).map(Body::Capture),
            _ => Stream::new(map, gzipped).map(Body::Stream),
        }
    }
}

fn unpacked_magic(packed: &[u8]) -> Option<[u8; 4]> {
    let mut magic = [0; 4];
    (Gunzip::new().read(packed, &mut magic) == magic.len()).then_some(magic)
}

/// True when these bytes are a message as ITCH has it.
fn is_well_formed(message: &[u8]) -> bool {
    itch::decode(message).is_ok()
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes must not change while the map is borrowed as a slice. The map is read-only and as long as the file is now, and
    // who writes a recording only appends to it: whoever runs the command establishes it, nothing enforces it. Every
    // reader of the bytes checks each length against the slice, so that a byte that changes all the same gives a wrong
    // message and no access beyond the map; a file that shrinks ends the process (see the head of this file).
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file)? };
    // Only a hint to read ahead: without it everything is right, and slower.
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}
