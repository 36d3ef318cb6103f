//! The tool that kills an engine under load, a short run of it: `tools/kill9` says what it checks.

use std::process::Command;

#[test]
fn an_engine_that_is_killed_keeps_its_word() {
    let mut kill9 = Command::new(env!("CARGO_BIN_EXE_kill9"));
    let output =
        kill9.args(["--kills", "8", "--engine", env!("CARGO_BIN_EXE_hairtrigger")]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.starts_with("8 kills") && said.contains(" 0 lost") && !said.contains(" 0 acknowledged sets"),
        "{said}"
    );
}
