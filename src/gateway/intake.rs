//! The intake: alerts from the shards' rings into the log, and what a broken print busts.
//!
//! Each source (a shard's ring) goes its own way. When a print with alerts is broken, the source waits until the job
//! that names them is done, in slices; what was taken with it is held, the other sources go on. Nothing is taken that
//! the log has no room for: it stays in the ring, and so on upstream.
//!
//! Every shard sends `Session`, because sessions change at another place in each ring: from then on that source's
//! alerts bear the new session, and its match numbers are forgotten. Clients are told once, by the first of them. A run that
//! goes on with a log knows from it what was announced and which prints caused what: see [`resume`].

mod resume;

use super::busts::{Busts, Print, Stretch};
use super::log::AlertLog;
use super::marks::Name;
use super::record::Audience;
use super::wire::{Announcement, Kind, Message, RuleMessage};
use crate::counts;
use crate::limits::{ALERTS_PER_CYCLE, BUST_RECORDS_PER_CYCLE};
use crate::model::{Alert, AlertKind, Nanos, Reason, flag};
use crate::ring::Receiver;
use crate::sys::clock::Stamp;

/// Before the feed's first session.
const BLANK: [u8; 10] = [b' '; 10];

counts! {
    /// What went into the log.
    pub struct IntakeCounts {
        /// Alerts and ends of rules.
        alerts,
        /// Announcements to everyone.
        announcements,
        /// Records that only the log sees.
        internals,
        /// Alerts that a broken print named.
        busted,
        /// Broken prints whose alerts could not all be named.
        busted_unresolved,
        /// Alerts whose print could not be remembered.
        bust_overflows,
        /// Cycles in which a source waited for room in the log.
        log_waits,
    }
}

/// The sources.
pub struct Intake {
    sources: Vec<Source>,
    desk: Desk,
}

impl Intake {
    /// An intake of these rings, one a shard, for accounts with these names (by account number), into this log. Each source
    /// remembers up to `prints_max` prints.
    pub fn new(rings: Vec<Receiver<Alert>>, accounts: &[Name], log: &AlertLog, prints_max: usize) -> Intake {
        let sources = rings.into_iter().map(|ring| Source::new(ring, prints_max)).collect();
        let of_name = |name: &Name| (*name, log.account(name).map_or(Audience::Nobody, Audience::Account));
        let accounts = accounts.iter().map(of_name).collect();
        let desk = Desk { accounts, feed_session: BLANK, incomplete: BLANK, counts: IntakeCounts::default() };
        Intake { sources, desk }
    }

    /// The next account by number has this name, and a stream in the log.
    pub fn name(&mut self, name: &Name, log: &AlertLog) {
        self.desk.accounts.push((*name, log.account(name).map_or(Audience::Nobody, Audience::Account)));
    }

    /// Takes from each ring what it has, within bounds and as far as the log has room. `now` is asked for `ts_log` when alerts are
    /// taken, and again for every few of them: a stamp for the whole cycle would be older than the `ts_match` of what came while it
    /// went on. `logged` gets the ns from `ts_recv` to `ts_log` of each alert that a datagram caused. Returns how much was done.
    pub fn take(
        &mut self,
        log: &mut AlertLog,
        now: &mut impl FnMut() -> Nanos,
        logged: &mut impl FnMut(Nanos),
    ) -> usize {
        let mut work = 0;
        for source in &mut self.sources {
            work += source.take(&mut self.desk, log, now, logged);
        }
        work
    }

    /// True when every ring is empty and nothing is held: to be waited for at a stop.
    pub fn is_empty(&self) -> bool {
        self.sources.iter().all(|source| source.ring.is_empty() && source.is_idle())
    }

    /// By source: alerts that are in the log, or needed no place there.
    pub fn logged(&self) -> impl Iterator<Item = u64> + '_ {
        self.sources.iter().map(|source| source.taken - (source.held.len() - source.held_from) as u64)
    }

    /// What was counted.
    pub fn counts(&self) -> IntakeCounts {
        let bust_overflows = self.sources.iter().map(|source| source.prints.busts.overflows()).sum();
        IntakeCounts { bust_overflows, ..self.desk.counts }
    }
}

/// What the sources share.
struct Desk {
    /// Name and stream of each account, by its number in the config.
    accounts: Vec<(Name, Audience)>,
    /// The session that was announced last.
    feed_session: [u8; 10],
    /// The session of which there were prints that no table has: an earlier log, or the retention, has taken them.
    incomplete: [u8; 10],
    counts: IntakeCounts,
}

