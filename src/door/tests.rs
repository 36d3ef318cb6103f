//! The door through both its ends: knocks in, verdicts out, one test a row of the checker's table.

use std::net::{IpAddr, Ipv4Addr};

use super::newcomers::newcomers;
use super::password::{Hash, Secret};
use super::*;
use crate::limits::{BACKOFF_FIRST, BACKOFF_FREE_FAILURES, CHECKS_MAX};
use crate::model::Nanos;
use crate::soup::login::{Credentials, SessionId};
use crate::sys::aside::Aside;
use crate::sys::clock::Clock;

const OURS: AccountId = 3;
const THEIRS: AccountId = 4;

fn address(n: u32) -> Address {
    IpAddr::V4(Ipv4Addr::from_bits(n)).into()
}

/// The cheapest hash that there is.
fn cheap(password: &str) -> Secret {
    Secret::Hash(Hash::at_cost(&Credentials::new("x", password).unwrap().password, 8, 1))
}

fn plain(password: &str) -> Secret {
    Secret::Plain(Credentials::new("x", password).unwrap().password)
}

fn member(user: &str, secret: Secret, login: u32) -> Member {
    Member { user: Credentials::new(user, "x").unwrap().user, secret, login, account: OURS }
}

fn knock(serial: u64, address: Address, user: &str, password: &str) -> Knock {
    let credentials = Credentials::new(user, password).unwrap();
    let login = Login { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None };
    Knock { place: 0, serial, address, login, proven: None }
}

/// One door, stepped until every verdict is there.
fn answers(door: &mut Door, knocks: &[Knock], now: Nanos) -> Vec<(u64, Result<u32, Outside>)> {
    knocks.iter().for_each(|knock| door.knock(*knock));
    let mut seen = vec![];
    for _ in 0..10 * knocks.len() {
        seen.extend(door.verdict(now).map(|verdict| (verdict.knock.serial, verdict.result)));
    }
    seen
}

fn answer(door: &mut Door, knock: Knock, now: Nanos) -> Result<u32, Outside> {
    answers(door, &[knock], now)[0].1
}

fn door() -> Door {
    Door::alone(vec![member("hashed", cheap("secret"), 0), member("plain", plain("secret"), 1)])
}

#[test]
fn right_passwords_come_in_whatever_their_case() {
    let mut door = door();
    for (user, login) in [("hashed", 0), ("HASHED", 0), ("plain", 1), ("Plain", 1)] {
        assert_eq!(answer(&mut door, knock(1, address(1), user, "SeCret"), 0), Ok(login));
    }
}

#[test]
fn wrong_passwords_and_unknown_users_stay_outside() {
    let mut door = door();
    for (n, user, password) in
        [(1, "hashed", "secreu"), (2, "plain", "s"), (3, "nobody", "secret"), (4, "hashed", "x"), (5, "plai", "secret")]
    {
        assert_eq!(answer(&mut door, knock(1, address(n), user, password), 0), Err(Outside::Wrong), "{user}");
    }
    let mut door = Door::alone(vec![member("plain", plain("secret"), 1)]);
    for user in ["plain", "nobody"] {
        assert_eq!(answer(&mut door, knock(1, address(1), user, "secreu"), 0), Err(Outside::Wrong));
    }
}

#[test]
fn where_a_certificate_proves_an_account_the_logins_of_others_are_not_good() {
    let mut door = door();
    let of = |account, user, password| Knock { proven: Some(account), ..knock(1, address(1), user, password) };
    for (user, login) in [("hashed", 0), ("plain", 1)] {
        assert_eq!(answer(&mut door, of(OURS, user, "secret"), 0), Ok(login));
        assert_eq!(answer(&mut door, of(THEIRS, user, "secret"), 0), Err(Outside::Wrong));
    }
    assert_eq!(answer(&mut door, of(OURS, "plain", "secreu"), 0), Err(Outside::Wrong), "the password counts too");
}

#[test]
fn an_address_that_guesses_is_held_off_even_when_it_is_right_and_others_are_not() {
    let mut door = door();
    for _ in 0..=BACKOFF_FREE_FAILURES {
        assert_eq!(answer(&mut door, knock(1, address(1), "plain", "guess"), 0), Err(Outside::Wrong));
    }
    for user in ["plain", "hashed", "nobody"] {
        let result = answer(&mut door, knock(1, address(1), user, "secret"), BACKOFF_FIRST - 1);
        assert_eq!(result, Err(Outside::HeldOff));
    }
    assert_eq!(answer(&mut door, knock(1, address(2), "plain", "secret"), 0), Ok(1));
    assert_eq!(answer(&mut door, knock(1, address(1), "plain", "secret"), BACKOFF_FIRST), Ok(1));
}

