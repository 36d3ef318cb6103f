//! Writing a snapshot: in one go, under another name, and it has its own only when all of it is on disk.

use std::io;

use super::chunk::{self, RuleChunk};
use super::{CHUNK_HEADER_SIZE, Covers, END_SIZE, FateRow, NamedRule, SymbolRow, Totals, chunk_checksum, kind, u32_at};
use crate::journal::storage::Storage;
use crate::limits::SNAPSHOT_CHUNK;

/// The ending of a snapshot's name while it is written.
const NEW: &str = ".snapshot.new";

/// A snapshot that is being written. Dropped before [`Self::finish`] it leaves a file behind that the next one removes.
pub struct SnapshotWriter<'a, S: Storage> {
    storage: &'a mut S,
    file: S::File,
    name: String,
    crc: u32,
    totals: Totals,
    rules: RuleChunk,
    buffer: Vec<u8>,
}

impl<'a, S: Storage> SnapshotWriter<'a, S> {
    /// Begins one that goes so far, with its symbols and fates, both in order.
    ///
    /// # Errors
    /// What the system says; so for all others.
    pub fn begin(
        storage: &'a mut S,
        covers: &Covers,
        symbols: &[SymbolRow],
        fates: &[FateRow],
    ) -> io::Result<SnapshotWriter<'a, S>> {
        for left in storage.list()?.iter().filter(|name| name.ends_with(NEW)) {
            storage.remove(left)?;
        }
        let name = covers.file_name();
        let mut file = storage.create(&format!("{name}.new"))?;
        let header = covers.bytes();
        storage.append(&mut file, &header)?;
        let crc = u32_at(&header, 12).unwrap_or_default();
        let (rules, buffer) = (RuleChunk::default(), vec![]);
        let mut writer = SnapshotWriter { storage, file, name, crc, totals: Totals::default(), rules, buffer };
        for rows in symbols.chunks(SNAPSHOT_CHUNK) {
            writer.write(kind::SYMBOLS, rows.len(), &chunk::symbols(rows))?;
        }
        for rows in fates.chunks(SNAPSHOT_CHUNK) {
            writer.write(kind::FATES, rows.len(), &chunk::fates(rows))?;
        }
        writer.totals.symbols = symbols.len() as u64;
        writer.totals.fates = fates.len() as u64;
        Ok(writer)
    }

    /// Adds the next rule, by symbol and version.
    ///
    /// # Errors
    /// See [`Self::begin`].
    pub fn rule(&mut self, rule: &NamedRule) -> io::Result<()> {
        self.rules.push(rule);
        if self.rules.count() == SNAPSHOT_CHUNK { self.flush() } else { Ok(()) }
    }

    /// Ends it: from here on it is there, whatever happens. Returns what is in it.
    ///
    /// # Errors
    /// See [`Self::begin`].
    pub fn finish(mut self) -> io::Result<Totals> {
        self.flush()?;
        let Totals { symbols, fates, rules } = self.totals;
        let mut end = [0; END_SIZE];
        for (place, number) in end.chunks_exact_mut(8).zip([symbols, fates, rules]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        self.write(kind::END, 0, &end)?;
        self.storage.sync(&mut self.file)?;
        self.storage.rename(&format!("{}.new", self.name), &self.name)?;
        self.storage.sync_directory()?;
        Ok(self.totals)
    }

    fn flush(&mut self) -> io::Result<()> {
        let count = self.rules.count();
        if count == 0 {
            return Ok(());
        }
        self.totals.rules += count as u64;
        let archive = self.rules.take();
        self.write(kind::RULES, count, &archive)
    }

    fn write(&mut self, kind: u32, count: usize, archive: &[u8]) -> io::Result<()> {
        let chunk = &mut self.buffer;
        chunk.clear();
        for number in [archive.len() as u32, 0, kind, count as u32] {
            chunk.extend_from_slice(&number.to_le_bytes());
        }
        chunk.extend_from_slice(archive);
        chunk.resize(chunk.len().next_multiple_of(CHUNK_HEADER_SIZE), 0);
        self.crc = chunk_checksum(self.crc, chunk);
        chunk[4..8].copy_from_slice(&self.crc.to_le_bytes());
        self.storage.append(&mut self.file, chunk)
    }
}
