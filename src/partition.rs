//! From messages to shards: decodes, binds locates to symbols, and sends every event where its symbol lives.
//!
//! ```text
//!  message --decode--> event --locate--> shard of the symbol's name --> [define] [clock] event
//! ```
//!
//! - A locate is bound to the text of its first R, A, F, P or Q; its shard gets a `define` before anything else of it.
//! - A shard sees only its own symbols' messages. Where one is stamped before feed time (the largest stamp so far, of
//!   any symbol), the shard is told feed time first.
//! - What cannot be sent now is offered again: a refused call has counted nothing, and what it did send (a define, a
//!   clock) is not sent twice.
//! - What all shards get is taken once the first has its copy: the others' go before anything else.

use crate::feed::downstream::Downstream;
use crate::feed::itch::{self, ItchError};
use crate::limits::LOCATES;
use crate::model::{Action, MarketEvent, Nanos, Symbol, event_flag};

/// The shards as the feed sees them.
pub trait Shards {
    /// How many.
    fn count(&self) -> usize;
    /// Sends an event to one; false, and nothing done, when it has no room.
    fn send(&mut self, shard: usize, event: &MarketEvent) -> bool;
}

crate::counts! {
    /// What the partition counted.
    pub struct PartitionCounts {
        /// All messages, skipped ones too.
        messages,
        /// Of a length that is not their type's.
        malformed,
        /// Of no known type.
        unknown_types,
        /// Naming another symbol than the one that their locate is bound to: skipped.
        symbol_conflicts,
        /// About orders of a locate that no message has named.
        unknown_orders,
    }
}

/// What a locate is bound to.
#[derive(Clone, Copy)]
struct Route {
    symbol: Symbol,
    shard: u16,
}

/// Not bound.
const UNBOUND: u16 = u16::MAX;

/// From a moment to the midnight, in UTC nanoseconds, of which the feed's stamps of that day count.
pub type MidnightOf = Box<dyn Fn(Nanos) -> Nanos + Send>;

/// The last stage of the feed.
pub struct Partition<S> {
    /// Where events go.
    pub shards: S,
    routes: Vec<Route>,
    /// From the receive time of a session's first message to what is added to its stamps.
    midnight_of: MidnightOf,
    /// What is added to a stamp; `None` until the session's first message.
    midnight: Option<Nanos>,
    feed_time: Nanos,
    /// The last message that was routed, or lost for good: what a shard is told beside messages, it is told behind this one.
    reached: u64,
    /// Per shard the feed time that it knows.
    told: Vec<Nanos>,
    /// What all shards get and some do not have yet, and the first of these.
    copies: Option<(MarketEvent, usize)>,
    /// A session that was begun and not told yet: it is told with the sequence that it really begins with.
    begun: Option<[u8; 10]>,
    counts: PartitionCounts,
}

impl<S: Shards> Partition<S> {
    /// Nothing bound yet. What `midnight_of` gives for a session's first receive time is added to all its stamps.
    pub fn new(shards: S, midnight_of: MidnightOf) -> Partition<S> {
        let told = vec![0; shards.count()];
        let unbound = Route { symbol: Symbol::BLANK, shard: UNBOUND };
        let counts = PartitionCounts::default();
        Partition {
            shards,
            routes: vec![unbound; LOCATES],
            midnight_of,
            midnight: None,
            feed_time: 0,
            reached: 0,
            told,
            copies: None,
            begun: None,
            counts,
        }
    }

    /// The largest stamp of a well-formed message so far, as UTC; 0 before the first.
    pub fn feed_time(&self) -> Nanos {
        self.feed_time
    }

    /// What was counted so far.
    pub fn counts(&self) -> PartitionCounts {
        self.counts
    }

    /// Routes one message. False: its shard has no room, offer it again.
    #[inline]
    pub fn route(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) -> bool {
        let sent = match itch::decode(message) {
            Ok((event, name)) => {
                let midnight = *self.midnight.get_or_insert_with(|| (self.midnight_of)(ts_recv));
                let ts_event = event.ts_event + midnight;
                self.route_event(MarketEvent { sequence, ts_recv, ts_event, ..event }, name)
            }
            Err(error) => {
                self.counts.malformed += u64::from(error == ItchError::WrongLength);
                self.counts.unknown_types += u64::from(error == ItchError::UnknownType);
                true
            }
        };
        self.counts.messages += u64::from(sent);
        self.reached = if sent { sequence } else { self.reached };
        sent
    }

