//! Shards full of rules to measure with: 8,000 symbols, each around a price of its own, and rules on both sides of it.

use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::model::{
    Action, Command, Comparison, MarketEvent, Price, RuleCommand, RuleKey, RuleSpec, Signal, Symbol,
};

use super::Counted;

/// Symbols of a shard here.
pub const SYMBOLS: usize = 8_000;
/// A cent in units of 1e-9.
pub const CENT: i64 = 10_000_000;

/// A shard, what it told, and where its rules come from.
pub struct Loaded {
    /// The shard, where an engine has it too: on the stack a tick takes 2 to 7 ns, as the loop's code happens to lie.
    pub shard: Box<Shard>,
    /// What it told.
    pub out: Counted,
    /// Rules set so far; the next one's user.
    pub rules: u64,
    sequence: u64,
    random: u64,
}

/// The name of a symbol's number.
pub fn name_of(symbol: usize) -> Symbol {
    format!("S{symbol}").parse().expect("a short name of letters and digits")
}

/// What a symbol costs all the time here, 1e-9: 50 to 249.99 dollars.
#[inline]
pub fn price_of(symbol: usize) -> i64 {
    (5_000 + (symbol as i64 * 7_919) % 20_000) * CENT
}

impl Loaded {
    /// A shard for `rules_max` rules whose symbols all have traded once.
    pub fn new(rules_max: usize) -> Loaded {
        let rules = RuleLimits { rules_max, account_rules_max: vec![], policies_max: 16, fixed: true };
        let limits = ShardLimits { rules, symbols_max: SYMBOLS, orders_max: 16, levels_max: 16 };
        let (shard, out) = (Box::new(Shard::new(limits)), Counted::default());
        let mut loaded = Loaded { shard, out, rules: 0, sequence: 0, random: 1 };
        for symbol in 0..SYMBOLS {
            let define = MarketEvent {
                locate: symbol as u16 + 1,
                second_ref: name_of(symbol).0,
                ..MarketEvent::new(Action::Define)
            };
            loaded.shard.event(&define, &mut loaded.out);
            loaded.tick(symbol, price_of(symbol));
        }
        loaded
    }

    /// A number below `bound`, by SplitMix64.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let hash = Symbol(self.random).hash();
        ((u128::from(hash) * bound as u128) >> 64) as usize
    }

    /// A print.
    #[inline]
    pub fn tick(&mut self, symbol: usize, price: i64) {
        let event = self.print(symbol, price);
        self.shard.event(&event, &mut self.out);
    }

    /// The event of a print.
    #[inline]
    pub fn print(&mut self, symbol: usize, price: i64) -> MarketEvent {
        self.sequence += 1;
        MarketEvent {
            ts_event: self.sequence,
            sequence: self.sequence,
            price,
            size: 100,
            locate: symbol as u16 + 1,
            ..MarketEvent::new(Action::Trade)
        }
    }

    /// The command that sets the rule of this user: which symbol and side follows from it; which threshold is drawn, at least
    /// a cent and at most half of the price away from it. So it replaces the rule that the user has.
    pub fn set_of(&mut self, user: u64) -> RuleCommand {
        let symbol = (user % SYMBOLS as u64) as usize;
        let price = price_of(symbol);
        let away = CENT + (price / 2 / (1 << 20)) * self.below(1 << 20) as i64;
        let above = user / SYMBOLS as u64 % 2 == 1;
        let (comparison, threshold) =
            if above { (Comparison::Above, price + away) } else { (Comparison::Below, price - away) };
        let spec = RuleSpec { tag: user, ..RuleSpec::new(Signal::Last, comparison, Price(threshold)) };
        RuleCommand { ordinal: user + 1, feed_time: 0, command: Command::Set(self.key_of(user), spec) }
    }

    /// The command that removes this user's rule.
    pub fn remove_of(&self, user: u64) -> RuleCommand {
        RuleCommand { ordinal: user + 1, feed_time: 0, command: Command::Remove(self.key_of(user), 0) }
    }

    fn key_of(&self, user: u64) -> RuleKey {
        let symbol = NAMES.with(|names| names[(user % SYMBOLS as u64) as usize]);
        RuleKey { user, symbol, slot: 0, account: 0 }
    }

    /// Carries out a command.
    #[inline]
    pub fn command(&mut self, command: &RuleCommand) {
        self.shard.command(command, &mut self.out);
    }

    /// Sets rules until there are `count`.
    pub fn fill(&mut self, count: usize) {
        while self.rules < count as u64 {
            let command = self.set_of(self.rules);
            self.command(&command);
            self.rules += 1;
        }
        assert_eq!(self.shard.counts().rules_live, count as u64, "every rule is set and none fires");
    }
}

thread_local! {
    static NAMES: Vec<Symbol> = (0..SYMBOLS).map(name_of).collect();
}
