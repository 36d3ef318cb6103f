//! `hairtrigger rules` against a control agent whose shard is a map.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hairtrigger::agent::Agent;
use hairtrigger::control::agent::{ControlAgent, ControlSettings};
use hairtrigger::door::{ClientLimits, Door, Member, Pass};
use hairtrigger::model::{Applied, Command as RuleChange, Listed, Outcome, Refusal, RuleCommand, RuleKey, RuleState};
use hairtrigger::ring::ring;
use hairtrigger::soup::login::{Credentials, SessionId};
use hairtrigger::sys::clock::Clock;

type Rules = BTreeMap<(u64, u64, u32), Listed>;

fn place(key: &RuleKey) -> (u64, u64, u32) {
    (key.user, key.symbol.0, key.slot)
}

fn apply(rules: &mut Rules, change: RuleChange) -> Vec<Outcome> {
    match change {
        RuleChange::Set(key, spec) => {
            let rule = Listed { key, spec, version: 1, fires: 0, state: RuleState::Unknown };
            let replaced = rules.insert(place(&key), rule).is_some();
            let state = RuleState::Unknown;
            vec![Outcome::Set { version: 1, state, value: None, replaced, symbol_unknown: true }]
        }
        RuleChange::Tell { .. } => vec![Outcome::Told { cursor: None }],
        RuleChange::Remove(key, _) => match rules.remove(&place(&key)) {
            Some(rule) => vec![Outcome::Removed { version: rule.version }],
            None => vec![Outcome::Refused(Refusal::UnknownKey)],
        },
        RuleChange::RemoveUser { user, .. } => {
            let before = rules.len();
            rules.retain(|key, _| key.0 != user);
            vec![Outcome::UserRemoved { count: (before - rules.len()) as u64 }]
        }
        RuleChange::List { user, cursor, limit, .. } => {
            let all: Vec<_> = rules.values().filter(|rule| user.is_none_or(|user| user == rule.key.user)).collect();
            let end = all.len().min(cursor as usize + limit as usize);
            let page = all[cursor as usize..end].iter().map(|rule| Outcome::Listed(**rule));
            page.chain([Outcome::ListEnd { cursor: (end < all.len()).then_some(end as u64) }]).collect()
        }
    }
}

/// An engine of one thread; stops when it is dropped.
struct House {
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl House {
    fn new() -> House {
        let feed_session = *b"S000000001";
        let first = RuleCommand { ordinal: 0, feed_time: 0, command: RuleChange::RemoveUser { account: 0, user: 0 } };
        let outcome = Outcome::Removed { version: 0 };
        let applied = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session, alerts: 0, outcome };
        let (commands, mut taken) = ring(1024, first);
        let (mut answers, answered) = ring(1024, applied);
        let credentials = Credentials::new("demo", "secret").unwrap();
        let settings = ControlSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            session: SessionId::from_number(7),
            logins: vec![Pass { account: 0, is_drop_copy: false }],
            sessions_max: 8,
            answer_ring_size: 1 << 20,
            requests_in_flight_max: 10_000,
            limits: ClientLimits::default(),
            descriptors_max: usize::MAX,
        };
        let mut agent = ControlAgent::new(
            settings,
            Door::alone(vec![Member::plain(&credentials, 0, 0)]),
            vec![commands],
            vec![answered],
        )
        .unwrap();
        let address = agent.local_addr().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (is_stopped, clock) = (stop.clone(), Clock::machine());
        let thread = std::thread::spawn(move || {
            let mut rules = Rules::new();
            while !is_stopped.load(Ordering::Relaxed) {
                let mut owed = vec![];
                taken.drain(64, |command| {
                    for outcome in apply(&mut rules, command.command) {
                        let ordinal = command.ordinal;
                        owed.push(Applied { ordinal, sequence: 9, feed_time: 1, feed_session, alerts: 0, outcome });
                    }
                });
                for applied in owed {
                    while !answers.send(applied) {
                        agent.do_work(clock.now());
                    }
                }
                if agent.do_work(clock.now()) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        House { address, stop, thread: Some(thread) }
    }

    fn rules(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        command.arg("rules").args(arguments).args(["--address", &self.address]).output().unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.rules(arguments).stdout).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn one_rule_comes_is_listed_and_goes() {
    let house = House::new();
    let set = house.says(&["set", "GME", "below", "99.5", "--user", "7", "--repeat", "--rearm", "0.25"]);
    assert!(set.starts_with("set: version 1, no value yet, from feed message 9 of session S000000001"), "{set}");
    assert!(set.contains("has not named this symbol"));
    let list = house.says(&["list", "--user", "7"]);
    assert_eq!(list, "user 7 GME/0 last below 99.5 repeat version 1 unknown rearm 0.25\n1 rules\n");
    let list = house.says(&["list", "--json"]);
    let rule: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    assert_eq!((&rule["symbol"], &rule["threshold"], &rule["expires_at"]), (&"GME".into(), &"99.5".into(), &().into()));
    assert!(house.rules(&["remove", "GME", "--user", "7"]).status.success());
    let again = house.rules(&["remove", "GME", "--user", "7"]);
    assert!(!again.status.success());
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "refused: unknown_key\n");
}

#[test]
fn a_file_is_loaded_pipelined_and_listed_page_by_page() {
    const ROWS: usize = 30_000;
    let house = House::new();
    let mut text = String::from("user,symbol,when,threshold,expires_at\n");
    (0..ROWS).for_each(|n| text.push_str(&format!("{n},SPY,above,{n},16:00:00\n")));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text + "4,SPY,below,1,\n").unwrap();
    let path = file.path().to_str().unwrap();
    let loaded = house.says(&["load", path, "--json", "--date", "2020-01-30"]);
    let summary: serde_json::Value = serde_json::from_str(loaded.trim()).unwrap();
    let counts = ["requests", "set", "replaced"].map(|name| summary[name].as_u64().unwrap() as usize);
    assert_eq!(counts, [ROWS + 1, ROWS + 1, 1]);
    let list = house.says(&["list", "--json"]);
    assert_eq!(list.lines().count(), ROWS);
    let first: serde_json::Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    assert_eq!(first["expires_at"], 1_580_418_000_000_000_000u64, "16:00 in New York is 21:00 UTC");
    assert!(house.says(&["remove-user", "3"]).starts_with("removed: 1 rules"));
}

#[test]
fn what_cannot_work_is_an_error_and_says_why() {
    let house = House::new();
    for (arguments, reason) in [
        (&["list", "--password", "wrong"][..], "not authorized"),
        (&["set", "GME", "under", "1"], "below, above, at_or_below, at_or_above"),
        (&["set", "GME", "below", "-1"], ""),
        (&["load", "/nonexistent.csv"], "nonexistent.csv"),
    ] {
        let output = house.rules(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(reason), "{arguments:?}: {said}");
    }
}
