//! Asking the shards where their symbols stand, slice by slice, for the journal.
//!
//! In a round each shard goes through its symbols, one slice for each look at the deadlines, and tells what is new. Rounds begin
//! [`STANDINGS_INTERVAL`] apart. At an orderly stop there is a last one, over all symbols and as fast as the shards answer: nothing
//! comes from the feed any more then.

use crate::limits::STANDINGS_INTERVAL;
use crate::model::{Applied, Command, Nanos, Outcome, RuleCommand, Standing};

/// A shard's part of a round.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Where it goes on; `None`: its round is over.
    cursor: Option<u64>,
    is_asked: bool,
}

/// Rounds through all shards. Of no shards: nobody is asked.
#[derive(Default)]
pub struct Standings {
    parts: Vec<Part>,
    ts_round: Nanos,
    is_last: bool,
}

impl Standings {
    /// Of so many shards.
    pub fn new(shards: usize) -> Standings {
        Standings { parts: vec![Part::default(); shards], ..Standings::default() }
    }

    /// Asks for the next slices, and begins a round when it is time for one.
    pub fn ask(&mut self, now: Nanos, send: &mut impl FnMut(usize, RuleCommand) -> bool) {
        let is_over = self.parts.iter().all(|part| part.cursor.is_none());
        if is_over && !self.is_last && now.saturating_sub(self.ts_round) >= STANDINGS_INTERVAL {
            self.ts_round = now;
            self.parts.iter_mut().for_each(|part| part.cursor = Some(0));
        }
        for (shard, part) in self.parts.iter_mut().enumerate() {
            if let Some(cursor) = part.cursor.filter(|_| !part.is_asked) {
                let command = Command::Tell { cursor, all: self.is_last };
                part.is_asked = send(shard, RuleCommand { ordinal: 0, feed_time: 0, command });
            }
        }
    }

    /// Goes on with the last round, and begins it before. True when it is over.
    pub fn close(&mut self, now: Nanos, send: &mut impl FnMut(usize, RuleCommand) -> bool) -> bool {
        if !self.is_last {
            if self.parts.iter().any(|part| part.is_asked) {
                return false;
            }
            self.is_last = true;
            self.parts.iter_mut().for_each(|part| part.cursor = Some(0));
        }
        self.ask(now, send);
        self.parts.iter().all(|part| part.cursor.is_none())
    }

    /// Takes what a shard says if it is about this: where a symbol stands is for the journal.
    pub fn applied(&mut self, shard: usize, applied: &Applied) -> Option<Option<Standing>> {
        match applied.outcome {
            Outcome::Standing { symbol, last, evaluated } => Some(Some(Standing {
                symbol,
                feed_sequence: applied.sequence,
                feed_time: applied.feed_time,
                feed_session: applied.feed_session,
                shard: shard as u16,
                last,
                evaluated,
            })),
            Outcome::Told { cursor } => {
                self.parts[shard] = Part { cursor, is_asked: false };
                Some(None)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two shards that answer each slice with `told`; returns the cursors that were asked for, and whether for all.
    fn asked(standings: &mut Standings, now: Nanos, told: Option<u64>) -> Vec<(usize, u64, bool)> {
        let mut asked = vec![];
        standings.ask(now, &mut |shard, command| {
            let Command::Tell { cursor, all } = command.command else { panic!("{command:?}") };
            asked.push((shard, cursor, all));
            true
        });
        asked.iter().for_each(|(shard, ..)| answer(standings, *shard, told));
        asked
    }

    fn answer(standings: &mut Standings, shard: usize, cursor: Option<u64>) {
        let outcome = Outcome::Told { cursor };
        let applied = Applied { ordinal: 0, sequence: 1, feed_time: 0, feed_session: [b' '; 10], alerts: 0, outcome };
        assert_eq!(standings.applied(shard, &applied), Some(None));
    }

    #[test]
    fn rounds_go_through_all_slices_and_begin_an_interval_apart() {
        let mut standings = Standings::new(2);
        let start = STANDINGS_INTERVAL;
        assert_eq!(asked(&mut standings, start, Some(32)), [(0, 0, false), (1, 0, false)]);
        assert_eq!(asked(&mut standings, start + 1, None), [(0, 32, false), (1, 32, false)]);
        assert_eq!(asked(&mut standings, 2 * start - 1, None), []);
        assert_eq!(asked(&mut standings, 2 * start, None), [(0, 0, false), (1, 0, false)]);
    }

    #[test]
    fn a_full_ring_is_tried_again_and_a_slice_that_is_on_its_way_is_not_asked_for_twice() {
        let mut standings = Standings::new(2);
        let mut tried = 0;
        for full in [true, true, false, false] {
            standings.ask(STANDINGS_INTERVAL, &mut |_, _| {
                tried += 1;
                !full
            });
        }
        assert_eq!(tried, 6);
    }

    #[test]
    fn the_last_round_is_over_all_begins_after_the_one_before_and_has_no_successor() {
        let mut standings = Standings::new(1);
        standings.ask(STANDINGS_INTERVAL, &mut |_, _| true);
        let mut all = vec![];
        let mut send = |_: usize, command: RuleCommand| {
            all.push(command.command);
            true
        };
        assert!(!standings.close(0, &mut send), "a slice of the round before is under way");
        answer(&mut standings, 0, Some(32));
        assert!(!standings.close(0, &mut send) && !standings.close(0, &mut send));
        answer(&mut standings, 0, Some(32));
        assert!(!standings.close(0, &mut send));
        answer(&mut standings, 0, None);
        assert!(standings.close(u64::MAX, &mut send));
        let asked = [0, 32].map(|cursor| Command::Tell { cursor, all: true });
        assert_eq!(all, asked);
    }

    #[test]
    fn nobody_is_asked_without_shards() {
        assert!(Standings::default().close(0, &mut |_, _| panic!("nobody")));
    }
}
