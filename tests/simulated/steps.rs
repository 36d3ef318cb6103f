//! The scheduler: whose turn it is, what they do in it, and when nobody has anything left to do.

use hairtrigger::journal::snapshot;

use super::Simulation;
use super::house::{FEED, GAP_DEADLINE, House};

impl Simulation {
    pub(super) fn temperament(&mut self, actors: usize) -> Vec<u64> {
        // Behind the house's actors: the network's three, then clients.
        let all = actors + 3 + self.desks.len() + self.readers.len();
        (0..all).map(|_| self.random.pick(&[1, 4, 4, 12])).collect()
    }

    /// One step of one actor.
    pub(super) fn step(&mut self, house: &mut House, publish_until: usize, queued_at_end: Option<&[usize]>) {
        self.report.steps += 1;
        // Now and then the whole machine stands still for a while.
        let pause_max = if self.random.once_in(500) { 2_000_000_000 } else { 20_000 };
        self.clock.advance(self.random.below(pause_max));
        let now = self.clock.now();
        if self.report.steps.is_multiple_of(64) && self.network.is_waited_for_in_vain(house.messages()) {
            self.wait_in_vain(house);
        }
        let actor = self.choose();
        let engine = house.actors();
        if actor < engine {
            let work = self.step_engine(house, actor, now);
            self.report.note((actor as u64) << 32 | work as u64);
            return;
        }
        let to = [house.addresses.line_a, house.addresses.line_b];
        let random = &mut self.random;
        match actor - engine {
            0 if random.once_in(8) => self.network.beat(),
            0 if self.network.is_session_over(house.messages(), publish_until) => self.change_session(house),
            0 => self.network.publish(random, publish_until),
            1 => self.network.deliver(random, to),
            2 => self.network.serve(random),
            client => self.step_client(client - 3, house, now, queued_at_end),
        }
    }

    /// One step of one of the engine's own. Returns the work done.
    fn step_engine(&mut self, house: &mut House, actor: usize, now: u64) -> usize {
        let before = house.makes_snapshots(actor).then(|| self.newest_snapshot());
        let work = house.step(actor, now);
        if before.is_some_and(|before| before != self.newest_snapshot()) {
            // What it has read of the log it has synced.
            self.synced.all(&self.place.alerts());
        }
        work
    }

    /// The feed's session ends, and another one begins soon. Who dies behind it never hears it again: so a life that may end by a
    /// crash first comes to the end of what it has heard.
    fn change_session(&mut self, house: &mut House) {
        if self.may_crash {
            self.rest(house);
        }
        self.network.end_session();
        if !house.has_failed() && self.random.once_in(3) {
            self.network.begin_session();
            self.report.session_changes += 1;
        }
    }

    /// All that comes is there; then the feed's patience with the rest ends.
    fn wait_in_vain(&mut self, house: &mut House) {
        let to = [house.addresses.line_a, house.addresses.line_b];
        self.network.beat();
        let mut rounds = 0;
        while !self.network.is_quiet() || rounds < 20 {
            self.network.deliver(&mut self.random, to);
            self.network.serve(&mut self.random);
            self.clock.advance(500_000);
            house.step(FEED, self.clock.now());
            rounds += 1;
        }
        self.clock.advance(GAP_DEADLINE);
        house.step(FEED, self.clock.now());
        self.network.give_up();
        self.report.gaps += 1;
    }

    fn newest_snapshot(&self) -> Option<u64> {
        snapshot::list(&self.disk).ok()?.pop().map(|(upto, _)| upto)
    }

    fn choose(&mut self) -> usize {
        match &mut self.stall {
            Some((_, left)) if *left > 0 => *left -= 1,
            _ if self.random.once_in(200) => {
                let actor = self.random.below(self.weights.len() as u64) as usize;
                self.stall = Some((actor, self.random.below(600)));
            }
            _ => self.stall = None,
        }
        let stalled = self.stall.map(|(actor, _)| actor);
        let weight = |actor: usize| if Some(actor) == stalled { 0 } else { self.weights[actor] };
        let all: u64 = (0..self.weights.len()).map(weight).sum();
        let mut at = self.random.below(all);
        for actor in 0..self.weights.len() {
            if at < weight(actor) {
                return actor;
            }
            at -= weight(actor);
        }
        unreachable!("the weights add up")
    }

