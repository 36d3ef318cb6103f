//! The messages of a feed in memory, laid out as the blocks of packets, found by index or by sequence.

use crate::feed::itch;
use crate::feed::moldudp64::{HEADER_SIZE, Header};
use crate::feed::recording::Recording;
use crate::limits::PUBLISH_MESSAGE_MAX;
use crate::model::Nanos;

/// Messages between two marks: finding one walks at most so many blocks.
const MARK_EVERY: u64 = 64;

/// A feed. Costs its size in bytes and an eighth of a byte a message.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Each message behind its length: 2 bytes, big-endian, as MoldUDP64 and BinaryFILE both have it.
    blocks: Vec<u8>,
    /// Where every 64th block begins.
    marks: Vec<usize>,
    /// Stretches without a gap: the index and the sequence of their first message.
    runs: Vec<(u64, u64)>,
    count: u64,
    next_sequence: u64,
}

/// A place between two messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Index of the message that follows, from 0.
    pub index: u64,
    offset: usize,
}

/// A packet of consecutive messages: what stands in its header, and where its blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Before its first message.
    pub from: Cursor,
    /// Behind its last message.
    pub to: Cursor,
    /// Sequence of its first message.
    pub sequence: u64,
}

impl Packet {
    /// Messages in it.
    pub fn count(&self) -> u16 {
        (self.to.index - self.from.index) as u16
    }

    /// Its size as the payload of a datagram.
    pub fn size(&self) -> usize {
        HEADER_SIZE + self.to.offset - self.from.offset
    }
}

impl Messages {
    /// Reads a recording to its end, or `limit` messages of it.
    pub fn load(recording: &mut Recording, limit: u64) -> Messages {
        let mut messages = Messages::default();
        while messages.count < limit {
            let Some((sequence, message)) = recording.next() else { break };
            messages.push(sequence, message);
        }
        messages
    }

    /// Puts a message behind the others. False, and nothing done: its sequence does not rise, or is 2^64 - 1, or it does
    /// not fit a datagram; its number is then a gap.
    pub fn push(&mut self, sequence: u64, message: &[u8]) -> bool {
        if sequence < self.next_sequence || sequence == u64::MAX || message.len() > PUBLISH_MESSAGE_MAX {
            return false;
        }
        if sequence > self.next_sequence || self.count == 0 {
            self.runs.push((self.count, sequence));
        }
        if self.count.is_multiple_of(MARK_EVERY) {
            self.marks.push(self.blocks.len());
        }
        self.blocks.extend((message.len() as u16).to_be_bytes());
        self.blocks.extend(message);
        self.count += 1;
        self.next_sequence = sequence + 1;
        true
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sequence behind the last; 1 where there is none.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence.max(1)
    }

    /// The sequence of the message at `index`, or behind the last.
    pub fn sequence_of(&self, index: u64) -> u64 {
        if index >= self.count {
            return self.next_sequence();
        }
        let run = self.runs.partition_point(|(first, _)| *first <= index);
        run.checked_sub(1).map_or(1, |run| self.runs[run].1 + (index - self.runs[run].0))
    }

    /// The index of the message with this sequence; `None`: it is not there.
    pub fn index_of(&self, sequence: u64) -> Option<u64> {
        let run = self.runs.partition_point(|(_, first)| *first <= sequence).checked_sub(1)?;
        let (index, first) = self.runs[run];
        let end = self.runs.get(run + 1).map_or(self.count, |(index, _)| *index);
        let index = index.checked_add(sequence - first)?;
        (index < end).then_some(index)
    }

    /// The place before the message at `index`; `None` beyond the end.
    pub fn cursor(&self, index: u64) -> Option<Cursor> {
        let mark = index / MARK_EVERY;
        let mut cursor = Cursor { index: mark * MARK_EVERY, offset: *self.marks.get(mark as usize)? };
        while cursor.index < index {
            self.advance(&mut cursor)?;
        }
        (index < self.count).then_some(cursor)
    }

    /// The message behind the cursor, which moves over it.
    #[inline]
    pub fn advance(&self, cursor: &mut Cursor) -> Option<&[u8]> {
        let (size, rest) = self.blocks.get(cursor.offset..)?.split_first_chunk::<2>()?;
        let message = rest.get(..usize::from(u16::from_be_bytes(*size)))?;
        *cursor = Cursor { index: cursor.index + 1, offset: cursor.offset + 2 + message.len() };
        Some(message)
    }

    /// The longest packet from `from` on: at most `size_max` bytes (but at least one message), without a gap in the numbers,
    /// and only messages that `belongs` lets in. `None` at the end, or where it does not let the first one in.
    #[inline]
    pub fn packet(&self, from: Cursor, size_max: usize, mut belongs: impl FnMut(u64, &[u8]) -> bool) -> Option<Packet> {
        let sequence = self.sequence_of(from.index);
        let run = self.runs.partition_point(|(first, _)| *first <= from.index);
        let run_end = self.runs.get(run).map_or(self.count, |(first, _)| *first);
        let mut packet = Packet { from, to: from, sequence };
        while packet.to.index < run_end && packet.count() < u16::MAX - 1 {
            let mut to = packet.to;
            let Some(message) = self.advance(&mut to) else { break };
            let longer = Packet { to, ..packet };
            if (longer.size() > size_max && packet.count() > 0) || !belongs(packet.to.index, message) {
                break;
            }
            packet = longer;
        }
        (packet.count() > 0).then_some(packet)
    }

    /// Writes a packet as a datagram's payload into `buffer`, over what is there.
    pub fn write(&self, session: [u8; 10], packet: &Packet, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend(Header { session, sequence: packet.sequence, count: packet.count() }.bytes());
        buffer.extend(&self.blocks[packet.from.offset..packet.to.offset]);
    }
}

/// The stamp of a well-formed message, ns since midnight.
#[inline]
pub fn stamp(message: &[u8]) -> Option<Nanos> {
    let &[kind, _, _, _, _, a, b, c, d, e, f] = message.first_chunk()?;
    (itch::length_of(kind) == Some(message.len())).then(|| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
