//! What must wait while a symbol is being fired or its book is built: its later events and commands, in the order in which
//! they came.
//!
//! One message can reach a million rules. They are fired in slices; meanwhile other symbols go on. A *job* is a symbol
//! being fired; behind it hangs a list of work. All lists share one slab of fixed size. Work that concerns every
//! symbol (a session change) waits behind all jobs, and everything that comes later behind it. A job whose symbol waits
//! for its book ([`super::books`]) stands aside: it has no turn until it is taken up.

use std::collections::VecDeque;

use super::symbols::NONE;
use crate::model::{MarketEvent, Nanos, RuleCommand};
use crate::sys::memory::reserved;

/// What waits.
#[derive(Clone, Copy)]
pub enum Work {
    /// An event.
    Event(MarketEvent),
    /// A command.
    Command(RuleCommand),
}

/// The shard as it was when the work came: what it would have been judged by.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Feed time.
    pub feed_time: Nanos,
    /// The last message seen.
    pub sequence: u64,
    /// Unfilled gaps so far.
    pub epoch: u32,
    /// An unfilled gap lies in this session.
    pub book_suspect: bool,
}

/// A message that fires rules, and how far that has come.
#[derive(Clone, Copy)]
pub struct Firing {
    /// The message.
    pub event: MarketEvent,
    /// When it came.
    pub moment: Moment,
    /// Per signal its value, where `reached` has its bit.
    pub values: [i64; 4],
    /// Bit per signal: entries may be reached.
    pub reached: u8,
    /// Bit per signal: this is the first update since an unfilled gap.
    pub after_gap: u8,
    /// The ladder that is worked on.
    pub ladder: usize,
}

#[derive(Clone, Copy)]
struct Waiting {
    work: Work,
    moment: Moment,
    next: u32,
}

/// A first-in-first-out list in the slab.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY: List = List { head: NONE, tail: NONE };

struct Job {
    symbol: u32,
    firing: Option<Firing>,
    list: List,
    is_aside: bool,
}

/// All that waits in a shard.
pub struct Held {
    slab: Vec<Waiting>,
    free: Vec<u32>,
    capacity: usize,
    jobs: Vec<Job>,
    jobs_free: Vec<u32>,
    /// Jobs in the order of their turns.
    turns: VecDeque<u32>,
    /// Jobs that have no turn.
    aside: usize,
    behind_all: List,
}

impl Held {
    /// Room for `capacity` pieces of work, and for a job a symbol; `fixed`: reserved at once.
    pub fn new(capacity: usize, jobs_max: usize, fixed: bool) -> Held {
        let at_once = if fixed { capacity } else { 0 };
        Held {
            slab: reserved(at_once),
            free: reserved(at_once),
            capacity,
            jobs: reserved(jobs_max),
            jobs_free: reserved(jobs_max),
            turns: reserved(jobs_max).into(),
            aside: 0,
            behind_all: EMPTY,
        }
    }

    /// Pieces of work that still fit.
    pub fn room(&self) -> usize {
        self.free.len() + self.capacity - self.slab.len()
    }

    /// True while there is no job.
    pub fn is_idle(&self) -> bool {
        self.turns.is_empty() && self.aside == 0
    }

    /// True while work waits behind all jobs: everything that comes must wait there too.
    #[inline]
    pub fn has_barrier(&self) -> bool {
        self.behind_all.head != NONE
    }

    /// Makes a job of a symbol that is to be fired. Returns its number.
    pub fn begin(&mut self, symbol: u32, firing: Firing) -> u32 {
        let number = self.add(Job { symbol, firing: Some(firing), list: EMPTY, is_aside: false });
        self.turns.push_back(number);
        number
    }

    /// Makes a job of a symbol that waits for its book. Returns its number.
    pub fn begin_aside(&mut self, symbol: u32) -> u32 {
        self.aside += 1;
        self.add(Job { symbol, firing: None, list: EMPTY, is_aside: true })
    }

