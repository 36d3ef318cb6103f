//! What a replay carries out, and where: the rows of a rules file, or what a journal says was carried out.

use std::fmt;

use super::told::{Cause, Told};
use crate::archive::{Day, Placed};
use crate::model::{ChangeKind, Nanos, Refusal, RestoredRule, RestoredSymbol, RuleState};
use crate::rules_csv::{Op, Row, RulesFile};

/// A script.
#[derive(Default)]
pub struct Script {
    /// What is carried out, in order, and the accounts' names.
    pub file: RulesFile,
    /// What the journal says of each row; empty for a rules file.
    journaled: Vec<Placed>,
    /// Rules that stand before the first message,
    pub rules: Vec<RestoredRule>,
    /// and what is known of their symbols.
    pub symbols: Vec<RestoredSymbol>,
    /// What is added to the feed's stamps. A rules file's times are times of day: nothing.
    pub midnight: Nanos,
    /// The feed's session, of a journal's day.
    pub session: [u8; 10],
    /// True when it comes from a journal.
    pub is_journal: bool,
}

/// A row of which journal and replay say different things.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    row: Row,
    version: u64,
    state: Option<RuleState>,
    replayed: Result<(u64, Option<RuleState>), Refusal>,
}

impl Script {
    /// Of a rules file.
    pub fn of_rules(file: RulesFile) -> Script {
        Script { file, ..Script::default() }
    }

    /// Of a day of the journal, whose stamps count from `midnight` in UTC nanoseconds.
    pub fn of_day(day: Day, midnight: Nanos) -> Script {
        let rows = day.changes.iter().map(row).collect();
        Script {
            file: RulesFile { accounts: day.accounts, rows },
            journaled: day.changes,
            rules: day.before.rules,
            symbols: day.before.symbols,
            midnight,
            session: day.session,
            is_journal: true,
        }
    }

    /// The feed time that a row is judged by: what its shard knew, or `now` where nobody has written that down.
    pub fn feed_time(&self, row: usize, now: Nanos) -> Nanos {
        self.journaled.get(row).map_or(now, |placed| placed.change.feed_time)
    }

    /// The version that a row's set was given, where a journal says that.
    pub fn set_version(&self, row: usize) -> Option<u64> {
        let change = self.journaled.get(row)?.change;
        matches!(change.kind, ChangeKind::Set(..)).then_some(change.version)
    }

    /// By what the telling of all shards is sorted: the sequence, and before its message the commands in their order. A
    /// command's sequence is its row's: its shard knows only between which of its own messages it came.
    pub fn order(&self, told: &Told) -> (u64, u64) {
        match told.cause() {
            Cause::Message(sequence) => (sequence, u64::MAX),
            Cause::Command(ordinal) => {
                let row = ordinal as usize - 1;
                (self.file.rows[row].at, self.journaled.get(row).map_or(ordinal, |placed| placed.change.ordinal))
            }
        }
    }

    /// What became of a row here, where that is not what the journal says.
    pub fn difference(&self, told: &Told) -> Option<Difference> {
        let (ordinal, replayed) = match told {
            Told::Alert(_) => return None,
            Told::Refused { ordinal, refusal, .. } => (*ordinal, Err(*refusal)),
            Told::Done { ordinal, version, state } => (*ordinal, Ok((*version, *state))),
        };
        let row = ordinal as usize - 1;
        let change = self.journaled.get(row)?.change;
        let state = match change.kind {
            ChangeKind::Set(_, state) => Some(state),
            ChangeKind::Removed => None,
        };
        let difference = Difference { row: self.file.rows[row], version: change.version, state, replayed };
        (replayed.ok() != Some((change.version, state))).then_some(difference)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { at, user, symbol, slot, op, .. } = self.row;
        let what = if matches!(op, Op::Set(_)) { "set" } else { "remove" };
        write!(
            f,
            "{what} before message {at}, user {user}, {symbol}, slot {slot}: the journal says version {}",
            self.version
        )?;
        let state =
            |state: Option<RuleState>| state.map_or(String::new(), |state| format!(" {state:?}").to_lowercase());
        write!(f, "{}, the replay ", state(self.state))?;
        match self.replayed {
            Ok((version, replayed)) => write!(f, "version {version}{}", state(replayed)),
            Err(refusal) => write!(f, "{refusal}"),
        }
    }
}

fn row(placed: &Placed) -> Row {
    let key = placed.change.key;
    let op = match placed.change.kind {
        ChangeKind::Set(spec, _) => Op::Set(spec),
        ChangeKind::Removed => Op::Remove { tag: 0 },
    };
    Row { at: placed.at, user: key.user, symbol: key.symbol, slot: key.slot, account: placed.account, op }
}
