//! The rules that stand while the feed runs, and how they get there.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use hairtrigger::client::{Client, ClientError, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Code, Request};
use hairtrigger::model::{Comparison, Price, RuleKey, RuleSpec, Signal};

use crate::feed::{firing_rules, symbol};

/// Name and password of the usual login,
pub const LOGIN: &str = "bench";
/// and of the account whose rules a storm fires.
pub const STORM_LOGIN: &str = "storm";
/// How often rules are set anew while the alert log has no room, and the pause between.
const TRIES_MAX: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// Users of the rules that never fire begin here.
const FIRST_USER: u64 = 1_000;
/// A unit of the currency.
const UNIT: i64 = 1_000_000_000;

/// Rule `number` of those that never fire: spread over the symbols, and over prices that no print reaches, on both sides.
/// With another `turn` its threshold is another one.
pub fn quiet_rule(number: u64, symbols: usize, turn: u64) -> Ask {
    let of_symbol = number / symbols as u64;
    let spread = (of_symbol.wrapping_add(turn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i64;
    let (comparison, base) = match number % 2 {
        0 => (Comparison::Below, 10 * UNIT),
        _ => (Comparison::Above, 200 * UNIT),
    };
    // 2^24 steps of 1e-4: up to 80 units below, or 1,677 above.
    let range = if comparison == Comparison::Below { 800_000 } else { 1 << 24 };
    let threshold = Price(base + spread % range * 100_000);
    let key = RuleKey { user: FIRST_USER + of_symbol, symbol: symbol(number as usize % symbols), slot: 0, account: 0 };
    Ask::Set(key, RuleSpec::new(Signal::Last, comparison, threshold))
}

/// Rule `number` of those that a storm's print fires at once: `below` a price between that print's and all others.
pub fn storm_rule(number: u64, symbols: usize) -> Ask {
    let cents = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i64 % 5_000;
    let key = RuleKey { user: number, symbol: symbol(symbols), slot: 0, account: 0 };
    Ask::Set(key, RuleSpec::new(Signal::Last, Comparison::Below, Price(41 * UNIT + cents * UNIT / 100)))
}

/// A rule of this tag whose condition holds already when it is set, so that it fires there and then.
pub fn initial_rule(tag: u64, symbols: usize) -> Ask {
    let number = tag.wrapping_mul(0x9e37_79b9) as usize % symbols;
    let key = RuleKey { user: 2, symbol: symbol(number), slot: 2, account: 0 };
    Ask::Set(key, RuleSpec { tag, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(1_000 * UNIT)) })
}

/// Sets the rules that fire and `quiet` that do not. Returns how long it took from the first request to the last answer.
pub fn load(control: SocketAddr, symbols: usize, quiet: u64) -> Result<Duration, ClientError> {
    patiently(|| {
        let firing = firing_rules(symbols);
        let count = firing.len() as u64 + quiet;
        let quiet = (0..quiet).map(move |number| quiet_rule(number, symbols, 0));
        set_all(control, LOGIN, count, firing.into_iter().chain(quiet))
    })
}

/// Sets the rules of a storm.
pub fn load_storm(control: SocketAddr, symbols: usize, count: u64) -> Result<Duration, ClientError> {
    patiently(|| set_all(control, STORM_LOGIN, count, (0..count).map(move |number| storm_rule(number, symbols))))
}

/// Tries again where no rule is taken because the alert log's next segment is not there yet: right after a start or a storm.
fn patiently(mut set: impl FnMut() -> Result<Duration, ClientError>) -> Result<Duration, ClientError> {
    for _ in 0..TRIES_MAX {
        match set() {
            Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::StorageFull => thread::sleep(PAUSE),
            result => return result,
        }
    }
    set()
}

fn set_all(
    control: SocketAddr,
    user: &str,
    count: u64,
    asks: impl Iterator<Item = Ask> + Send,
) -> Result<Duration, ClientError> {
    let client = Client::connect(control, &Login::new(user, user)?.from(0))?;
    let start = Instant::now();
    let (mut reader, mut writer) = client.split();
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for (id, ask) in (1..).zip(asks) {
                writer.send_unsequenced(Request { id, ask }.encode().bytes())?;
            }
            writer.flush().map(|()| writer)
        });
        let (mut answered, mut is_full) = (0, false);
        while answered < count {
            if let Event::Sequenced(_, message) = reader.receive()? {
                match Answer::read(message).map(|answer| answer.body) {
                    Some(Body::SetDone { .. }) => answered += 1,
                    // Read on: whoever writes the rest would wait for ever.
                    Some(Body::Refused { code: Code::LogFull, .. }) => (answered, is_full) = (answered + 1, true),
                    other => return Err(ClientError::Io(io::Error::other(format!("a rule was not set: {other:?}")))),
                }
            }
        }
        let elapsed = start.elapsed();
        let mut writer = sending.join().unwrap_or(Err(ClientError::Closed))?;
        writer.log_out()?;
        if is_full { Err(ClientError::Io(io::ErrorKind::StorageFull.into())) } else { Ok(elapsed) }
    })
}
