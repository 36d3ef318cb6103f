//! What a power cut leaves of the alert log: every page that was not synced as it was last synced, as it is, or something between.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::log::segments;
use crate::naive::generate::Random;

const PAGE: usize = 4_096;

/// What is certainly on disk of the alert log: by file its bytes when it was last synced.
#[derive(Default)]
pub struct Synced(BTreeMap<PathBuf, Vec<u8>>);

impl Synced {
    /// All segments below `directory` were synced just now.
    pub fn all(&mut self, directory: &Path) {
        self.0 = segments(directory).into_iter().map(|path| (path.clone(), read(&path))).collect();
    }

    /// The active one was: the last one that has a first number.
    pub fn active(&mut self, directory: &Path) {
        let files = segments(directory).into_iter().rev().map(|path| (path.clone(), read(&path)));
        self.0.extend(files.into_iter().find(|(_, bytes)| bytes[24..32] != [0; 8]));
    }

    /// The power goes.
    pub fn cut(&mut self, directory: &Path, random: &mut Random) {
        let mut may_vanish = true;
        for path in segments(directory).into_iter().rev() {
            let synced = self.0.get(&path);
            // The folder was not synced since the file was created, nor since those behind it were.
            may_vanish &= synced.is_none();
            if may_vanish && random.once_in(3) {
                fs::remove_file(&path).expect("a file of our own");
                continue;
            }
            may_vanish = false;
            let mut bytes = read(&path);
            let zeros = vec![0; bytes.len()];
            tear(&mut bytes, synced.unwrap_or(&zeros), random);
            fs::write(&path, bytes).expect("a file of our own");
        }
        self.all(directory);
    }
}

fn tear(bytes: &mut [u8], synced: &[u8], random: &mut Random) {
    for (page, synced) in bytes.chunks_mut(PAGE).zip(synced.chunks(PAGE)) {
        let from = match random.below(4) {
            0 => 0,
            // As it was at some moment since: records are appended.
            1 => random.below(PAGE as u64) as usize,
            _ => PAGE,
        };
        page[from..].copy_from_slice(&synced[from..]);
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a segment")
}
