//! What the engine must have kept: see [`super`].

use hairtrigger::journal::storage::Storage;
use hairtrigger::journal::storage::simulated::Disk;

use super::clients::Reader;
use super::house::House;
use super::{ACCOUNTS, Report, Simulation, log, oracle};

impl Simulation {
    /// Every desk lists its rules, and they are those that there must be.
    pub(super) fn check_rules(&mut self, house: &mut House) {
        for at in 0..self.desks.len() {
            let before = log::read(&self.place.alerts(), ACCOUNTS.len());
            let mut steps = 0;
            let mut asked_on = None;
            while asked_on.is_none() || self.desks[at].is_listing {
                self.step(house, 0, None);
                let desk = &mut self.desks[at];
                // Again, where the connection broke: a client that was silent for too long is cut.
                if desk.link.is_logged_in() && asked_on != Some(desk.link.connections) {
                    asked_on = Some(desk.link.connections);
                    desk.list();
                }
                steps += 1;
                assert!(steps < 100_000, "a list has no end");
            }
            // The end of a rule that the list does not show any more may be on its way to the log.
            self.rest(house);
            let (desk, after) = (&self.desks[at], log::read(&self.place.alerts(), ACCOUNTS.len()));
            self.ledger.check_listed(desk.account, &desk.listed, (&before.messages, &after.messages), &self.lost);
        }
    }

    /// Left alone, every reader comes to the end of its stream.
    pub(super) fn read_all(&mut self, house: &mut House) {
        self.rest(house);
        let mut steps = 0;
        while !self.have_all_read() {
            // A rule may expire meanwhile, and one more message be there.
            for _ in 0..256 {
                self.step(house, 0, None);
            }
            steps += 256;
            assert!(steps < 100_000, "a reader does not come to the end of its stream");
        }
    }

    fn have_all_read(&self) -> bool {
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        let Some((session, streams)) = log.sessions.last_key_value() else { return true };
        let length = |reader: &Reader| streams.get(&log::stream_of(reader.account)).map_or(0, Vec::len);
        let end = |reader: &Reader| (Some(*session), length(reader) as u64 + 1);
        self.readers.iter().all(|reader| reader.link.position() == end(reader))
    }

    /// What every reader was told stands in the log under the same number with the same bytes.
    pub(super) fn check_told(&mut self) {
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        for reader in &self.readers {
            let stream = log::stream_of(reader.account);
            for (session, number, message) in &reader.told {
                let logged =
                    log.sessions.get(session).and_then(|streams| streams.get(&stream)?.get(*number as usize - 1));
                assert!(logged == Some(message), "number {number} was told and is not logged so");
            }
        }
    }

    /// Without a server all that both lines have lost, or not brought in time, is announced; with one, what never comes is given up
    /// and nothing else.
    pub(super) fn check_gaps(&mut self, house: &House) {
        let (given_up, missing) = (house.given_up(), self.network.missing());
        if self.place.rerequest.is_some() {
            return assert!(given_up <= missing, "it has given up messages that it could have");
        }
        let gaps = log::read(&self.place.alerts(), ACCOUNTS.len()).gaps;
        let announced: u64 = gaps.iter().map(|(from, to)| to - from).sum();
        assert!(announced == given_up, "{announced} announced, {given_up} given up: {gaps:?}");
        self.report.without_server += 1;
        self.report.unserved += given_up.saturating_sub(missing);
    }

    pub(super) fn check_end(&mut self, lives: usize) -> Report {
        self.ledger.check_journal(&self.disk, lives - 1, false);
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        let mut messages: Vec<_> = self.network.messages().collect();
        if self.place.rerequest.is_none() {
            messages.retain(|(place, _)| !log.gaps.iter().any(|(from, to)| (from..to).contains(&place)));
        }
        let compared = oracle::compare(&self.ledger, &messages, &log.messages, lives, &self.lost);
        let (left, all) = (names(&self.disk), names(&self.disk.unpruned()));
        Report {
            snapshots: all.iter().filter(|name| name.ends_with(".snapshot")).count() as u64,
            pruned: (all.len() - left.len()) as u64,
            acknowledged: self.ledger.asked.values().filter(|asked| asked.answer.is_some()).count() as u64,
            rows: compared.rows as u64,
            keys_left_out: compared.keys_left_out as u64,
            reconnects: self.readers.iter().map(|reader| reader.link.connections).sum(),
            ..self.report
        }
    }
}

fn names(disk: &Disk) -> Vec<String> {
    disk.list().expect("a disk that is whole")
}
