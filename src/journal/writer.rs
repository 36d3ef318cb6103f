//! The writer: batches of records to segments, each on disk before it is told.
//!
//! A segment comes into being under another name, with its header synced, and is then renamed, so that no file with a segment's
//! name is ever without a whole header. Every start begins a new one: a torn tail is never written over, and the seed of
//! the next header proves where it was cut.
//!
//! After any failure the writer is dead. A sync that failed may have thrown away what it was to sync, and a repetition would
//! report success: whoever gets the error stops acknowledging and ends the process.

use std::io;

use super::record::{self, Entry, Record};
use super::segment::Header;
use super::storage::Storage;
use crate::limits::JOURNAL_RING;
use crate::model::Nanos;

/// When a change may be acknowledged, and what is lost when.
///
/// | | a kill of the process | a crash of the kernel, a power cut |
/// |---|---|---|
/// | `sync` | nothing | nothing |
/// | `process` | nothing | what the kernel had not written yet: up to some 30 seconds |
/// | `none` | what the journal had not taken yet: up to some milliseconds | as `process` |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is on disk.
    #[default]
    Sync,
    /// When the kernel has it.
    Process,
    /// When it is in force.
    None,
}

/// Where a journal goes on: what a reader of the old segments found, or the start of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Sequence of the next record.
    pub next_sequence: u64,
    /// CRC32C of the last record.
    pub chain: u32,
}

/// How a journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When a change may be acknowledged.
    pub durability: Durability,
    /// Size of a segment, about: the next one begins once it has as much.
    pub segment_size: u64,
    /// Which boot of the machine this is.
    pub boot: [u8; 16],
}

/// The writer.
pub struct Writer<S: Storage> {
    storage: S,
    file: S::File,
    durability: Durability,
    segment_size: u64,
    boot: [u8; 16],
    /// Bytes in the active segment.
    size: u64,
    position: Position,
    durable: u64,
    buffer: Vec<u8>,
    is_dead: bool,
}

impl<S: Storage> Writer<S> {
    /// Begins a new segment at `position`.
    ///
    /// # Errors
    /// When it cannot be created and synced.
    pub fn begin(
        mut storage: S,
        position: Position,
        Settings { durability, segment_size, boot }: Settings,
        now: Nanos,
    ) -> io::Result<Writer<S>> {
        // Who was killed, or ran without syncs, left records that only the kernel has.
        if let Some(last) = storage.list()?.iter().rfind(|name| name.ends_with(".journal")) {
            let mut file = storage.open(last)?;
            storage.sync(&mut file)?;
        }
        let (file, size) = begin_segment(&mut storage, position, boot, now)?;
        let durable = position.next_sequence - 1;
        let buffer = Vec::with_capacity(record::SET_SIZE * JOURNAL_RING);
        Ok(Writer { storage, file, durability, segment_size, boot, size, position, durable, buffer, is_dead: false })
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Writes a batch and, under [`Durability::Sync`], syncs it. Returns the sequence up to which may be acknowledged.
    ///
    /// # Errors
    /// The first failure; and then for ever that it is dead.
    pub fn commit(&mut self, batch: impl Iterator<Item = Entry>, now: Nanos) -> io::Result<u64> {
        if self.is_dead {
            return Err(io::Error::other("the journal failed before"));
        }
        let done = self.write(batch, now);
        self.is_dead = done.is_err();
        done
    }

    fn write(&mut self, batch: impl Iterator<Item = Entry>, now: Nanos) -> io::Result<u64> {
        self.buffer.clear();
        for entry in batch {
            let record = Record { sequence: self.position.next_sequence, durable: self.durable, entry };
            self.position.chain = record::write(&mut self.buffer, self.position.chain, &record);
            self.position.next_sequence += 1;
        }
        self.storage.append(&mut self.file, &self.buffer)?;
        self.size += self.buffer.len() as u64;
        if self.durability == Durability::Sync {
            self.sync()?;
        }
        if self.size >= self.segment_size {
            // A segment that has a successor is whole, whatever the durability.
            self.sync()?;
            (self.file, self.size) = begin_segment(&mut self.storage, self.position, self.boot, now)?;
        }
        Ok(self.position.next_sequence - 1)
    }

    /// Closes the journal in order: nothing is written after.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub fn close(&mut self, now: Nanos) -> io::Result<()> {
        self.commit(std::iter::empty(), now)?;
        let ended = self.sync().and_then(|()| self.commit(std::iter::once(Entry::End), now)).and_then(|_| self.sync());
        self.is_dead = true;
        ended
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.durable + 1 < self.position.next_sequence {
            self.storage.sync(&mut self.file)?;
            self.durable = self.position.next_sequence - 1;
        }
        Ok(())
    }
}

/// Creates a segment whose header is on disk before the file has its name.
fn begin_segment<S: Storage>(
    storage: &mut S,
    position: Position,
    boot: [u8; 16],
    now: Nanos,
) -> io::Result<(S::File, u64)> {
    let name = Header::file_name(position.next_sequence);
    let new = format!("{name}.new");
    let header = Header { first_sequence: position.next_sequence, seed: position.chain, created: now, boot }.bytes();
    if storage.list()?.contains(&new) {
        // A crash left it behind before it had its name.
        storage.remove(&new)?;
    }
    let mut file = storage.create(&new)?;
    storage.append(&mut file, &header)?;
    storage.sync(&mut file)?;
    storage.rename(&new, &name)?;
    storage.sync_directory()?;
    Ok((file, header.len() as u64))
}
