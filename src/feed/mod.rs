//! The feed: bytes to packets to messages to market events.

pub mod agent;
pub mod arbiter;
pub mod binaryfile;
pub mod itch;
pub mod moldudp64;
pub mod pcap;
pub mod recording;
