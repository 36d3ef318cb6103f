//! Atomics of what is shared by design of our own. `tests/loom.rs` compiles the files that use them once more, with loom's in this
//! place, and runs every order that their threads may see.

pub use std::sync::atomic;