    fn step_client(&mut self, client: usize, house: &House, now: u64, queued_at_end: Option<&[usize]>) {
        let random = &mut self.random;
        let breaks = random.once_in(400);
        if let Some(desk) = self.desks.get_mut(client) {
            if breaks && !desk.is_listing {
                desk.link.cut();
            }
            let asks = queued_at_end.is_some_and(|end| desk.queue.len() > end[client]);
            let (asked, answers) = desk.step(random, &house.doors.0, now, asks);
            if let Some(asked) = asked {
                self.ledger.asked.get_mut(&asked).expect("it was noted").life = Some(self.life);
            }
            for answer in &answers {
                self.report.note_bytes(format!("{answer:?}").as_bytes());
                self.ledger.answered(desk.account, answer);
            }
            return;
        }
        let reader = &mut self.readers[client - self.desks.len()];
        if breaks {
            reader.link.cut();
        }
        for (_, _, message) in reader.step(random, &house.doors.1, now) {
            self.report.note_bytes(message);
        }
    }

    /// The feed comes once more from its start; nobody asks before it is where it was.
    pub(super) fn catch_up(&mut self, house: &mut House) {
        let published = self.network.published();
        let mut steps = 0;
        // Of a session that has begun meanwhile it hears at least one message: what is asked before has no place in it.
        let until = published + usize::from(self.network.coming(published) == 0 && self.network.has_changed());
        while house.messages() < self.network.coming(until) {
            for _ in 0..32 {
                self.step(house, until, None);
            }
            steps += 32;
            assert!(steps < 400_000, "it does not catch up: {}", self.describe(house));
        }
        self.rest(house);
    }

    /// Steps the engine until nobody has anything to do.
    pub(super) fn rest(&mut self, house: &mut House) {
        let mut idle = 0;
        for round in 0..100_000 {
            self.clock.advance(1_000);
            let now = self.clock.now();
            let work: usize = (0..house.actors()).map(|actor| self.step_engine(house, actor, now)).sum();
            idle = if work == 0 { idle + 1 } else { 0 };
            if idle == 80 {
                return;
            }
            assert!(round < 99_999, "it does not come to rest");
        }
    }

    /// True when all of this life's messages have gone through and all of its requests are answered.
    pub(super) fn is_done(&self, house: &House, publish_until: usize, queued_at_end: &[usize]) -> bool {
        let fed = self.network.published() >= publish_until && house.messages() >= self.network.coming(publish_until);
        let mut desks = self.desks.iter().zip(queued_at_end);
        let asked = desks.all(|(desk, end)| desk.queue.len() <= *end && desk.is_calm());
        fed && asked
    }

    pub(super) fn describe(&self, house: &House) -> String {
        let desks = self.desks.iter().map(|desk| format!("{} queued, {} open", desk.queue.len(), desk.open.len()));
        let (published, messages) = (self.network.published(), house.messages());
        let coming = self.network.coming(published);
        let given_up = house.given_up();
        let desks = desks.collect::<Vec<_>>().join("; ");
        format!("{published} published, {coming} come, {messages} matched, {given_up} given up; {desks}")
    }

    /// With `TRACE` in the environment: what happens, for people.
    pub(super) fn trace(&self, house: &House, what: &str) {
        if std::env::var_os("TRACE").is_some() {
            let Simulation { life, place, report, .. } = self;
            let (shards, rings, steps, rules) = (place.shards, place.rings, report.steps, house.rules_recovered);
            eprintln!(
                "life {life} {what}: {shards} shards, {rings:?}, {rules} rules recovered, {steps} steps, {}",
                self.describe(house)
            );
        }
    }
}