impl Desk {
    fn announce(&mut self, log: &mut AlertLog, alert: &Alert, feed_session: [u8; 10], ts_log: Nanos) {
        let announcement = Announcement::of(alert, feed_session, ts_log);
        let size = announcement.kind.size();
        log.append(Audience::Everyone, alert.locate, size, |out| announcement.write(out));
        self.counts.announcements += 1;
    }
}

/// The naming of a broken print's alerts, under way.
struct Job {
    broken: Alert,
    /// Offset of the next record to look at, and of the last.
    at: u64,
    last: u64,
    is_told_unresolved: bool,
}

struct Source {
    ring: Receiver<Alert>,
    /// Alerts taken from it so far.
    taken: u64,
    /// Taken from the ring together with the `Broken` that the job is about; `held[held_from..]` is left.
    held: Vec<Alert>,
    held_from: usize,
    job: Option<Job>,
    /// Jobs that a kill has cut short: they come first.
    resumed: Vec<Job>,
    prints: Prints,
    feed_session: Option<[u8; 10]>,
}

/// The prints that caused alerts. A place in the table is a miss of every cache, and nobody waits for it: what a
/// cycle logs is entered when the next one begins, after it was sent.
struct Prints {
    busts: Busts,
    /// Logged, and not entered yet.
    latest: Vec<(Print, u64)>,
}

impl Prints {
    #[inline]
    fn note(&mut self, print: Print, offset: u64) {
        self.busts.prefetch(print);
        self.latest.push((print, offset));
    }

    #[inline]
    fn enter(&mut self) {
        self.latest.drain(..).for_each(|(print, offset)| self.busts.note(print, offset));
    }

    fn take(&mut self, print: Print) -> Option<Stretch> {
        self.enter();
        self.busts.take(print)
    }

    fn clear(&mut self) {
        self.latest.clear();
        self.busts.clear();
    }
}

impl Source {
    fn new(ring: Receiver<Alert>, prints_max: usize) -> Source {
        let held = Vec::with_capacity(ALERTS_PER_CYCLE);
        // A cycle logs what it takes from the ring, or what it held of an earlier one, and both at most once.
        let latest = Vec::with_capacity(2 * ALERTS_PER_CYCLE);
        let prints = Prints { busts: Busts::new(prints_max), latest };
        Source { ring, taken: 0, held, held_from: 0, job: None, resumed: vec![], prints, feed_session: None }
    }

    fn is_idle(&self) -> bool {
        self.job.is_none() && self.resumed.is_empty() && self.held_from == self.held.len()
    }

    fn take(
        &mut self,
        desk: &mut Desk,
        log: &mut AlertLog,
        now: &mut impl FnMut() -> Nanos,
        logged: &mut impl FnMut(Nanos),
    ) -> usize {
        self.prints.enter();
        if self.job.is_none() {
            self.job = self.resumed.pop();
        }
        let mut work = if self.job.is_some() { self.carry_on(desk, log, now()) } else { 0 };
        let mut stamp = Stamp::default();
        while self.job.is_none() && self.held_from < self.held.len() && log.room() > 0 {
            let alert = self.held[self.held_from];
            self.held_from += 1;
            work += 1;
            self.job =
                accept(&mut self.prints, &mut self.feed_session, desk, log, &alert, stamp.next(&mut *now), logged);
        }
        if !self.is_idle() {
            return work;
        }
        self.held.clear();
        self.held_from = 0;
        let limit = log.room().min(ALERTS_PER_CYCLE);
        if limit == 0 {
            desk.counts.log_waits += u64::from(!self.ring.is_empty());
            return work;
        }
        // Anew: what is taken below may have come since the last reading.
        let mut stamp = Stamp::default();
        let Source { ring, held, job, prints, feed_session, .. } = self;
        let taken = ring.drain(limit, |alert| {
            if job.is_some() {
                held.push(*alert);
            } else {
                *job = accept(prints, feed_session, desk, log, alert, stamp.next(&mut *now), logged);
            }
        });
        self.taken += taken as u64;
        work + taken
    }

