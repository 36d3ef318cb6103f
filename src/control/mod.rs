//! Rule control: requests over TCP to commands in rings, outcomes to answers.

pub mod agent;
pub mod sequencer;
pub mod session;
pub mod wire;
