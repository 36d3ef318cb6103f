//! The checker: decides who may come in. A plain value that is stepped, by its thread or by a test.
//!
//! The first row that holds decides:
//!
//! | address is held off | user | password | verdict | cost |
//! |---|---|---|---|---|
//! | yes | | | held off | none |
//! | | known | right, and was before | in | none |
//! | | known, plain | right | in | none |
//! | | known, hashed | right | in, and remembered | a run |
//! | | any other case | | wrong | a run |
//!
//! Where a client certificate proves an account, the users of the other accounts are not known. So every wrong login costs one run of argon2, whether there is such a user or not; where no login has a hash, none does. A
//! pair that was right once is remembered under a keyed hash for the life of the process: clients that all come back at
//! once, as after a broken switch, do not wait for each other's runs.
//!
//! Runs come one at a time, of the address with the fewest wrong logins first: whoever guesses waits behind whoever does not.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::backoff::Backoff;
use super::password::{self, Hash, Key, Memory, Secret, Tag, equal};
use super::{Inquiry, Knock, Member, Outside, Verdict};
use crate::model::Nanos;
use crate::soup::arrival::Arrival;
use crate::soup::login::{PASSWORD_SIZE, USER_SIZE};
use crate::sys::aside::{Aside, Worker};
use crate::sys::clock::Clock;

/// Inquiries taken before a run.
const INQUIRIES_PER_STEP: usize = 256;

struct Known {
    member: Member,
    /// The pair that was right.
    remembered: Option<Tag>,
}

/// See the module.
pub struct Checker {
    inbox: Receiver<Inquiry>,
    woken: Option<Receiver<()>>,
    ports: Vec<Sender<Verdict>>,
    roll: HashMap<[u8; USER_SIZE], Known>,
    /// Checked for whoever is not in the roll, or in it with a plain password: as dear as the dearest hash, so where hashes
    /// differ in cost it tells the cheaper ones.
    standin: Option<Hash>,
    key: Key,
    memory: Memory,
    backoff: Backoff,
    /// Waiting for a run: port and knock, in order of arrival. Bounded by what the ports may ask.
    queue: Vec<(usize, Knock)>,
}

/// What is decided without a run.
enum Glance {
    Decided(Result<u32, Outside>),
    NeedsRun,
}

impl Checker {
    pub(super) fn new(
        (inbox, woken): (Receiver<Inquiry>, Receiver<()>),
        ports: Vec<Sender<Verdict>>,
        members: Vec<Member>,
    ) -> Checker {
        let mut checker = Checker {
            inbox,
            woken: Some(woken),
            ports,
            roll: HashMap::new(),
            standin: None,
            key: password::random(),
            memory: Memory::new(),
            backoff: Backoff::default(),
            queue: vec![],
        };
        checker.call(members);
        checker
    }

    /// Begins it as a worker, which ends when the ports and the reception have gone. Each inquiry wakes it for a step and needs
    /// one run at most, so it sleeps only when none waits.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(mut self, aside: &Aside, clock: Clock) -> io::Result<Worker> {
        // It is there: only this takes it, and takes the checker with it.
        let woken = self.woken.take().unwrap_or_else(|| channel().1);
        let work = move |woken: Option<()>| {
            self.step(clock.now());
            woken.is_some()
        };
        aside.begin("door", woken, work)
    }

    /// Takes what has come, and makes one run if one waits. Returns how much was done.
    pub fn step(&mut self, now: Nanos) -> usize {
        self.take_all(now) + self.run(now)
    }

    pub(super) fn take_all(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        while work < INQUIRIES_PER_STEP
            && let Ok(inquiry) = self.inbox.try_recv()
        {
            self.take(inquiry, now);
            work += 1;
        }
        work
    }

    fn take(&mut self, inquiry: Inquiry, now: Nanos) {
        match inquiry {
            Inquiry::Roll(members) => self.call(members),
            Inquiry::Knock(port, knock) => match self.glance(&knock, now) {
                Glance::Decided(result) => self.tell(port, knock, result, now),
                Glance::NeedsRun => self.queue.push((port, knock)),
            },
        }
    }

    /// A new roll. A pair is remembered on when nothing of what proves it has changed.
    fn call(&mut self, members: Vec<Member>) {
        let mut earlier = std::mem::take(&mut self.roll);
        let hashes = members.iter().filter_map(|member| match &member.secret {
            Secret::Hash(hash) => Some(hash),
            Secret::Plain(_) => None,
        });
        self.standin = hashes.max_by_key(|hash| hash.cost()).map(Hash::standin);
        for member in members {
            let same = earlier.remove(&member.user).filter(|known| known.member.secret == member.secret);
            let remembered = same.and_then(|known| known.remembered);
            self.roll.insert(member.user, Known { member, remembered });
        }
    }

    fn glance(&self, knock: &Knock, now: Nanos) -> Glance {
        let credentials = &knock.login.credentials;
        let known = self.roll.get(&credentials.user).filter(|known| known.member.may_come(knock));
        if self.backoff.is_held_off(knock.address, now) {
            return Glance::Decided(Err(Outside::HeldOff));
        }
        let tag = password::tag(&self.key, credentials);
        // Compared for an unknown user too: how long that takes tells nothing.
        let remembered = known.and_then(|known| known.remembered).unwrap_or([0; 32]);
        let plain = match known.map(|known| &known.member.secret) {
            Some(Secret::Plain(password)) => password,
            _ => &[0; PASSWORD_SIZE],
        };
        let is_right = equal(&remembered, &tag) | equal(plain, &credentials.password);
        match (known, is_right) {
            (Some(known), true) => Glance::Decided(Ok(known.member.login)),
            _ if self.standin.is_none() => Glance::Decided(Err(Outside::Wrong)),
            _ => Glance::NeedsRun,
        }
    }

    /// Checks the waiting password that comes first.
    fn run(&mut self, now: Nanos) -> usize {
        let rank = |place: &usize| (self.backoff.failures(self.queue[*place].1.address, now), *place);
        let Some(first) = (0..self.queue.len()).min_by_key(rank) else { return 0 };
        let (port, knock) = self.queue.remove(first);
        // Its address may have failed, or the pair been right, since it came.
        let result = match self.glance(&knock, now) {
            Glance::Decided(result) => result,
            Glance::NeedsRun => self.check(&knock),
        };
        self.tell(port, knock, result, now);
        1
    }

    /// One run, whoever it is.
    fn check(&mut self, knock: &Knock) -> Result<u32, Outside> {
        let credentials = &knock.login.credentials;
        let Checker { roll, standin, memory, key, .. } = self;
        let known = roll.get_mut(&credentials.user).filter(|known| known.member.may_come(knock));
        let own = known.as_ref().and_then(|known| match &known.member.secret {
            Secret::Hash(hash) => Some(hash),
            Secret::Plain(_) => None,
        });
        let hash = own.or(standin.as_ref()).ok_or(Outside::Wrong)?;
        // The stand-in fits no password.
        let is_right = hash.is_of(&credentials.password, memory);
        let known = known.filter(|_| is_right).ok_or(Outside::Wrong)?;
        known.remembered = Some(password::tag(key, credentials));
        Ok(known.member.login)
    }

    fn tell(&mut self, port: usize, knock: Knock, result: Result<u32, Outside>, now: Nanos) {
        if result == Err(Outside::Wrong) {
            self.backoff.failed(knock.address, now);
        }
        // A port that has gone needs no verdict.
        let _ = self.ports[port].send(Verdict { knock, result });
    }
}

impl Member {
    fn may_come(&self, knock: &Knock) -> bool {
        Arrival::admits(knock.proven, self.account)
    }
}
