//! `hairtrigger account`: what it prints is what a config takes, and a name that no config takes costs nobody a password.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hairtrigger::config::Config;

/// Runs it with these words on standard input: status, standard output, standard error.
fn account(arguments: &[&str], input: &str) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
    command.arg("account").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // One that asks for nothing may have ended by now.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it is ours");
    let [out, errors] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    (status.success(), out, errors)
}

#[test]
fn what_is_printed_opens_the_door_with_the_passwords_that_were_told() {
    let (is_done, section, told) = account(&["new", "desk1", "--user", "anna", "--user", "ben"], "");
    assert!(is_done, "{told}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("engine.toml");
    let text = format!("feed.line_a = {{ address = \"127.0.0.1:0\" }}\n{section}");
    let config = Config::parse(&text, Path::new("engine.toml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.accounts.len(), config.accounts[0].logins.len()), (1, 2));
    std::fs::write(&path, text).expect("a folder of our own");
    let path = path.display().to_string();
    for user in ["anna", "ben"] {
        let password = told.lines().find_map(|line| line.strip_prefix(&format!("password of {user}: ")));
        let password = password.unwrap_or_else(|| panic!("{told}"));
        let (is_right, said, _) = account(&["check", "--config", &path, user], password);
        assert!(is_right && said == format!("right: {user} is a login of account desk1\n"), "{said}");
        assert!(!account(&["check", "--config", &path, user], "wrong").0);
    }
}

#[test]
fn a_name_that_no_config_takes_is_refused_before_any_password() {
    for wrong in [&["Desk 1"][..], &["desk1", "--user", "annabell"], &["desk1", "--user", "anna", "--user", "ANNA"]] {
        for asks in [&[][..], &["--ask"]] {
            // With an empty standard input, whoever asks for a password says that none was given.
            let (is_done, said, errors) = account(&[&["new"], wrong, asks].concat(), "");
            let tells = errors.lines().any(|line| line.starts_with("password of")) || errors.contains("no password");
            assert!(!is_done && said.is_empty() && !tells, "{wrong:?}: {said}{errors}");
        }
    }
}
