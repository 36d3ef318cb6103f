//! Commands where they took effect: the journal's, removes that only the log has, and what was refused.

use std::collections::BTreeMap;

use hairtrigger::control::wire::{Answer, Ask, Body, Code};
use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::model::{Change, ChangeKind, Reason, RuleKey};

use super::ledger::{self, Asked, Key, Ledger, key_of};
use super::network::place_of;
use super::translate::{day_time, remove, set};
use crate::naive::rules::Command;

/// A command where it took effect.
pub struct Effective {
    pub key: Key,
    pub at: u64,
    /// Twice the ordinal; one more for what was refused right behind it.
    order: u64,
    pub feed_time: u64,
    pub version: Option<u64>,
    pub refused: Option<&'static str>,
    pub command: Command,
}

impl Effective {
    /// What names it in the log: its key and ordinal. `None` for what was refused, which is not there.
    pub fn of_log(&self) -> Option<(Key, u64)> {
        self.refused.is_none().then_some((self.key, self.order / 2))
    }
}

/// All of them, in their order.
pub fn effective(ledger: &Ledger, log: &[RuleMessage]) -> Vec<Effective> {
    let mut effects = Effects::default();
    ledger.changes.iter().for_each(|(_, change)| effects.journaled(change));
    log.iter().for_each(|message| effects.logged(message));
    // By key, whose commands all come from one login and in the order of their ids.
    let mut latest = BTreeMap::new();
    ledger.asked.iter().for_each(|(id, asked)| effects.asked(*id, asked, &mut latest));
    effects.commands.sort_by_key(|command| (command.at, command.order));
    effects.commands
}

/// The ordinal of a key's last command so far, and the version that it has.
#[derive(Clone, Copy, Default)]
struct Latest {
    ordinal: u64,
    version: Option<u64>,
}

#[derive(Default)]
struct Effects {
    commands: Vec<Effective>,
    /// By tag, which is the request's id: ordinal and version.
    sets: BTreeMap<u64, (u64, u64)>,
    /// Symbols and versions of the sets.
    versions: Vec<(u64, u64)>,
    /// By symbol and version of what ended: the remove's ordinal.
    removed: BTreeMap<(u64, u64), u64>,
    /// By symbol: how far its commands have come,
    reached: BTreeMap<u64, u64>,
    /// and by ordinal where each took effect.
    places: BTreeMap<u64, u64>,
}

impl Effects {
    fn journaled(&mut self, change: &Change) {
        let of = (change.key.symbol.0, change.version);
        let (version, command) = match change.kind {
            ChangeKind::Set(spec, _) => {
                self.sets.insert(spec.tag, (change.ordinal, change.version));
                self.versions.push(of);
                (Some(change.version), set(&change.key, &spec, spec.tag))
            }
            ChangeKind::Removed => {
                self.removed.insert(of, change.ordinal);
                (None, remove(&change.key))
            }
        };
        // An engine that reads on somewhat before its predecessor's end takes commands at places that this one had passed: what that had
        // seen there fires nothing again, so they hold from where it had come to.
        let reached = self.reached.entry(of.0).or_default();
        *reached = place_of(&change.feed_session, change.feed_sequence).max(*reached);
        self.places.insert(change.ordinal, *reached);
        self.commands.push(Effective {
            key: ledger::key(usize::from(change.key.account), &change.key),
            at: *reached,
            order: 2 * change.ordinal,
            feed_time: day_time(change.feed_time),
            version,
            refused: None,
            command,
        });
    }

    /// A remove that the log tells of and the journal does not have.
    fn logged(&mut self, message: &RuleMessage) {
        let of = (message.symbol.0, message.version);
        let is_remove = message.kind == Kind::Ended && message.reason == Reason::Removed;
        if !is_remove || self.removed.contains_key(&of) || !self.versions.contains(&of) {
            return;
        }
        self.removed.insert(of, message.ordinal);
        let (key, RuleMessage { user, symbol, slot, .. }) = (key_of(message), *message);
        self.commands.push(Effective {
            key,
            at: place_of(&message.feed_session, message.sequence),
            order: 2 * message.ordinal,
            feed_time: day_time(message.ts_event),
            version: None,
            refused: None,
            command: remove(&RuleKey { user, symbol, slot, account: key.0 as u16 }),
        });
    }

    /// The next request of its login: what was refused stands behind the last command of its key.
    fn asked(&mut self, id: u64, asked: &Asked, latest: &mut BTreeMap<Key, Latest>) {
        let (key, command) = match asked.ask {
            Ask::Set(key, spec) => (key, set(&RuleKey { account: asked.account as u16, ..key }, &spec, id)),
            Ask::Remove(key, _) => (key, remove(&RuleKey { account: asked.account as u16, ..key })),
            Ask::RemoveUser { user } => return self.asked_of_user((asked.account, user), latest),
            Ask::List { .. } => return,
        };
        let full = ledger::key(asked.account, &key);
        let latest = latest.entry(full).or_default();
        if let Some(&(ordinal, version)) = self.sets.get(&id) {
            *latest = Latest { ordinal, version: Some(version) };
        }
        let gone = match asked.answer.map(|answer| answer.body) {
            Some(Body::RemoveDone { version, .. }) => Some(version),
            // By a remove whose answer never came, perhaps.
            Some(Body::Refused { code: Code::UnknownKey, .. }) => latest.version,
            _ => None,
        };
        if let Some(ordinal) = gone.and_then(|version| self.removed.get(&(full.2, version))) {
            latest.ordinal = *ordinal;
        }
        let Some((answer, reason)) = asked.answer.and_then(refusal) else { return };
        let place = ledger::place(&answer).expect("refusals have a place");
        self.commands.push(Effective {
            key: full,
            at: place_of(&place.session, place.sequence).max(self.places.get(&latest.ordinal).copied().unwrap_or(0)),
            order: 2 * latest.ordinal + 1,
            feed_time: day_time(place.feed_time),
            version: None,
            refused: Some(reason),
            command,
        });
    }

    /// All rules of a user were to be removed.
    fn asked_of_user(&self, of: (usize, u64), latest: &mut BTreeMap<Key, Latest>) {
        for (key, latest) in latest.iter_mut().filter(|(key, _)| (key.0, key.1) == of) {
            let ordinal = latest.version.and_then(|version| self.removed.get(&(key.2, version)));
            latest.ordinal = ordinal.copied().unwrap_or(latest.ordinal);
        }
    }
}

/// A refusal that `replay` knows too.
fn refusal(answer: Answer) -> Option<(Answer, &'static str)> {
    let Body::Refused { code, .. } = answer.body else { return None };
    let reason = match code.to_string().as_str() {
        "unknown_key" => "unknown_key",
        "already_true" => "already_true",
        "expired" => "expired",
        other => panic!("a refusal that should not be: {other}"),
    };
    Some((answer, reason))
}
