//! The alert gateway: the alert log, and cursors in it.

pub mod agent;
pub mod log;
pub mod session;
pub mod wire;
