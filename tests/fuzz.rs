//! Every parser of outside bytes under seeded mutations of valid inputs, and again what a fuzzer once found.
//!
//! `FUZZ_ROUNDS=100000 cargo test --release --test fuzz` runs more of them; `FUZZ_SEEDS=FOLDER` writes the inputs that they start from
//! to `FOLDER/TARGET/`, for the fuzzer in `tools/fuzz` to start from too.

#[path = "fuzz/entries.rs"]
mod entries;
mod naive;
#[path = "fuzz/seal.rs"]
mod seal;
#[path = "fuzz/seeds.rs"]
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};

use naive::generate::Random;

/// Mutations of a target, unless `FUZZ_ROUNDS` says how many.
const ROUNDS: u64 = 800;

/// Changes some bytes, as fuzzers do: flips, special numbers, pieces moved, cut, doubled, or taken from another seed.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let end = (at + 1 + random.below(16) as usize).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, b'0', b',', b'"', b'\n']),
            3 => _ = bytes.splice(at..end, std::iter::empty()),
            4 => bytes.insert(at, random.next() as u8),
            5 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                let other = &seeds[random.below(seeds.len() as u64) as usize];
                let from = random.below(other.len() as u64 + 1) as usize;
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ if end - at >= 2 => bytes[at..end].fill(random.next() as u8),
            _ => (),
        }
    }
}

#[test]
fn no_bytes_are_taken_wrongly() {
    let rounds = std::env::var("FUZZ_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("FUZZ_ROUNDS is a number"));
    std::thread::scope(|scope| {
        for (name, entry) in entries::ENTRIES {
            scope.spawn(move || {
                let seeds = seeds::of(name);
                seeds.iter().for_each(|seed| entry(seed));
                for round in 0..rounds {
                    let mut random = Random(round);
                    let mut bytes = seeds[(round % seeds.len() as u64) as usize].clone();
                    mutate(&mut bytes, &seeds, &mut random);
                    let taken = catch_unwind(AssertUnwindSafe(|| entry(&bytes)));
                    assert!(taken.is_ok(), "target {name}, round {round}: {bytes:02x?}");
                }
            });
        }
    });
}

#[test]
fn seeds_are_written_for_who_asks() {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(std::path::PathBuf::from) else { return };
    for (name, _) in entries::ENTRIES {
        std::fs::create_dir_all(folder.join(name)).expect("a folder that can be made");
        for (number, seed) in seeds::of(name).into_iter().enumerate() {
            std::fs::write(folder.join(name).join(format!("seed-{number}")), seed).expect("a folder of our own");
        }
    }
}

/// `tests/fuzz/found/TARGET-WHAT`: inputs that were taken wrongly once.
#[test]
fn what_was_found_once_stays_found() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/found");
    for file in std::fs::read_dir(folder).into_iter().flatten().map(|file| file.expect("a file").path()) {
        let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
        let (target, _) = name.split_once('-').expect("TARGET-WHAT");
        entries::run(target, &std::fs::read(&file).expect("a file"));
    }
}
