//! The feed: bytes to packets to messages to market events.

pub mod agent;
pub mod arbiter;
mod astray;
mod batch;
pub mod binaryfile;
pub mod counts;
pub mod downstream;
mod gap;
pub mod gunzip;
pub mod history;
pub mod itch;
pub mod moldudp64;
pub mod pcap;
pub mod recording;
mod session;
pub mod settings;
pub mod socket;
mod window;