    /// Takes its turns from the current job.
    pub fn set_current_aside(&mut self) {
        if let Some(job) = self.turns.pop_front() {
            self.jobs[job as usize].is_aside = true;
            self.aside += 1;
        }
    }

    /// Gives a job that stands aside its turns (again).
    pub fn take_up(&mut self, job: u32) {
        if let Some(Job { is_aside: aside @ true, .. }) = self.jobs.get_mut(job as usize) {
            *aside = false;
            self.aside -= 1;
            self.turns.push_back(job);
        }
    }

    fn add(&mut self, job: Job) -> u32 {
        match self.jobs_free.pop() {
            Some(number) => {
                self.jobs[number as usize] = job;
                number
            }
            None => {
                self.jobs.push(job);
                (self.jobs.len() - 1) as u32
            }
        }
    }

    /// The job whose turn it is, and its symbol.
    pub fn current(&self) -> Option<(u32, u32)> {
        self.turns.front().map(|job| (*job, self.jobs[*job as usize].symbol))
    }

    /// Lets the next job have its turn.
    pub fn rotate(&mut self) {
        if !self.turns.is_empty() {
            self.turns.rotate_left(1);
        }
    }

    /// What a job is firing; it is put back with [`Self::put_firing`] if it is not finished.
    pub fn take_firing(&mut self, job: u32) -> Option<Firing> {
        self.jobs[job as usize].firing.take()
    }

    /// What a job fires from now on.
    pub fn put_firing(&mut self, job: u32, firing: Firing) {
        self.jobs[job as usize].firing = Some(firing);
    }

    /// Ends the current job. Nothing waits behind it any more.
    pub fn end(&mut self) {
        if let Some(job) = self.turns.pop_front() {
            self.jobs_free.push(job);
        }
    }

    /// Hangs work behind a job.
    pub fn wait(&mut self, job: u32, work: Work, moment: Moment) {
        let mut list = self.jobs[job as usize].list;
        self.push(&mut list, work, moment);
        self.jobs[job as usize].list = list;
    }

    /// Puts work before all that hangs behind a job.
    pub fn wait_first(&mut self, job: u32, work: Work, moment: Moment) {
        let mut first = EMPTY;
        self.push(&mut first, work, moment);
        let list = &mut self.jobs[job as usize].list;
        self.slab[first.head as usize].next = list.head;
        *list = List { head: first.head, tail: if list.tail == NONE { first.tail } else { list.tail } };
    }

    /// The first work behind a job.
    pub fn next(&mut self, job: u32) -> Option<(Work, Moment)> {
        let mut list = self.jobs[job as usize].list;
        let work = self.pop(&mut list);
        self.jobs[job as usize].list = list;
        work
    }

    /// Hangs work behind all jobs.
    pub fn wait_for_all(&mut self, work: Work, moment: Moment) {
        let mut list = self.behind_all;
        self.push(&mut list, work, moment);
        self.behind_all = list;
    }

    /// The first work behind all jobs.
    pub fn next_for_all(&mut self) -> Option<(Work, Moment)> {
        let mut list = self.behind_all;
        let work = self.pop(&mut list);
        self.behind_all = list;
        work
    }

    fn push(&mut self, list: &mut List, work: Work, moment: Moment) {
        let waiting = Waiting { work, moment, next: NONE };
        let number = match self.free.pop() {
            Some(number) => {
                self.slab[number as usize] = waiting;
                number
            }
            None => {
                self.slab.push(waiting);
                (self.slab.len() - 1) as u32
            }
        };
        match list.tail {
            NONE => list.head = number,
            tail => self.slab[tail as usize].next = number,
        }
        list.tail = number;
    }

    fn pop(&mut self, list: &mut List) -> Option<(Work, Moment)> {
        let number = list.head;
        if number == NONE {
            return None;
        }
        let Waiting { work, moment, next } = self.slab[number as usize];
        *list = if next == NONE { EMPTY } else { List { head: next, ..*list } };
        self.free.push(number);
        Some((work, moment))
    }
}
