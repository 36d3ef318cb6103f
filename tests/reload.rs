//! The config read anew while the engine runs: who may come in then, what they may do, and who has which number.

mod clients;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use clients::{config, config_text, hashed, is_refused, list, log_in, parse, plain, set, texts_until_closed};
use hairtrigger::config::Config;
use hairtrigger::control::wire::Code;
use hairtrigger::engine::Engine;

fn of(folder: &Path, accounts: &str) -> Config {
    config(folder, "", "", "", accounts)
}

fn start(config: &Config) -> Engine {
    Engine::start(config).unwrap_or_else(|error| panic!("{error}"))
}

/// What a reload changes.
fn changes(engine: &mut Engine, config: &Config) -> Vec<String> {
    let reloaded = engine.reload(config).unwrap_or_else(|error| panic!("{error}"));
    assert!(reloaded.restart.is_empty(), "{reloaded}");
    reloaded.changes
}

#[test]
fn a_login_that_is_removed_is_cut_and_its_rules_stay_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let both = of(folder.path(), &(plain("one", "secret") + &hashed("two", "secret")));
    let mut engine = start(&both);
    let [rules, alerts] = [engine.addresses.control, engine.addresses.gateway];
    let (mut stays, mut goes) = (log_in(rules, "one", "secret").unwrap(), log_in(rules, "two", "secret").unwrap());
    assert_eq!(set(&mut goes, 1), Ok(()));
    let mut watching = log_in(alerts, "two", "secret").unwrap();
    let one = of(folder.path(), &plain("one", "secret"));
    assert_eq!(changes(&mut engine, &one), ["account two: removed; its rules stay"]);
    for client in [&mut goes, &mut watching] {
        assert_eq!(texts_until_closed(client), ["this login was removed"]);
    }
    assert!(is_refused(log_in(rules, "two", "secret")) && is_refused(log_in(alerts, "two", "secret")));
    assert_eq!(set(&mut stays, 1), Ok(()));
    assert_eq!(changes(&mut engine, &both), ["account two: added, with 1 logins"]);
    let mut back = log_in(rules, "two", "secret").unwrap();
    assert_eq!(list(&mut back).len(), 1);
    engine.stop();
}

#[test]
fn a_new_account_is_at_home_at_once_and_has_its_rules_after_a_restart_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let (first, late) = (plain("first", "secret"), hashed("late", "pw"));
    let mut engine = start(&of(folder.path(), &first));
    let more = of(folder.path(), &(late.clone() + &first));
    assert_eq!(changes(&mut engine, &more), ["account late: added, with 1 logins"]);
    let mut client = log_in(engine.addresses.control, "late", "pw").unwrap();
    log_in(engine.addresses.gateway, "late", "pw").unwrap();
    assert_eq!([1, 2].map(|n| set(&mut client, n)), [Ok(()); 2]);
    let mut other = log_in(engine.addresses.control, "first", "secret").unwrap();
    assert_eq!(set(&mut other, 3), Ok(()));
    engine.stop();
    let engine = start(&more);
    let users = |name, password| {
        let mut client = log_in(engine.addresses.control, name, password).unwrap();
        let mut users: Vec<u64> = list(&mut client).iter().map(|rule| rule.key.user).collect();
        users.sort_unstable();
        users
    };
    assert_eq!((users("late", "pw"), users("first", "secret")), (vec![1, 2], vec![3]));
    engine.stop();
}

#[test]
fn another_password_holds_from_the_next_login_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = start(&of(folder.path(), &hashed("demo", "old")));
    let rules = engine.addresses.control;
    let mut client = log_in(rules, "demo", "old").unwrap();
    let other = of(folder.path(), &hashed("demo", "new"));
    assert_eq!(changes(&mut engine, &other), ["account demo: another password for login demo"]);
    // The port learns of the change before the checker does: a verdict that comes now may still be of the old roll.
    assert_eq!(set(&mut client, 1), Ok(()), "who is in stays in");
    assert!(is_refused(log_in(rules, "demo", "old")));
    log_in(rules, "demo", "new").unwrap();
    assert_eq!(texts_until_closed(&mut client), ["replaced by a later login"]);
    engine.stop();
}