    #[inline]
    fn route_event(&mut self, event: MarketEvent, name: Option<Symbol>) -> bool {
        let locate = usize::from(event.locate);
        let mut route = self.routes[locate];
        if let Some(name) = name {
            if route.shard == UNBOUND {
                match self.bind(event.locate, name) {
                    Some(bound) => route = bound,
                    None => return false,
                }
            } else if route.symbol != name && event.action != Action::Clock {
                self.counts.symbol_conflicts += 1;
                self.feed_time = self.feed_time.max(event.ts_event);
                return true;
            }
        }
        if event.action == Action::Clock || event.action == Action::System {
            self.feed_time = self.feed_time.max(event.ts_event);
            return true;
        }
        if route.shard == UNBOUND {
            self.counts.unknown_orders += u64::from(needs_an_order(event.action));
            self.feed_time = self.feed_time.max(event.ts_event);
            return true;
        }
        let shard = usize::from(route.shard);
        if event.ts_event < self.feed_time && self.told[shard] < self.feed_time && !self.tell_time(shard) {
            return false;
        }
        if !self.shards.send(shard, &event) {
            return false;
        }
        self.feed_time = self.feed_time.max(event.ts_event);
        self.told[shard] = self.told[shard].max(event.ts_event);
        true
    }

    #[cold]
    fn bind(&mut self, locate: u16, name: Symbol) -> Option<Route> {
        let shard = name.shard(self.told.len());
        let define = MarketEvent { locate, second_ref: name.0, ..self.beside_messages(Action::Define) };
        let route = Route { symbol: name, shard: shard as u16 };
        self.shards.send(shard, &define).then(|| {
            self.routes[usize::from(locate)] = route;
            route
        })
    }

    /// A shard that hears of no message all the same knows how far the feed is: commands take effect behind that.
    fn beside_messages(&self, action: Action) -> MarketEvent {
        MarketEvent { sequence: self.reached, ..MarketEvent::new(action) }
    }

    #[cold]
    fn tell_time(&mut self, shard: usize) -> bool {
        let clock = MarketEvent { ts_event: self.feed_time, ..self.beside_messages(Action::Clock) };
        let told = self.shards.send(shard, &clock);
        if told {
            self.told[shard] = self.feed_time;
        }
        told
    }

    /// True when nothing is to be told before an event with this sequence.
    #[inline]
    fn is_clear(&mut self, sequence: u64) -> bool {
        self.begun.is_none() && self.copies.is_none() || self.clear(sequence)
    }

    /// Tells what comes first: what some shards lack, then a session that was begun, whose first message is `sequence`.
    #[cold]
    fn clear(&mut self, sequence: u64) -> bool {
        if let Some(id) = self.begun {
            if !self.send_to_all(MarketEvent { sequence, ..MarketEvent::new(Action::Session) }.with_session(id)) {
                return false;
            }
            self.begun = None;
            self.midnight = None;
            self.reached = sequence.saturating_sub(1);
            self.routes.fill(Route { symbol: Symbol::BLANK, shard: UNBOUND });
        }
        self.send_copies()
    }

    /// Sends a copy to every shard; the first one's is marked to be announced. False, and nothing done: that one has no room, or
    /// some still wait for an earlier event. Once it has its copy the event is taken, and the others get theirs before anything else.
    fn send_to_all(&mut self, event: MarketEvent) -> bool {
        let is_taken = self.send_copies() && self.shards.send(0, &MarketEvent { flags: event_flag::ANNOUNCE, ..event });
        if is_taken {
            self.copies = Some((event, 1));
            self.send_copies();
        }
        is_taken
    }

    /// True when no shard waits for a copy any more.
    fn send_copies(&mut self) -> bool {
        let Some((event, from)) = self.copies else { return true };
        let refused = (from..self.told.len()).find(|shard| !self.shards.send(*shard, &event));
        self.copies = refused.map(|shard| (event, shard));
        refused.is_none()
    }
}

impl<S: Shards> Downstream for Partition<S> {
    #[inline]
    fn message(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) -> bool {
        self.is_clear(sequence) && self.route(sequence, ts_recv, message)
    }

    fn gap(&mut self, from: u64, to: u64) -> bool {
        let gap = MarketEvent { sequence: from, second_ref: to, ..MarketEvent::new(Action::Gap) };
        let is_taken = self.is_clear(from) && self.send_to_all(gap);
        self.reached = if is_taken { to - 1 } else { self.reached };
        is_taken
    }

