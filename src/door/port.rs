//! A port's side of the door: questions on their way, verdicts and notices coming back.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{Receiver, channel};

use super::{Address, Checker, Inquiries, Inquiry, Knock, Member, Notice, Reception, Verdict};
use crate::limits::CHECKS_MAX;
use crate::model::Nanos;

/// See the module.
pub struct Door {
    port: usize,
    to_checker: Inquiries,
    verdicts: Receiver<Verdict>,
    notices: Receiver<Notice>,
    /// Not asked yet.
    waiting: VecDeque<Knock>,
    /// Addresses about which the checker has been asked: one question each.
    asked: HashSet<Address>,
    /// Where there is no thread for it: stepped here.
    checker: Option<Checker>,
}

/// So many ports, their common checker, and the end that changes who may come in.
pub fn doors<const PORTS: usize>(members: Vec<Member>) -> ([Door; PORTS], Checker, Reception) {
    let ((sender, inbox), (wake, woken)) = (channel(), channel());
    let to_checker = Inquiries { sender, wake };
    let (mut to_ports, mut noticed) = (vec![], vec![]);
    let doors = std::array::from_fn(|port| {
        let (to_port, verdicts) = channel();
        let (notice, notices) = channel();
        to_ports.push(to_port);
        noticed.push(notice);
        let to_checker = to_checker.clone();
        let (waiting, asked) = (VecDeque::new(), HashSet::new());
        Door { port, to_checker, verdicts, notices, waiting, asked, checker: None }
    });
    let checker = Checker::new((inbox, woken), to_ports, members);
    (doors, checker, Reception { to_checker, to_ports: noticed })
}

impl Door {
    /// A door with a checker of its own and no thread: each look for a verdict steps it. For tests and simulations.
    pub fn alone(members: Vec<Member>) -> Door {
        let ([door], checker, _) = doors(members);
        Door { checker: Some(checker), ..door }
    }

    /// Somebody wants in.
    pub fn knock(&mut self, knock: Knock) {
        self.waiting.push_back(knock);
        self.ask();
    }

    /// The connection has gone: if it was not asked about yet, it will not be.
    pub fn forget(&mut self, serial: u64) {
        self.waiting.retain(|knock| knock.serial != serial);
    }

    /// The next verdict. Costs a comparison while nobody waits for one.
    #[inline]
    pub fn verdict(&mut self, now: Nanos) -> Option<Verdict> {
        if self.asked.is_empty() { None } else { self.look(now) }
    }

    fn look(&mut self, now: Nanos) -> Option<Verdict> {
        if let Some(checker) = &mut self.checker {
            checker.step(now);
        }
        let verdict = self.verdicts.try_recv().ok()?;
        self.asked.remove(&verdict.knock.address);
        self.ask();
        Some(verdict)
    }

    /// What holds from now on, if that has changed. To be asked before a verdict is acted on, and now and then.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.try_iter().last()
    }

    fn ask(&mut self) {
        let mut at = 0;
        while self.asked.len() < CHECKS_MAX
            && let Some(knock) = self.waiting.get(at).copied()
        {
            if !self.asked.insert(knock.address) {
                at += 1;
                continue;
            }
            self.waiting.remove(at);
            // Without a checker there is no verdict, and the login deadline ends the connection.
            self.to_checker.send(Inquiry::Knock(self.port, knock));
        }
    }
}
