//! A fuzz target: the entry that has the binary's name. See `Cargo.toml` beside this for how to run one.
#![no_main]

#[path = "../../../tests/fuzz/entries.rs"]
mod entries;
#[path = "../../../tests/naive/mod.rs"]
#[allow(dead_code)]
mod naive;
#[path = "../../../tests/fuzz/seal.rs"]
mod seal;
#[path = "../../../tests/fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::run(env!("CARGO_BIN_NAME"), bytes));
