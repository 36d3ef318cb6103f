//! Loss, duplication and reordering of a line's packets, by seed.

use std::collections::VecDeque;

use crate::limits::PUBLISH_REORDER_MAX;
use crate::synth::Random;

/// What is certain, in the unit of [`Rates`].
pub const ALWAYS: u32 = 1_000_000;

/// How often what happens to a packet: parts per million. Of these at most one happens to it, loss first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// It is never sent.
    pub loss: u32,
    /// It is sent twice.
    pub duplicate: u32,
    /// 1 to 4 later ones overtake it.
    pub reorder: u32,
}

crate::counts! {
    /// What a line did.
    pub struct LineCounts {
        /// Packets that were to be sent.
        packets,
        /// Datagrams sent, heartbeats and ends of session among them.
        datagrams,
        /// Packets lost on purpose.
        lost,
        /// Packets sent twice.
        duplicated,
        /// Packets held back so that others overtook them.
        reordered,
        /// Datagrams that the system refused.
        failed,
    }
}

/// A line's impairment: packets in, packets out, perhaps in another order.
#[derive(Clone, Debug)]
pub struct Impairment<T> {
    rates: Rates,
    random: Random,
    /// Those being overtaken, and by how many more.
    held: VecDeque<(T, u32)>,
}

impl<T: Copy> Impairment<T> {
    /// What happens depends on rates, seed and the number of packets alone.
    pub fn new(rates: Rates, seed: u64) -> Impairment<T> {
        // Seeds of neighbouring lines differ by little: not so their numbers.
        Impairment { rates, random: Random::new(Random::new(seed).bits()), held: VecDeque::new() }
    }

    /// A packet comes; what goes out now is put behind `out`.
    pub fn pass(&mut self, packet: T, counts: &mut LineCounts, out: &mut VecDeque<T>) {
        counts.packets += 1;
        let overtaking = self.held.len();
        let chance = self.random.below(ALWAYS);
        let Rates { loss, duplicate, reorder } = self.rates;
        if chance < loss {
            counts.lost += 1;
        } else if chance < loss.saturating_add(duplicate) {
            counts.duplicated += 1;
            out.extend([packet, packet]);
        } else if chance < loss.saturating_add(duplicate).saturating_add(reorder) {
            counts.reordered += 1;
            self.held.push_back((packet, 1 + self.random.below(PUBLISH_REORDER_MAX)));
        } else {
            out.push_back(packet);
        }
        for _ in 0..overtaking {
            let Some((packet, left)) = self.held.pop_front() else { break };
            if left > 1 {
                self.held.push_back((packet, left - 1));
            } else {
                out.push_back(packet);
            }
        }
    }

    /// No more packets come: those held back go out.
    pub fn flush(&mut self, out: &mut VecDeque<T>) {
        out.extend(self.held.drain(..).map(|(packet, _)| packet));
    }
}
