//! Rules that come and go: each replaces one of the same user near a price that is reached soon.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::control::wire::{Ask, Request};
use hairtrigger::model::{Comparison, Price, RuleKey, RuleSpec, Signal};

use crate::market::{PRICE, SYMBOLS, below, name_of};
use crate::{Fault, STOP};

/// Users: with 64 symbols up to 32,000 rules are held.
const USERS: u64 = 500;
/// Time between two batches.
const BATCH: Duration = Duration::from_millis(10);

/// Sets and removes at this pace until it is told to stop. An answer to a request is due at once, or the batch waits.
pub fn churn(rules: SocketAddr, sets: u64) -> Result<(), Fault> {
    let mut client = Client::connect(rules, &Login::new("demo", "secret")?)?;
    let (mut random, mut id, mut next) = (11, 0, Instant::now());
    let batch = (sets / 100).max(1);
    while !STOP.load(Ordering::Relaxed) {
        next += BATCH;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let asked = batch + batch / 5;
        for number in 0..asked {
            id += 1;
            let symbol = name_of(below(&mut random, SYMBOLS));
            let key = RuleKey { user: below(&mut random, USERS), symbol, slot: 0, account: 0 };
            let ask = if number < batch { Ask::Set(key, spec(&mut random)) } else { Ask::Remove(key, id) };
            client.writer.send_unsequenced(Request { id, ask }.encode().bytes())?;
        }
        let mut answered = 0;
        while answered < asked {
            answered += u64::from(matches!(client.receive()?, Event::Sequenced(..)));
        }
    }
    Ok(())
}

fn spec(random: &mut u64) -> RuleSpec {
    let away = below(random, PRICE as u64 / 10) as i64 - PRICE / 20;
    let comparison = if below(random, 2) == 0 { Comparison::Below } else { Comparison::Above };
    RuleSpec::new(Signal::Last, comparison, Price((PRICE + away) * 100_000))
}
