//! A disk that crashes where it is told to, and then shows what a disk may show.
//!
//! Every operation has a number. At the one that crashes, and ever after, all fail; [`Disk::after`] gives the disk that the
//! next start finds. After a kill all that was done is there, of a crashing write a part. After a power cut of what was not
//! synced any sectors may be there and others be zero, the file may have any length in between, and of the directory's
//! changes since its last sync any first part may be there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::Storage;

const SECTOR: usize = 512;

/// What ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: the kernel still has all that was written.
    Kill,
    /// The power goes: only what was synced is certain.
    Power,
}

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Clone)]
enum Entry {
    Created(String, usize),
    Renamed(String, String),
    Removed(String),
}

#[derive(Clone, Default)]
struct State {
    files: Vec<Contents>,
    /// The directory as the process sees it, as it is on disk, and what lies between.
    names: BTreeMap<String, usize>,
    names_synced: BTreeMap<String, usize>,
    pending: Vec<Entry>,
    /// What was removed, for who wants to see it all the same.
    removed: BTreeMap<String, usize>,
    operations: usize,
    crash_at: Option<usize>,
    sync_fails_at: Option<usize>,
    room: Option<usize>,
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// A small generator of its own, so that one seed says everything (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

fn apply(names: &mut BTreeMap<String, usize>, entry: &Entry) {
    match entry {
        Entry::Created(name, file) => drop(names.insert(name.clone(), *file)),
        Entry::Renamed(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Entry::Removed(name) => drop(names.remove(name)),
    }
}

impl Disk {
    /// Lets the operation with this number, from 0, and all later ones fail.
    pub fn crash_at(&self, operation: usize) {
        self.0.lock().unwrap().crash_at = Some(operation);
    }

    /// Lets the operation with this number fail if it is a sync, and only that one.
    pub fn sync_fails_at(&self, operation: usize) {
        self.0.lock().unwrap().sync_fails_at = Some(operation);
    }

    /// Lets the disk be full after so many more bytes.
    pub fn full_after(&self, bytes: usize) {
        self.0.lock().unwrap().room = Some(bytes);
    }

    /// Operations so far.
    pub fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    /// Changes a file's bytes.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let file = state.names[name];
        change(&mut state.files[file].bytes);
    }

    /// The disk as the next start finds it.
    pub fn after(&self, crash: Crash, seed: u64) -> Disk {
        let mut state = self.0.lock().unwrap().clone();
        (state.operations, state.crash_at, state.sync_fails_at, state.room) = (0, None, None, None);
        if crash == Crash::Power {
            let mut random = Random(seed);
            let kept = random.next(state.pending.len() + 1);
            let pending = std::mem::take(&mut state.pending);
            pending[..kept].iter().for_each(|entry| apply(&mut state.names_synced, entry));
            state.names = state.names_synced.clone();
            for file in &mut state.files {
                tear(file, &mut random);
                file.synced = file.bytes.len();
            }
        }
        Disk(Arc::new(Mutex::new(state)))
    }

    /// The disk with all that was ever removed from it. Of several of one name the one that is there, or was last.
    pub fn unpruned(&self) -> Disk {
        let mut state = self.0.lock().unwrap().clone();
        let there = std::mem::replace(&mut state.names, state.removed.clone());
        state.names.extend(there);
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Counts an operation; an error when it crashes.
    fn begin(state: &mut State) -> io::Result<()> {
        let operation = state.operations;
        state.operations += 1;
        match state.crash_at {
            Some(at) if operation >= at => Err(io::Error::other("crashed")),
            _ => Ok(()),
        }
    }

    fn change(&self, entry: Entry) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        Disk::begin(&mut state)?;
        apply(&mut state.names, &entry);
        state.pending.push(entry);
        Ok(())
    }
}

/// Of what was not synced, any sectors are lost, and the end.
fn tear(file: &mut Contents, random: &mut Random) {
    let unsynced = file.bytes.len() - file.synced;
    file.bytes.truncate(file.synced + random.next(unsynced + 1));
    let mut at = file.synced;
    while at < file.bytes.len() {
        let end = (at / SECTOR + 1) * SECTOR;
        let end = end.min(file.bytes.len());
        if random.next(3) == 0 {
            file.bytes[at..end].fill(0);
        }
        at = end;
    }
}

impl Storage for Disk {
    type File = usize;
    type Bytes = Vec<u8>;

    fn create(&mut self, name: &str) -> io::Result<usize> {
        let file = {
            let mut state = self.0.lock().unwrap();
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.files.push(Contents::default());
            state.files.len() - 1
        };
        self.change(Entry::Created(name.into(), file)).map(|()| file)
    }

    fn open(&mut self, name: &str) -> io::Result<usize> {
        let state = self.0.lock().unwrap();
        state.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into())
    }

    fn append(&mut self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let was_crashed = state.crash_at.is_some_and(|at| state.operations > at);
        let begun = Disk::begin(&mut state);
        // The write that the crash interrupts gets half way; later ones get nowhere.
        let mut count = if begun.is_ok() {
            bytes.len()
        } else if was_crashed {
            0
        } else {
            bytes.len() / 2
        };
        let is_full = state.room.is_some_and(|room| room < count);
        if let Some(room) = &mut state.room {
            count = count.min(*room);
            *room -= count;
        }
        state.files[*file].bytes.extend_from_slice(&bytes[..count]);
        begun?;
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let fails = state.sync_fails_at == Some(state.operations);
        Disk::begin(&mut state)?;
        if fails {
            return Err(io::Error::other("input/output error"));
        }
        let file = &mut state.files[*file];
        file.synced = file.bytes.len();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(Entry::Renamed(from.into(), to.into()))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let file = self.0.lock().unwrap().names.get(name).copied();
        self.change(Entry::Removed(name.into()))?;
        self.0.lock().unwrap().removed.extend(file.map(|file| (name.into(), file)));
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        Disk::begin(&mut state)?;
        state.names_synced = state.names.clone();
        state.pending.clear();
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let file = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*file].bytes.clone())
    }
}
