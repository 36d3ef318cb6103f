//! The oracle itself against scenarios whose events were written down by hand from the page.

mod naive;

use naive::{HEADER, NaiveError, replay, scenario};

#[test]
fn the_oracle_gives_what_was_written_by_hand() {
    let scenarios = scenario::all();
    assert!(scenarios.len() >= 40, "{} scenarios: some are not read", scenarios.len());
    let mut wrong = String::new();
    for s in &scenarios {
        let problem = check(s);
        if !problem.is_empty() {
            wrong += &format!("\n== {}\n{problem}", s.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn check(s: &scenario::Scenario) -> String {
    let replayed = match replay(&s.feed, s.rules.as_bytes()) {
        Ok(replayed) => replayed,
        Err(NaiveError::NoFeed) if s.error == Some(None) && s.events.is_none() => return String::new(),
        Err(e) => return format!("{e:?}"),
    };
    let Some(events) = &s.events else { return "ran, and nothing may be written".into() };
    let mut problem = String::new();
    if replayed.events_csv != format!("{HEADER}{events}") {
        problem += &format!("written by hand:\n{HEADER}{events}got:\n{}", replayed.events_csv);
    }
    if replayed.error.map(|(_, offset)| Some(offset)) != s.error {
        problem += &format!("error {:?}, by hand {:?}\n", replayed.error, s.error);
    }
    for (name, count) in &s.counts {
        if replayed.count(name) != *count {
            problem += &format!("{name} {}, by hand {count}\n", replayed.count(name));
        }
    }
    problem
}