#[test]
fn a_drop_copy_changes_no_rules_and_reads_another_stream() {
    let folder = tempfile::tempdir().unwrap();
    let account = plain("demo", "secret");
    let mut engine = start(&of(folder.path(), &account));
    let mut client = log_in(engine.addresses.control, "demo", "secret").unwrap();
    let mut watching = log_in(engine.addresses.gateway, "demo", "secret").unwrap();
    assert_eq!(set(&mut client, 1), Ok(()));
    let copy = of(folder.path(), &(account + "drop_copy = true\n"));
    assert_eq!(changes(&mut engine, &copy), ["account demo: drop_copy is true now"]);
    assert_eq!(texts_until_closed(&mut watching), ["this login's stream is another now"]);
    // The rule port has looked by now, or looks at the latest when this login gets its verdict.
    let mut client = log_in(engine.addresses.control, "demo", "secret").unwrap();
    assert_eq!(set(&mut client, 2), Err((Code::NotPermitted, 0)));
    assert_eq!(list(&mut client).len(), 1);
    engine.stop();
}

#[test]
fn limits_change_and_what_cannot_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = plain("demo", "secret") + &plain("other", "secret");
    let mut engine = start(&config(folder.path(), "", "", "account_rules_max = 2", &accounts));
    let rules = engine.addresses.control;
    let mut client = log_in(rules, "demo", "secret").unwrap();
    assert_eq!([1, 2].map(|n| set(&mut client, n)), [Ok(()); 2]);
    assert_eq!(set(&mut client, 3), Err((Code::AccountFull, 0)));
    let clients = "sessions_per_address_max = 2\nlogin_deadline = \"4s\"";
    let control = "requests_per_second_max = 4\nsessions_max = 99";
    let more = config(folder.path(), control, clients, "account_rules_max = 3", &accounts);
    let reloaded = engine.reload(&more).unwrap();
    assert_eq!(
        reloaded.changes,
        [
            "clients.sessions_per_address_max: 2, was 256",
            "control.requests_per_second_max: 4, was 0",
            "limits.account_rules_max: 3, was 2",
            "clients.login_deadline (ns, of new connections): 4000000000, was 5000000000",
        ]
    );
    assert_eq!(reloaded.restart, ["[control]"]);
    assert_eq!(reloaded.to_string().lines().last(), Some("config: [control] differs: needs a restart"));
    assert_eq!(set(&mut client, 3), Ok(()));
    // The rule port looks at its limits at this login's verdict at the latest.
    let mut other = log_in(rules, "other", "secret").unwrap();
    assert!((0..100).any(|n| set(&mut other, n).is_err_and(|(code, _)| code == Code::Rate)));
    assert!(log_in(rules, "demo", "secret").is_err(), "two are there");
    assert_eq!(
        engine.reload(&more).unwrap().to_string(),
        "config read: nothing to change\nconfig: [control] differs: needs a restart"
    );
    engine.stop();
}

#[test]
fn more_accounts_than_there_is_room_for_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spare = |accounts: &str| config(folder.path(), "", "", "accounts_spare = 1", accounts);
    let one = plain("one", "secret");
    let mut engine = start(&spare(&one));
    let error = engine.reload(&spare(&(plain("two", "secret") + &plain("three", "secret")))).unwrap_err();
    assert!(error.to_string().starts_with("3 accounts so far, with those removed: there is room for 2"), "{error}");
    log_in(engine.addresses.control, "one", "secret").unwrap();
    assert!(is_refused(log_in(engine.addresses.control, "two", "secret")));
    assert_eq!(changes(&mut engine, &spare(&(one + &plain("two", "secret")))).len(), 1);
    log_in(engine.addresses.gateway, "two", "secret").unwrap();
    engine.stop();
}

#[test]
fn a_sighup_reads_the_file_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let text = |accounts: &str| config_text(folder.path(), "", "", "", accounts);
    write(&text(&plain("one", "secret")));
    parse(&text(&plain("one", "secret")));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hairtrigger"))
        .args(["run", "--config"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let rules = said.by_ref().find_map(|line| line.strip_prefix("rules: ").map(str::to_string)).unwrap();
    let rules = rules.split_whitespace().next().unwrap().parse().unwrap();
    let hang_up = || {
        let kill = format!("kill -HUP {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    };
    assert!(said.by_ref().any(|line| line.starts_with("running")));
    write(&text(&(plain("one", "secret") + "drop_copi = true\n")));
    hang_up();
    let line = said.next().unwrap();
    assert!(line.starts_with("config not taken, nothing has changed: ") && line.contains("`drop_copi`"), "{line}");
    log_in(rules, "one", "secret").unwrap();
    write(&text(&plain("two", "secret")));
    hang_up();
    assert_eq!(said.next().unwrap(), "config: account one: removed; its rules stay");
    assert_eq!(said.next().unwrap(), "config: account two: added, with 1 logins");
    log_in(rules, "two", "secret").unwrap();
    assert!(is_refused(log_in(rules, "one", "secret")));
    child.kill().unwrap();
    child.wait().unwrap();
}
