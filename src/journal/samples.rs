//! Changes and standings for tests: as different from each other as a number makes them.

use crate::model::{
    Change, ChangeKind, Comparison, Fire, OnSet, Price, RuleKey, RuleSpec, RuleState, Signal, Standing, Symbol,
};

/// A change numbered `n` whose fields all differ, a set or a removal.
pub fn change(n: u64, is_set: bool) -> Change {
    let pick = n as usize % 4;
    let spec = RuleSpec {
        threshold: Price(n as i64),
        rearm: Price(!(n as i64)),
        cooldown: n.wrapping_mul(3),
        expires_at: n.wrapping_mul(5),
        tag: n.wrapping_mul(7),
        max_fires: n as u32,
        signal: Signal::ALL[pick],
        comparison: Comparison::ALL[3 - pick],
        fire: [Fire::Once, Fire::Repeat][pick % 2],
        on_set: [OnSet::Fire, OnSet::Wait, OnSet::Reject][pick % 3],
    };
    let state = [RuleState::Unknown, RuleState::Clear, RuleState::Met, RuleState::Fired][pick];
    Change {
        ordinal: n,
        feed_sequence: n.wrapping_mul(11),
        feed_time: n.wrapping_mul(13),
        feed_session: *b"0123456789",
        shard: n as u16,
        key: RuleKey { user: n.wrapping_mul(17), symbol: Symbol(n.wrapping_mul(19)), slot: n as u32, account: 0 },
        version: n.wrapping_mul(23),
        kind: if is_set { ChangeKind::Set(spec, state) } else { ChangeKind::Removed },
    }
}

/// Where symbol number `n` stands, with all fields different; an even one has a last price.
pub fn standing(n: u64) -> Standing {
    Standing {
        symbol: Symbol(n.wrapping_mul(19)),
        feed_sequence: n.wrapping_mul(11),
        feed_time: n.wrapping_mul(13),
        feed_session: *b"0123456789",
        shard: n as u16,
        last: n.is_multiple_of(2).then_some(Price(!(n as i64))),
        evaluated: [n, n + 1, n + 2, n + 3],
    }
}