#[test]
fn a_pair_that_was_right_is_remembered_until_what_proves_it_changes() {
    let secret = cheap("secret");
    let (mut ports, mut checker, reception) = doors::<1>(vec![member("demo", secret.clone(), 0)]);
    let mut runs = |port: &mut Door, password: &str| {
        port.knock(knock(1, address(1), "demo", password));
        // What is decided at a glance is there before a run could be made.
        checker.take_all(0);
        let at_a_glance = port.verdict(0);
        let verdict = at_a_glance.or_else(|| {
            checker.step(0);
            port.verdict(0)
        });
        (at_a_glance.is_none(), verdict.unwrap().result)
    };
    let port = &mut ports[0];
    assert_eq!(runs(port, "secret"), (true, Ok(0)));
    assert_eq!(runs(port, "secret"), (false, Ok(0)));
    assert_eq!(runs(port, "other"), (true, Err(Outside::Wrong)));
    let limits =
        ClientLimits { sessions_per_address_max: 0, requests_per_second_max: 0, deadlines: Deadlines::default() };
    let notice = Notice { passes: vec![None], limits };
    reception.announce(&notice, vec![member("demo", secret, 0)]);
    assert_eq!(runs(port, "secret"), (false, Ok(0)), "nothing has changed");
    reception.announce(&notice, vec![member("demo", cheap("new"), 0)]);
    assert_eq!(runs(port, "secret"), (true, Err(Outside::Wrong)));
    assert_eq!(runs(port, "new"), (true, Ok(0)));
    reception.announce(&notice, vec![]);
    assert_eq!(runs(port, "new"), (false, Err(Outside::Wrong)), "nobody is left, and no hash");
    assert!(port.notice().is_some() && port.notice().is_none());
}

#[test]
fn whoever_guesses_waits_behind_whoever_does_not() {
    let (mut ports, mut checker, _reception) = doors::<1>(vec![member("demo", cheap("secret"), 0)]);
    let port = &mut ports[0];
    for n in 1..=3 {
        port.knock(knock(n, address(n as u32), "demo", "guess"));
        while port.verdict(0).is_none() {
            checker.step(0);
        }
    }
    for n in 1..=3 {
        port.knock(knock(10 + n, address(n as u32), "demo", "guess"));
    }
    port.knock(knock(20, address(9), "demo", "secret"));
    checker.step(0);
    let first = port.verdict(0).unwrap();
    assert_eq!((first.knock.serial, first.result), (20, Ok(0)));
}

#[test]
fn an_address_has_one_question_at_a_time_and_what_has_gone_is_not_asked() {
    let (mut ports, mut checker, _reception) = doors::<1>(vec![member("demo", plain("secret"), 0)]);
    let port = &mut ports[0];
    for serial in 1..=3 {
        port.knock(knock(serial, address(1), "demo", "secret"));
    }
    port.knock(knock(4, address(2), "demo", "secret"));
    port.forget(2);
    let mut round = || {
        checker.step(0);
        std::iter::from_fn(|| port.verdict(0)).map(|verdict| verdict.knock.serial).collect::<Vec<_>>()
    };
    assert_eq!(round(), [1, 4]);
    assert_eq!(round(), [3]);
    assert!(round().is_empty());
}

#[test]
fn more_than_the_checker_may_have_wait_at_the_port() {
    let mut door = door();
    let knocks: Vec<Knock> =
        (0..2 * CHECKS_MAX as u64).map(|n| knock(n, address(n as u32), "plain", "secret")).collect();
    let mut serials: Vec<u64> = answers(&mut door, &knocks, 0).iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials.len(), knocks.len());
    serials.sort_unstable();
    assert!(serials.into_iter().eq(0..knocks.len() as u64));
}

#[test]
fn the_thread_checks_and_ends_with_the_ports() {
    let (mut ports, checker, reception) = doors::<2>(vec![member("demo", cheap("secret"), 7)]);
    let worker = checker.begin(&Aside::default(), Clock::machine()).unwrap();
    for port in &mut ports {
        port.knock(knock(1, address(1), "demo", "secret"));
        let verdict = loop {
            match port.verdict(0) {
                Some(verdict) => break verdict,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(verdict.result, Ok(7));
    }
    drop(ports);
    drop(reception);
    worker.join();
}

#[test]
fn a_newcomer_who_cannot_be_met_stays_the_first() {
    let (introductions, mut newcomers) = newcomers(1);
    introductions.introduce(*b"one   ");
    introductions.introduce(*b"two   ");
    assert_eq!((newcomers.first(), newcomers.first()), (Some(*b"one   "), Some(*b"one   ")));
    assert!(introductions.has_met(1) && !introductions.has_met(2));
    newcomers.is_met();
    assert_eq!(newcomers.first(), Some(*b"two   "));
    assert!(introductions.has_met(2) && !introductions.has_met(3));
}
