//! A life of the engine: from a start to its end, whichever it is.

use hairtrigger::journal::storage::simulated::Crash;

use super::clients::Desk;
use super::house::House;
use super::{ACCOUNTS, Simulation, log};

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    /// After so many steps.
    Crash(Crash, u64),
    /// At the disk's operation so many from now, or after so many steps.
    AtOperation(Crash, usize, u64),
    /// A sync fails, or the disk is full.
    DiskFails(bool, usize, u64),
}

impl Simulation {
    /// One life, from a start to its end.
    pub(super) fn live(&mut self, is_last: bool, lives: usize) {
        self.may_crash = !is_last || self.crash.is_some();
        let mut house = self.start();
        self.report.lives += 1;
        if self.life > 0 {
            self.catch_up(&mut house);
            self.check_rules(&mut house);
        }
        let share = |all: usize| all * (self.life + 1) / lives;
        let publish_until = share(self.network.count());
        let operations = self.disk.operations();
        let end = match self.crash.take() {
            Some((crash, at)) => End::AtOperation(crash, at - operations, u64::MAX),
            None if is_last => End::Stop,
            None => self.end(),
        };
        self.trace(&house, &format!("ends by {end:?}"));
        let steps = match end {
            End::Stop => u64::MAX,
            End::Crash(_, steps) => steps,
            End::AtOperation(_, after, steps) => {
                self.disk.crash_at(operations.saturating_add(after));
                steps
            }
            End::DiskFails(true, after, steps) => {
                self.disk.full_after(after * 100);
                steps
            }
            End::DiskFails(false, after, steps) => {
                // Any operation; it fails if it is a sync.
                self.disk.sync_fails_at(operations + after);
                steps
            }
        };
        let queued_at_end: Vec<usize> = self
            .desks
            .iter()
            .map(|desk| if is_last { 0 } else { desk.queue.len() * (lives - self.life - 1) / (lives - self.life) })
            .collect();
        let mut step = 0;
        while step < steps && !house.has_failed() {
            self.step(&mut house, publish_until, Some(&queued_at_end));
            step += 1;
            if steps == u64::MAX && step % 64 == 0 && self.is_done(&house, publish_until, &queued_at_end) {
                break;
            }
            assert!(step < 400_000, "it does not come to rest: {}", self.describe(&house));
        }
        self.trace(&house, "ends now");
        // The last of a session that it has got is in the log: the next life may begin in another one.
        let is_session_over = self.network.is_session_over(house.messages(), usize::MAX);
        if is_session_over {
            self.rest(&mut house);
        }
        let changes_away = is_session_over && !house.has_failed() && self.random.once_in(2);
        self.report.operations += if self.life == 0 { self.disk.operations() as u64 } else { 0 };
        match end {
            End::Stop if !house.has_failed() => {
                self.read_all(&mut house);
                self.ledger.check_journal(&self.disk, self.life, false);
                self.check_rules(&mut house);
                self.check_gaps(&house);
                self.stop(house);
            }
            _ => self.crash(house, end),
        }
        if changes_away && !is_last {
            self.network.begin_session();
            self.network.hear_again();
            self.report.session_changes += 1;
            self.report.changes_away += 1;
        }
    }

    fn end(&mut self) -> End {
        let random = &mut self.random;
        let steps = 200 + random.below(6_000);
        let operations = random.below(60) as usize;
        match random.below(8) {
            0 => End::Stop,
            1..=3 => End::Crash(Crash::Kill, steps),
            4 => End::Crash(Crash::Power, steps),
            5 => End::AtOperation(Crash::Kill, operations, steps),
            6 => End::AtOperation(Crash::Power, operations, steps),
            _ => End::DiskFails(random.once_in(2), operations, steps),
        }
    }

    /// Starts an engine, also when the disk crashes in the middle of it.
    fn start(&mut self) -> House {
        if self.life > 0 {
            self.ledger.check_journal(&self.disk, self.life - 1, false);
        }
        for attempt in 0.. {
            if let Some((_, at)) = self.crash {
                self.disk.crash_at(at);
            } else if attempt < 2 && self.random.once_in(6) {
                self.disk.crash_at(self.disk.operations() + self.random.below(8) as usize);
            }
            match House::build(&self.place, &self.clock, &self.disk, self.boot) {
                Ok(house) => {
                    self.disk.crash_at(usize::MAX);
                    self.synced.active(&self.place.alerts());
                    self.weights = self.temperament(house.actors());
                    self.stall = None;
                    return house;
                }
                Err(error) => {
                    assert!(attempt < 2 && error.to_string().contains("crashed"), "it does not start: {error}");
                    let any = self.random.pick(&[Crash::Kill, Crash::Power]);
                    let crash = self.crash.take().map_or(any, |(crash, _)| crash);
                    self.leave(crash);
                    self.ledger.check_journal(&self.disk, self.life, true);
                }
            }
        }
        unreachable!("the loop has no end")
    }

    /// Everything stops in order; clients read what they are owed.
    fn stop(&mut self, mut house: House) {
        // All shards learn what time it is.
        let to = [house.addresses.line_a, house.addresses.line_b];
        self.network.beat();
        while !self.network.is_quiet() {
            self.network.deliver(&mut self.random, to);
            self.rest(&mut house);
        }
        let clock = self.clock.clone();
        let mut steps = 0;
        house.stop(&clock, |house, role| {
            for _ in 0..16 {
                self.step(house, 0, None);
            }
            steps += 1;
            assert!(steps < 20_000, "it does not stop: {role:?}");
        });
        self.synced.all(&self.place.alerts());
        self.after_life(Crash::Power);
    }

    fn crash(&mut self, house: House, end: End) {
        let crash = match end {
            End::Crash(crash, _) | End::AtOperation(crash, ..) => crash,
            End::Stop | End::DiskFails(..) => Crash::Kill,
        };
        self.report.disk_failures += u64::from(house.has_failed());
        drop(house);
        *(if crash == Crash::Kill { &mut self.report.kills } else { &mut self.report.power_cuts }) += 1;
        self.after_life(crash);
    }

    fn after_life(&mut self, crash: Crash) {
        self.network.forget();
        self.desks.iter_mut().for_each(Desk::forget);
        self.readers.iter_mut().for_each(|reader| reader.link.cut());
        self.check_told();
        self.leave(crash);
    }

    /// What a crash leaves on the disks.
    fn leave(&mut self, crash: Crash) {
        self.disk = self.disk.after(crash, self.random.next());
        let alerts = self.place.alerts();
        if crash == Crash::Kill || !alerts.is_dir() {
            return;
        }
        self.boot += 1;
        let before = log::read(&alerts, ACCOUNTS.len());
        self.synced.cut(&alerts, &mut self.random);
        let after = log::read(&alerts, ACCOUNTS.len());
        let lost = log::lost(&before, &after);
        self.report.lost += lost.len() as u64;
        self.lost.extend(lost);
        self.readers.iter_mut().for_each(|reader| reader.forget_lost(&after));
    }
}