    /// Goes on with the job, if there is one. Returns the records looked at.
    fn carry_on(&mut self, desk: &mut Desk, log: &mut AlertLog, ts_log: Nanos) -> usize {
        let Some(job) = &mut self.job else { return 0 };
        let feed_session = self.feed_session.unwrap_or(desk.feed_session);
        for looked_at in 0..BUST_RECORDS_PER_CYCLE {
            // Two: one for an alert, one to say that some are gone.
            if log.room() < 2 {
                return looked_at;
            }
            if job.at < log.start() {
                job.at = log.start();
                if !job.is_told_unresolved {
                    job.is_told_unresolved = true;
                    desk.counts.busted_unresolved += 1;
                    desk.announce(log, &job.broken, feed_session, ts_log);
                }
            }
            let next = log.following(job.at).filter(|_| job.at <= job.last);
            if let Some((audience, message)) = busted(log, job, feed_session, ts_log) {
                desk.counts.busted += 1;
                log.append(audience, job.broken.locate, message.kind.size(), |out| message.write(out));
            }
            match next {
                Some(next) if next <= job.last => job.at = next,
                _ => {
                    self.job = None;
                    return looked_at + 1;
                }
            }
        }
        BUST_RECORDS_PER_CYCLE
    }
}

/// Puts one alert in the log; there is room. Gives the job when it breaks a print that has alerts.
fn accept(
    prints: &mut Prints,
    feed_session: &mut Option<[u8; 10]>,
    desk: &mut Desk,
    log: &mut AlertLog,
    alert: &Alert,
    ts_log: Nanos,
    logged: &mut impl FnMut(Nanos),
) -> Option<Job> {
    let session = feed_session.unwrap_or(desk.feed_session);
    let print = Print { locate: alert.locate, match_number: alert.match_number };
    match alert.kind {
        AlertKind::Alert | AlertKind::Ended | AlertKind::Met | AlertKind::Rearmed => {
            let nobody = ([b' '; 6], Audience::Nobody);
            let (account, owner) = desk.accounts.get(usize::from(alert.key.account)).copied().unwrap_or(nobody);
            let message = RuleMessage::of(alert, account, session, ts_log);
            let is_internal = matches!(alert.kind, AlertKind::Met | AlertKind::Rearmed);
            let audience = if is_internal { Audience::Nobody } else { owner };
            let offset = log.append(audience, alert.locate, message.kind.size(), |out| message.write(out))?;
            if alert.kind == AlertKind::Alert && alert.is(flag::BY_PRINT) {
                prints.note(print, offset);
            }
            let counts = &mut desk.counts;
            *(if is_internal { &mut counts.internals } else { &mut counts.alerts }) += 1;
            if alert.ts_recv != 0 && alert.kind == AlertKind::Alert {
                logged(ts_log.saturating_sub(alert.ts_recv));
            }
        }
        AlertKind::Broken => match prints.take(print) {
            Some(Stretch { first, last }) => {
                return Some(Job { broken: *alert, at: first, last, is_told_unresolved: false });
            }
            None if prints.busts.is_incomplete() => {
                desk.counts.busted_unresolved += 1;
                desk.announce(log, alert, session, ts_log);
            }
            None => {}
        },
        AlertKind::Session => {
            let session = session_of(alert);
            // After a restart the feed names a session that the log knows already.
            if *feed_session == Some(session) {
                return None;
            }
            *feed_session = Some(session);
            prints.clear();
            if session == desk.incomplete {
                prints.busts.miss();
            }
            if session != desk.feed_session {
                desk.feed_session = session;
                desk.announce(log, alert, session, ts_log);
            }
        }
        AlertKind::Gap | AlertKind::Silent | AlertKind::Resumed | AlertKind::EndOfSession => {
            desk.announce(log, alert, session, ts_log);
        }
    }
    None
}

/// What is to be told of the record at which the job stands, if the broken print caused it.
fn busted(log: &AlertLog, job: &Job, feed_session: [u8; 10], ts_log: Nanos) -> Option<(Audience, RuleMessage)> {
    let record = log.record(job.at).filter(|record| record.locate == job.broken.locate)?;
    let Message::Rule(alert) = Message::read(record.message())? else { return None };
    let is_by_it = alert.match_number == job.broken.match_number && alert.flags & flag::BY_PRINT != 0;
    let message = RuleMessage {
        kind: Kind::Busted,
        reason: Reason::None,
        flags: 0,
        feed_session,
        sequence: job.broken.sequence,
        ordinal: 0,
        ts_event: job.broken.ts_event,
        ts_recv: job.broken.ts_recv,
        ts_match: job.broken.ts_match,
        ts_log,
        alert_number: record.sequence,
        drop_copy_number: record.number,
        ..alert
    };
    (alert.kind == Kind::Alert && is_by_it).then_some((record.audience, message))
}

/// The session id that a `Session` brings: 8 bytes in its tag, 2 in its match number.
fn session_of(alert: &Alert) -> [u8; 10] {
    let mut id = [0; 10];
    id[..8].copy_from_slice(&alert.tag.to_be_bytes());
    id[8..].copy_from_slice(&(alert.match_number as u16).to_be_bytes());
    id
}

#[cfg(test)]
mod tests;
