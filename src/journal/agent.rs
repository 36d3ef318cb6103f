//! The journal's agent: changes in by a ring (and where symbols stand), and how many of them are safe out by another.
//!
//! ```text
//!   control --changes--> [ agent ] --batch--> [ worker: write, fdatasync ]
//!   control <--safe----- [       ] <--done--- [                          ]
//! ```
//!
//! **Group commit.** While one batch is on its way to the disk the next gathers in the ring: the slower the disk, the larger the
//! batches. A sync takes from tens of microseconds to many milliseconds, and an agent shares its thread with others: so the
//! disk has a worker of its own ([`crate::sys::aside`]), which does nothing else and mostly sleeps in the kernel.
//!
//! **Failure.** Whatever fails is told to `failed` by that worker, and no change is ever called safe again. The engine's `failed`
//! ends the process.

use std::io;
use std::sync::mpsc::{Receiver as Inbox, SyncSender, sync_channel};

use super::compaction::Snapshots;
use super::record::Entry;
use super::storage::Storage;
use super::writer::Writer;
use crate::agent::Agent;
use crate::counts;
use crate::door::names::Names;
use crate::limits::JOURNAL_RING;
use crate::model::{Journaled, Nanos};
use crate::ring::{Receiver, Sender};
use crate::sys::aside::{Aside, Worker};
use crate::sys::clock::Clock;

counts! {
    /// What the journal counted.
    pub struct JournalCounts {
        /// Changes taken.
        changes,
        /// Batches written.
        batches,
        /// Changes in the largest batch.
        batch_max,
        /// Changes that are safe.
        safe,
        /// Longest time from a batch's hand-over to its end, in ns.
        commit_ns_max,
    }
}

/// The agent.
pub struct JournalAgent {
    changes: Receiver<Journaled>,
    safe: Sender<u64>,
    accounts: Names,
    /// The one batch, while it is not at the disk.
    batch: Option<Vec<Entry>>,
    to_disk: Option<SyncSender<Vec<Entry>>>,
    from_disk: Inbox<Vec<Entry>>,
    disk: Worker,
    snapshots: Option<Snapshots>,
    told: u64,
    ts_batch: Nanos,
    counts: JournalCounts,
}

impl JournalAgent {
    /// Begins the disk's worker. `accounts` are the accounts' names; a failure of the disk goes to `failed`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<S: Storage + 'static>(
        writer: Writer<S>,
        accounts: Names,
        (changes, safe): (Receiver<Journaled>, Sender<u64>),
        (clock, aside): (Clock, &Aside),
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<JournalAgent>
    where
        S::File: 'static,
    {
        let (to_disk, batches) = sync_channel(1);
        let (done, from_disk) = sync_channel(1);
        let disk = aside.begin("journal-disk", batches, to_disk_until_it_fails(writer, done, clock, failed))?;
        Ok(JournalAgent {
            changes,
            safe,
            accounts,
            batch: Some(Vec::with_capacity(JOURNAL_RING)),
            to_disk: Some(to_disk),
            from_disk,
            disk,
            snapshots: None,
            told: 0,
            ts_batch: 0,
            counts: JournalCounts::default(),
        })
    }

    /// Has snapshots made by this worker, and ends it when it ends itself.
    pub fn make_snapshots(&mut self, snapshots: Snapshots) {
        self.snapshots = Some(snapshots);
    }

    /// What was counted.
    pub fn counts(&self) -> JournalCounts {
        self.counts
    }

    /// Takes back a batch that is safe.
    fn take_done(&mut self, now: Nanos) -> usize {
        let Ok(batch) = self.from_disk.try_recv() else { return 0 };
        self.counts.safe += batch.len() as u64;
        self.counts.commit_ns_max = self.counts.commit_ns_max.max(now.saturating_sub(self.ts_batch));
        self.batch = Some(batch);
        1
    }

    /// Sends what has gathered to the disk.
    fn send_batch(&mut self, now: Nanos) -> usize {
        let Some(mut batch) = self.batch.take() else { return 0 };
        batch.clear();
        let accounts = &mut self.accounts;
        let count = self.changes.drain(JOURNAL_RING, |change| {
            batch.push(match change {
                Journaled::Change(change) => Entry::Change(accounts.of(change.key.account), *change),
                Journaled::Standing(standing) => Entry::Standing(*standing),
            });
        });
        if count == 0 {
            self.batch = Some(batch);
            return 0;
        }
        self.counts.changes += count as u64;
        self.counts.batches += 1;
        self.counts.batch_max = self.counts.batch_max.max(count as u64);
        self.ts_batch = now;
        if let Some(to_disk) = &self.to_disk {
            // It fits: there is one batch. When the worker has gone, this one is never called safe.
            let _ = to_disk.try_send(batch);
        }
        count
    }
}

impl Agent for JournalAgent {
    fn name(&self) -> &str {
        "journal"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let mut work = self.take_done(now);
        if self.told < self.counts.safe && self.safe.send(self.counts.safe) {
            self.told = self.counts.safe;
        }
        work += self.send_batch(now);
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.knock(now);
        }
        work
    }

    /// Writes what is left, and the end.
    fn close(&mut self, now: Nanos) -> bool {
        self.do_work(now);
        let has_ended = self.disk.is_finished();
        if self.batch.is_some() && self.changes.is_empty() {
            self.to_disk = None;
        }
        self.snapshots.as_mut().is_none_or(Snapshots::close) && has_ended
    }
}

