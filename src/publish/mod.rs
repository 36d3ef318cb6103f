//! A recorded feed as MoldUDP64 on lines A and B, impaired on purpose, with a re-request server.
//!
//! ```text
//!   messages --> packetizer --+--> impairment A --> line A
//!      |                      +--> impairment B --> line B
//!      +--> rerequest: request -> answer, unicast
//! ```
//!
//! Packets do not depend on when the sender gets to run: the same feed and settings give the same packets on both lines,
//! in a capture and live. Only [`sender`] knows sockets.

pub mod capture;
pub mod impair;
pub mod messages;
pub mod packetizer;
pub mod rerequest;
pub mod sender;
#[cfg(test)]
mod tests;

pub use impair::Rates;
pub use messages::Messages;
pub use packetizer::Pace;
pub use sender::{LineSettings, Publisher, SentTimes, Settings};
