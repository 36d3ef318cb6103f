//! The config file: TOML, read at start, and again when the engine is told to.
//!
//! Every key stands with its default in [`sections`], and commented in `example.toml`. An unknown key, a wrong type or value, or keys
//! that contradict each other is an error that names file and line and says what is allowed; nothing is guessed.

mod check;
mod day;
mod sections;
#[cfg(test)]
mod tests;
mod values;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

pub use crate::feed::settings::Join;
pub use day::{DayError, midnight_utc, today};
pub use sections::{
    Account, Clients, Control, Feed, Gateway, Journal, Limits, Line, Login, Memory, StallAction, Stats, Tls, Watchdog,
};

use crate::plan::Topology;

/// A config that has been checked.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the market data comes from.
    pub feed: Feed,
    /// The rule port.
    #[serde(default)]
    pub control: Control,
    /// The alert port and the alert log.
    #[serde(default)]
    pub gateway: Gateway,
    /// What makes rules durable.
    #[serde(default)]
    pub journal: Journal,
    /// TLS in front of the ports.
    pub tls: Option<Tls>,
    /// What holds for the clients of both ports.
    #[serde(default)]
    pub clients: Clients,
    /// Who owns rules.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// How much each shard reserves.
    #[serde(default)]
    pub limits: Limits,
    /// Shards, cores and idle strategies.
    #[serde(default)]
    pub topology: Topology,
    /// Counters and histograms.
    #[serde(default)]
    pub stats: Stats,
    /// What is asked of the kernel for memory.
    #[serde(default)]
    pub memory: Memory,
    /// What becomes of an agent that stands still.
    #[serde(default)]
    pub watchdog: Watchdog,
}

/// Why a config is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The text is no TOML, or a key or a value is not allowed.
    #[error("{}:{line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

/// A value that contradicts another one or a limit: where it stands, and what is allowed.
struct Objection {
    /// Keys and positions from the top: `accounts`, `0`, `name`.
    path: Vec<String>,
    message: String,
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Config::parse(&text, path)
    }

    /// Reads and checks a config's text. `path` is only for messages.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`].
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let wrong = |line, message| ConfigError::Wrong { path: path.into(), line, message };
        let config: Config = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            wrong(line_of(text, start), error.message().replace('\n', ", "))
        })?;
        match check::check(&config) {
            Ok(()) => Ok(config),
            Err(Objection { path, message }) => {
                let line = line_of(text, place_of(text, &path));
                Err(wrong(line, format!("{}: {message}", path.join("."))))
            }
        }
    }

    /// Where the journal is.
    pub fn journal_directory(&self) -> PathBuf {
        self.journal.directory.clone().unwrap_or_else(|| self.gateway.directory.join("journal"))
    }

    /// A commented config that works as it stands, with every key.
    pub fn example() -> &'static str {
        include_str!("example.toml")
    }
}

/// The line, from 1, of a byte of the text.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// Where a key's value stands, or the innermost table around it that is in the text; 0 when there is none.
fn place_of(text: &str, path: &[String]) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 0 };
    let mut place = 0;
    let mut value = &DeValue::Table(table.into_inner());
    for name in path {
        let next = match value {
            DeValue::Table(table) => table.get(name.as_str()),
            DeValue::Array(array) => name.parse().ok().and_then(|index: usize| array.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        place = next.span().start;
        value = next.get_ref();
    }
    place
}