/// The worker's part: batches until there are no more, then the end of the journal. It ends at the first failure.
fn to_disk_until_it_fails<S: Storage>(
    mut writer: Writer<S>,
    done: SyncSender<Vec<Entry>>,
    clock: Clock,
    failed: impl FnOnce(io::Error),
) -> impl FnMut(Option<Vec<Entry>>) -> bool {
    let mut failed = Some(failed);
    move |batch| {
        let written = match &batch {
            Some(batch) => writer.commit(batch.iter().copied(), clock.now()).map(|_| ()),
            None => writer.close(clock.now()),
        };
        match (written, batch) {
            (Ok(()), Some(batch)) => {
                // The agent goes first only when the engine does.
                let _ = done.send(batch);
                true
            }
            (Ok(()), None) => false,
            (Err(error), _) => {
                if let Some(failed) = failed.take() {
                    failed(error);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::Record;
    use crate::journal::samples::{change, standing};
    use crate::journal::scan::{self, Scanned};
    use crate::journal::storage::simulated::Disk;
    use crate::journal::writer::{Durability, Position, Settings};
    use crate::ring::ring;

    struct House {
        changes: Sender<Journaled>,
        safe: Receiver<u64>,
        agent: JournalAgent,
        disk: Disk,
        failure: Inbox<String>,
    }

    fn house(disk: Disk) -> House {
        let (changes, taken) = ring(JOURNAL_RING, Journaled::Change(change(0, false)));
        let (told, safe) = ring(64, 0);
        let (failed, failure) = sync_channel(1);
        let start = Position { next_sequence: 1, chain: 1 };
        let settings = Settings { durability: Durability::Sync, segment_size: 2_000, boot: [0; 16] };
        let writer = Writer::begin(disk.clone(), start, settings, 0).unwrap();
        let fail = move |error: io::Error| failed.send(error.to_string()).unwrap();
        let names = Names::new(vec![*b"zero  ", *b"one   "], None);
        let agent =
            JournalAgent::start(writer, names, (taken, told), (Clock::simulated(0), &Aside::default()), fail).unwrap();
        House { changes, safe, agent, disk, failure }
    }

    /// Changes, and every fifth time where a symbol stands.
    fn told(n: u64) -> Journaled {
        if n.is_multiple_of(5) {
            Journaled::Standing(standing(n))
        } else {
            Journaled::Change(change(n, n.is_multiple_of(2)))
        }
    }

    fn read(disk: &Disk) -> (Vec<Record>, Scanned) {
        let mut records = vec![];
        let scanned = scan::scan(disk, 1, |record| records.push(*record)).unwrap();
        (records, scanned)
    }

    #[test]
    fn what_is_called_safe_is_on_disk_and_the_end_is_written_last() {
        let mut house = house(Disk::default());
        for n in 0..500 {
            assert!(house.changes.send(told(n)));
        }
        let mut safe = 0;
        while safe < 500 {
            house.agent.do_work(0);
            house.safe.drain(64, |count| safe = *count);
            assert!(read(&house.disk).0.len() as u64 >= safe);
        }
        while !house.agent.close(0) {
            std::thread::yield_now();
        }
        let (records, scanned) = read(&house.disk);
        assert!(scanned.is_closed && records.len() == 501);
        for (n, record) in records[..500].iter().enumerate() {
            let expected = match told(n as u64) {
                Journaled::Change(change) => Entry::Change(*b"zero  ", change),
                Journaled::Standing(standing) => Entry::Standing(standing),
            };
            assert_eq!(record.entry, expected);
        }
    }

    #[test]
    fn a_full_disk_is_told_and_nothing_is_called_safe_that_is_not_on_it() {
        let disk = Disk::default();
        let mut house = house(disk.clone());
        disk.full_after(2_500);
        let mut safe = 0;
        (0..200).for_each(|n| assert!(house.changes.send(told(n))));
        let failure = loop {
            house.agent.do_work(0);
            house.safe.drain(64, |count| safe = *count);
            match house.failure.try_recv() {
                Ok(failure) => break failure,
                Err(_) => std::thread::yield_now(),
            }
        };
        assert_eq!(failure, "no storage space");
        while !house.agent.close(0) {
            std::thread::yield_now();
        }
        house.safe.drain(64, |count| safe = *count);
        assert!(safe < 200 && read(&disk).0.len() as u64 >= safe, "{safe}");
    }

    #[test]
    fn after_a_failed_sync_nothing_is_called_safe_any_more() {
        let disk = Disk::default();
        let mut house = house(disk.clone());
        disk.sync_fails_at(disk.operations() + 1);
        assert!(house.changes.send(told(2)));
        house.agent.do_work(0);
        assert_eq!(house.failure.recv().unwrap(), "input/output error");
        assert!(house.changes.send(told(4)));
        while !house.agent.close(0) {
            std::thread::yield_now();
        }
        assert!(house.safe.is_empty());
    }
}
