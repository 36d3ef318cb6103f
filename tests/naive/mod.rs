//! `hairtrigger replay` once more, written from the page that describes it and from nothing else, in the plainest way
//! that can be: lists, sorted maps, every rule looked at for every value, numbers that cannot wrap. It is the oracle that the
//! real one is compared with byte for byte, so it shares no code with it. Sentences in quotes are that page's.

#![allow(dead_code)] // each test program uses a part of it

pub mod decimal;
pub mod encode;
pub mod feed;
pub mod generate;
pub mod ground;
pub mod itch;
pub mod market;
pub mod real;
pub mod recorded;
pub mod rules;
pub mod scenario;
pub mod world;

use itch::Skipped;
use world::World;

/// "this header, this order of columns"
pub const HEADER: &str =
    "sequence,ts_event,event,reason,last,account,user,symbol,slot,version,tag,signal,when,threshold,price\n";

/// What a replay gives.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Replayed {
    pub events_csv: String,
    pub messages: u64,
    pub prints: u64,
    pub unknown_orders: u64,
    pub symbol_conflicts: u64,
    pub malformed: u64,
    pub unknown_types: u64,
    pub commands: u64,
    pub alerts: u64,
    /// Damage of the file (exit 1): what, and the byte offset.
    pub error: Option<(&'static str, u64)>,
}

impl Replayed {
    /// A count by its name in the summary.
    pub fn count(&self, name: &str) -> u64 {
        self.counts().into_iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no count is called {name}")).1
    }

    /// The counts of the summary.
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        [
            ("messages", self.messages),
            ("prints", self.prints),
            ("unknown_orders", self.unknown_orders),
            ("symbol_conflicts", self.symbol_conflicts),
            ("malformed", self.malformed),
            ("unknown_types", self.unknown_types),
            ("commands", self.commands),
            ("alerts", self.alerts),
        ]
    }
}

/// Why nothing was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NaiveError {
    /// Exit 2. The line counts from 1; the column is `None` where the line as a whole is wrong.
    Rules { line: usize, column: Option<&'static str> },
    /// Exit 1: "A file without one well-formed message is no feed".
    NoFeed,
}

/// Replays `rules_csv` over `feed`.
pub fn replay(feed: &[u8], rules_csv: &[u8]) -> Result<Replayed, NaiveError> {
    // "Rules are read before the feed."
    let commands = rules::read(rules_csv)?;
    let feed = feed::read(feed).ok_or(NaiveError::NoFeed)?;
    if !feed.empty_session && !feed.messages.iter().any(|(_, bytes)| itch::check(bytes).is_ok()) {
        return Err(NaiveError::NoFeed);
    }
    let mut out = Replayed { error: feed.damage, ..Replayed::default() };
    let mut world = World::default();
    let mut waiting = commands.iter().peekable();
    for (sequence, bytes) in &feed.messages {
        // "sequence of the message *before* which the row takes effect (in a gap: before the next message that is there)"
        while let Some(command) = waiting.next_if(|c| c.at <= *sequence) {
            world.command(command);
            out.commands += 1;
        }
        out.messages += 1;
        // "skipped and counted; it takes a sequence number, but its stamp is not time"
        match itch::check(bytes) {
            Err(Skipped::Malformed) => out.malformed += 1,
            Err(Skipped::UnknownType) => out.unknown_types += 1,
            Ok(message) => {
                let effect = world.message(*sequence, &message);
                out.prints += u64::from(effect.print.is_some());
                out.unknown_orders += u64::from(effect.unknown_order);
                out.symbol_conflicts += u64::from(effect.symbol_conflict);
            }
        }
    }
    // "Rows with an `at` beyond the last message take effect after it."
    for command in waiting {
        world.command(command);
        out.commands += 1;
    }
    world.end();
    out.alerts = world.alerts;
    out.events_csv = format!("{HEADER}{}", world.rows);
    Ok(out)
}
