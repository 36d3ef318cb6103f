//! What the log of earlier runs tells the intake: the feed's session, which prints caused which alerts, and whether a kill came
//! while a broken print's alerts were being named.

use super::super::busts::{Print, Stretch};
use super::super::log::{AlertLog, DROP_COPY};
use super::super::logs::Logs;
use super::super::record::{Audience, Record};
use super::super::wire::{Kind, Message, RuleMessage};
use super::{BLANK, Intake, Job};
use crate::model::{Alert, AlertKind, RuleKey, flag};

/// The naming of a broken print's alerts that has begun: the last one that was named.
struct Named {
    source: usize,
    print: Print,
    busted: RuleMessage,
}

impl Intake {
    /// Takes over what the current log tells. To be called once, before anything is taken.
    pub fn resume(&mut self, logs: &Logs) {
        let log = logs.current();
        let (mut is_announced, mut named) = (false, vec![]);
        for (offset, record) in log.records().filter(|(_, record)| record.audience != Audience::Nobody) {
            let Some(message) = Message::read(record.message()) else { continue };
            let (session, is_new) = match &message {
                Message::Rule(rule) => (rule.feed_session, false),
                Message::Announcement(said) => (said.feed_session, said.kind == Kind::Session),
            };
            // Around a change of session alerts of the earlier one may follow. Only where the retention has taken the
            // announcement the latest message must do.
            if session != BLANK && session != self.desk.feed_session && (is_new || !is_announced) {
                self.begin_session(session);
                named.clear();
            }
            is_announced |= is_new;
            if let Message::Rule(rule) = message
                && session == self.desk.feed_session
                && !self.sources.is_empty()
            {
                self.note(log, offset, &record, rule, &mut named);
            }
        }
        let former = logs.over().last().and_then(|(_, log)| last_session(log));
        let is_cut = !is_announced && log.oldest(DROP_COPY) > 1;
        self.desk.incomplete = if is_cut { self.desk.feed_session } else { former.unwrap_or(BLANK) };
        if self.desk.incomplete == self.desk.feed_session {
            self.sources.iter_mut().for_each(|source| source.prints.busts.miss());
        }
        named.into_iter().for_each(|named| self.resume_job(log, &named));
    }

    fn begin_session(&mut self, session: [u8; 10]) {
        self.desk.feed_session = session;
        for source in &mut self.sources {
            source.feed_session = Some(session);
            source.prints.clear();
        }
    }

    fn note(&mut self, log: &AlertLog, offset: u64, record: &Record<'_>, rule: RuleMessage, named: &mut Vec<Named>) {
        let source = rule.symbol.shard(self.sources.len());
        let prints = &mut self.sources[source].prints;
        let print = Print { locate: record.locate, match_number: rule.match_number };
        if rule.kind == Kind::Alert && rule.flags & flag::BY_PRINT != 0 {
            prints.busts.note(print, offset);
        }
        if rule.kind == Kind::Busted {
            named.retain(|named| named.print != print);
            let last = prints.busts.get(print).and_then(|Stretch { last, .. }| log.record(last));
            if last.is_some_and(|last| last.number > rule.drop_copy_number) {
                named.push(Named { source, print, busted: rule });
            } else {
                prints.busts.take(print);
            }
        }
    }

    fn resume_job(&mut self, log: &AlertLog, named: &Named) {
        let Named { source, print, busted } = named;
        let source = &mut self.sources[*source];
        let Some(Stretch { last, .. }) = source.prints.take(*print) else { return };
        let named_at = log.offset(DROP_COPY, busted.drop_copy_number).unwrap_or(log.start());
        let Some(at) = log.following(named_at) else { return };
        let broken = Alert {
            key: RuleKey { symbol: busted.symbol, ..RuleKey::NONE },
            sequence: busted.sequence,
            ts_event: busted.ts_event,
            ts_recv: busted.ts_recv,
            ts_match: busted.ts_match,
            match_number: print.match_number,
            locate: print.locate,
            ..Alert::new(AlertKind::Broken)
        };
        source.resumed.push(Job { broken, at, last, is_told_unresolved: false });
    }
}

/// The feed's session in the last message of a log.
fn last_session(log: &AlertLog) -> Option<[u8; 10]> {
    let last = log.record(log.offset(DROP_COPY, log.next(DROP_COPY) - 1)?)?;
    match Message::read(last.message())? {
        Message::Rule(rule) => Some(rule.feed_session),
        Message::Announcement(said) => Some(said.feed_session),
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
