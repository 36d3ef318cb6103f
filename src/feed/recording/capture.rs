//! The messages of a capture of MoldUDP64: an index of them by sequence, over the bytes of the file.
//!
//! Lines A and B, answers to re-requests and reordered packets stand in a capture as they came. The index is sorted by
//! sequence, stably, and of equal ones the first stays: 16 bytes a message.

use std::ops::Deref;

use memmap2::Mmap;

use super::{Damage, DamageKind, NotAFeed, is_well_formed};
use crate::feed::gunzip::{Gunzip, GzipDamage};
use crate::feed::moldudp64::{Blocks, Header};
use crate::feed::pcap::{Packets, udp_payload};
use crate::limits::{UNPACK_BUFFER_SIZE, UNPACKED_CAPTURE_SIZE_MAX};

pub(super) struct Capture {
    bytes: Bytes,
    session: [u8; 10],
    index: Vec<Entry>,
    next: usize,
    /// Packets before this byte were read.
    read: usize,
    damage: Option<Damage>,
}

struct Entry {
    sequence: u64,
    /// Of the message's length field.
    offset: usize,
}

enum Bytes {
    Mapped(Mmap),
    Unpacked(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Unpacked(bytes) => bytes,
        }
    }
}

impl Capture {
    pub(super) fn new(map: Mmap, gzipped: bool) -> Result<Capture, NotAFeed> {
        let (bytes, gzip) = if gzipped { unpack(&map)? } else { (Bytes::Mapped(map), None) };
        let mut packets = Packets::new(&bytes)?;
        let (session, index) = index(&bytes, &mut packets, None).ok_or(NotAFeed::NoMessage)?;
        let read = packets.rest();
        let offset = read as u64;
        let damage = match gzip {
            Some(gzip) => Some(Damage { kind: DamageKind::Gzip(gzip), offset }),
            None if read < bytes.len() => Some(Damage { kind: DamageKind::CutPacket, offset }),
            None => None,
        };
        let capture = Capture { bytes, session, index, next: 0, read, damage };
        if !capture.index.iter().any(|entry| is_well_formed(capture.message(entry))) {
            return Err(NotAFeed::NoMessage);
        }
        Ok(capture)
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<(u64, &[u8])> {
        let entry = self.index.get(self.next)?;
        self.next += 1;
        Some((entry.sequence, self.message(entry)))
    }

    /// The index holds only messages that are whole, so that neither range can fail.
    #[inline]
    fn message(&self, entry: &Entry) -> &[u8] {
        let (size, rest) = self.bytes[entry.offset..].split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        &rest[..usize::from(u16::from_be_bytes(*size))]
    }

    /// The size that the file had, if it may go on behind that.
    pub(super) fn open_size(&self) -> Option<usize> {
        match &self.bytes {
            Bytes::Mapped(map) => Some(map.len()),
            Bytes::Unpacked(_) => None,
        }
    }

    /// The same file, longer. What came late on one of its lines comes behind what was given out.
    pub(super) fn go_on(&mut self, longer: Mmap) {
        if let Ok(packets) = Packets::new(&longer) {
            let mut packets = packets.from(self.read);
            if let Some((_, more)) = index(&longer, &mut packets, Some(self.session)) {
                self.index.extend(more);
            }
            self.read = packets.rest();
        }
        let is_cut = self.read < longer.len();
        self.damage = is_cut.then_some(Damage { kind: DamageKind::CutPacket, offset: self.read as u64 });
        self.bytes = Bytes::Mapped(longer);
    }

    pub(super) fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref().filter(|_| self.next == self.index.len())
    }

    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    pub(super) fn session(&self) -> [u8; 10] {
        self.session
    }

    pub(super) fn messages(&self) -> u64 {
        self.index.len() as u64
    }
}

/// The messages of a session, by their sequence, the first of each. If none is named it is that of the first packet with a
/// message in it: a heartbeat of another stream says nothing. `None`: there is no such packet.
fn index(bytes: &[u8], packets: &mut Packets, mut session: Option<[u8; 10]>) -> Option<([u8; 10], Vec<Entry>)> {
    let link = packets.link();
    let mut entries = Vec::new();
    for packet in packets {
        let Some(payload) = udp_payload(link, packet.frame) else { continue };
        let Some(header) = Header::read(payload) else { continue };
        if session.is_some_and(|first| first != header.session) {
            continue;
        }
        for (message, sequence) in Blocks::new(&header, payload).zip(header.sequence..) {
            session = Some(header.session);
            let offset = message.as_ptr().addr() - bytes.as_ptr().addr() - 2;
            entries.push(Entry { sequence, offset });
        }
    }
    entries.sort_by_key(|entry: &Entry| entry.sequence);
    entries.dedup_by_key(|entry| entry.sequence);
    Some((session?, entries))
}

fn unpack(packed: &[u8]) -> Result<(Bytes, Option<GzipDamage>), NotAFeed> {
    let (mut gunzip, mut bytes) = (Gunzip::new(), Vec::new());
    loop {
        let start = bytes.len();
        if start > UNPACKED_CAPTURE_SIZE_MAX {
            return Err(NotAFeed::TooLarge);
        }
        bytes.resize(start + UNPACK_BUFFER_SIZE, 0);
        let count = gunzip.read(packed, &mut bytes[start..]);
        bytes.truncate(start + count);
        if count < UNPACK_BUFFER_SIZE {
            return Ok((Bytes::Unpacked(bytes), gunzip.damage()));
        }
    }
}
