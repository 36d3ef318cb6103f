//! The alert gateway: the alert log, and cursors in it.
//!
//! ```text
//!  alert rings --> intake --append--> log (segments, an index per account) --cursor--> session --> client
//!                    |                 ^
//!                    +-- busts --------+ walks the log and appends what was busted
//! ```
//!
//! A session sends from its own position in the log: a slow client holds up nobody, needs no queue, and resumes. The log
//! survives the process: [`logs`] has all that are kept, [`log::opened`] reads one back, and [`history`] hands it to recovery.

pub mod agent;
pub mod busts;
pub mod history;
pub mod index;
pub mod intake;
pub mod log;
pub mod logs;
pub mod marks;
pub mod preparer;
pub mod record;
pub mod segment;
pub mod session;
pub mod settings;
pub mod wire;
