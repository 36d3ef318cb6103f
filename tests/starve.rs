//! The tool that starves an engine, in small: `tools/starve` says what it checks. Nothing is said here of how long it took.

use std::process::Command;

#[test]
fn those_who_behave_well_stay_while_others_do_not() {
    let mut starve = Command::new(env!("CARGO_BIN_EXE_starve"));
    let small = ["--scale", "0.02", "--seconds", "1", "--prints", "100", "--idle", "park", "--any-time"];
    let output = starve.args(small).args(["--engine", env!("CARGO_BIN_EXE_hairtrigger")]).output().expect("it starts");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    let rows: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let phases = ["calm", "others", "crowd", "filling", "starved", "attacked"];
    assert!(phases.iter().all(|phase| rows.contains(phase)), "{said}");
    assert!(said.contains("20 Good, cut 0 times") && said.contains("16 Good, cut 0 times; 2 Unread"), "{said}");
    assert!(said.contains("100 Silent") && said.contains("100 HalfLogin"), "{said}");
    assert!(said.contains("failed: 0;") && said.ends_with("good clients all stayed\n"), "{said}");
}