    fn session(&mut self, id: [u8; 10], _first: bool) -> bool {
        self.begun = Some(id);
        true
    }

    fn end_of_session(&mut self, next: u64) -> bool {
        let end = MarketEvent { sequence: next, ..MarketEvent::new(Action::EndOfSession) };
        self.is_clear(next) && self.send_to_all(end)
    }

    fn silent(&mut self, silent: bool, next: u64) -> bool {
        let action = if silent { Action::Silent } else { Action::Resumed };
        self.send_to_all(MarketEvent { sequence: next, ..MarketEvent::new(action) })
    }

    /// Tells every shard that does not know it the feed time, which is the feed's and not the caller's clock.
    fn heartbeat(&mut self, _now: Nanos) -> bool {
        self.send_copies()
            && (0..self.told.len()).all(|shard| self.told[shard] >= self.feed_time || self.tell_time(shard))
    }
}

fn needs_an_order(action: Action) -> bool {
    use Action::{Cancel, Delete, Execute, ExecuteAtPrice, Replace};
    matches!(action, Execute | ExecuteAtPrice | Cancel | Delete | Replace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::itch::encode::{self, Head};
    use crate::model::Side;

    /// Shards that keep what they get, with room for so many in all.
    struct Kept {
        events: Vec<(usize, MarketEvent)>,
        room: usize,
    }

    impl Shards for Kept {
        fn count(&self) -> usize {
            4
        }

        fn send(&mut self, shard: usize, event: &MarketEvent) -> bool {
            let sent = self.room > 0;
            if sent {
                self.room -= 1;
                self.events.push((shard, *event));
            }
            sent
        }
    }

    fn partition() -> Partition<Kept> {
        Partition::new(Kept { events: vec![], room: usize::MAX }, Box::new(|ts_recv| ts_recv + 1_000))
    }

    fn head(locate: u16, ts: u64) -> Head {
        Head { locate, tracking: 0, ts }
    }

    fn actions(partition: &Partition<Kept>) -> Vec<Action> {
        partition.shards.events.iter().map(|(_, event)| event.action).collect()
    }

    #[test]
    fn a_symbol_is_defined_once_and_its_shard_is_told_a_time_that_others_set() {
        let mut partition = partition();
        let [a, b]: [Symbol; 2] = ["AAPL", "MSFT"].map(|name| name.parse().unwrap());
        assert_ne!(a.shard(4), b.shard(4), "the test needs two shards");
        assert!(partition.route(1, 0, &encode::add(head(1, 50), 7, Side::Bid, 100, a, 10)));
        assert!(partition.route(2, 0, &encode::add(head(2, 90), 8, Side::Bid, 100, b, 10)));
        assert!(partition.route(3, 0, &encode::delete(head(1, 60), 7)));
        use Action::{Add, Clock, Define, Delete};
        assert_eq!(actions(&partition), [Define, Add, Define, Add, Clock, Delete]);
        let (shard, clock) = partition.shards.events[4];
        assert_eq!((shard, clock.ts_event), (a.shard(4), 1_090));
        assert_eq!(partition.feed_time(), 1_090);
    }

    #[test]
    fn what_is_refused_is_neither_counted_nor_sent_twice() {
        let mut partition = partition();
        let message = encode::trade(head(3, 5), 1, "X".parse().unwrap(), 10, 1);
        for room in [0, 1] {
            partition.shards.room = room;
            assert!(!partition.route(1, 0, &message));
        }
        partition.shards.room = 1;
        assert!(partition.route(1, 0, &message));
        assert_eq!(actions(&partition), [Action::Define, Action::Trade]);
        assert_eq!(partition.counts().messages, 1);
        assert!(!partition.gap(5, 7) && partition.shards.events.len() == 2);
    }

    /// A command's place in the feed is what its shard has been told: that shall say as much as the feed time beside it.
    #[test]
    fn what_is_told_beside_messages_says_how_far_the_feed_is() {
        let mut partition = partition();
        let [a, b]: [Symbol; 2] = ["AAPL", "MSFT"].map(|name| name.parse().unwrap());
        assert_ne!(a.shard(4), b.shard(4));
        assert!(partition.session(*b"S000000001", true));
        for (sequence, locate, ts, name) in [(5, 3, 100, a), (6, 4, 200, b)] {
            assert!(partition.message(sequence, 0, &encode::trade(head(locate, ts), 1, name, 10, 1)));
        }
        assert!(partition.heartbeat(0) && partition.gap(7, 10) && partition.silent(true, 10));
        let last = encode::trade(head(3, 150), 1, a, 10, 1);
        assert!(partition.message(10, 0, &last));
        let of_a = partition.shards.events.iter().filter(|(to, _)| *to == a.shard(4));
        let told: Vec<_> = of_a.map(|(_, event)| (event.action, event.sequence)).collect();
        use Action::{Clock, Define, Gap, Session, Silent, Trade};
        assert_eq!(told, [(Session, 5), (Define, 4), (Trade, 5), (Clock, 6), (Gap, 7), (Silent, 10), (Trade, 10)]);
    }

    #[test]
    fn every_shard_has_what_all_get_once_and_in_one_order_whichever_ring_is_full() {
        let message = encode::trade(head(3, 5), 1, "X".parse().unwrap(), 10, 1);
        for room in 0..9 {
            let mut partition = partition();
            partition.shards.room = room;
            // The feed falls silent before the end can be offered again.
            let (has_ended, is_silent) = (partition.end_of_session(7), partition.silent(true, 7));
            partition.shards.room = usize::MAX;
            assert!(is_silent || partition.silent(true, 7));
            assert!(has_ended || partition.end_of_session(7));
            assert!(partition.message(8, 0, &message));
            let told = |shard| {
                let events = partition.shards.events.iter().filter(move |(to, _)| *to == shard);
                let events = events.map(|(_, event)| (event.action, event.flags));
                events.filter(|(action, _)| !matches!(action, Action::Define | Action::Trade)).collect::<Vec<_>>()
            };
            let first = if has_ended { Action::EndOfSession } else { Action::Silent };
            let second = if has_ended { Action::Silent } else { Action::EndOfSession };
            assert_eq!(told(0), [(first, event_flag::ANNOUNCE), (second, event_flag::ANNOUNCE)], "room for {room}");
            (1..4).for_each(|shard| assert_eq!(told(shard), [(first, 0), (second, 0)], "room for {room}"));
            assert_eq!(actions(&partition).last(), Some(&Action::Trade));
        }
    }

    #[test]
    fn copies_that_wait_go_out_though_no_message_comes() {
        let mut partition = partition();
        partition.shards.room = 1;
        assert!(partition.end_of_session(7) && !partition.heartbeat(0));
        partition.shards.room = usize::MAX;
        assert!(partition.heartbeat(0));
        assert_eq!(actions(&partition), [Action::EndOfSession; 4]);
    }

    #[test]
    fn a_session_is_told_with_the_sequence_that_it_begins_with_and_unbinds_all_locates() {
        let mut partition = partition();
        let message = encode::trade(head(3, 5), 1, "X".parse().unwrap(), 10, 1);
        assert!(partition.session(*b"S000000001", true) && partition.shards.events.is_empty());
        assert!(partition.message(70, 0, &message) && partition.session(*b"S000000002", false));
        assert!(partition.message(1, 0, &message));
        let told: Vec<_> = partition.shards.events.iter().map(|(_, e)| (e.action, e.sequence)).collect();
        let day = |sequence| {
            let of_symbol = [(Action::Define, sequence - 1), (Action::Trade, sequence)];
            [[(Action::Session, sequence); 4].as_slice(), &of_symbol].concat()
        };
        assert_eq!(told, [day(70), day(1)].concat());
    }

    #[test]
    fn another_name_under_a_bound_locate_is_skipped_but_its_stamp_is_time() {
        let mut partition = partition();
        let [x, y]: [Symbol; 2] = ["X", "Y"].map(|name| name.parse().unwrap());
        assert!(partition.route(1, 0, &encode::directory(head(3, 5), x)));
        assert!(partition.route(2, 0, &encode::directory(head(3, 6), y)));
        assert!(partition.route(3, 0, &encode::trade(head(3, 7), 1, y, 10, 1)));
        assert!(partition.route(4, 0, &encode::delete(head(9, 8), 1)));
        assert!(partition.route(5, 0, b"D"));
        assert!(partition.route(6, 0, b"z"));
        let expected =
            PartitionCounts { messages: 6, malformed: 1, unknown_types: 1, symbol_conflicts: 1, unknown_orders: 1 };
        assert_eq!(
            (partition.counts(), partition.feed_time(), actions(&partition)),
            (expected, 1_008, vec![Action::Define])
        );
    }
}
