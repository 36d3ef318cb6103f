//! The house rules that a reader relies on: who may import whom, how files begin, where `unsafe` is.

use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module on its floor. A module may import only from floors below its own: so no stage knows another,
/// values know nothing, and the wiring stands above all that it wires.
const FLOORS: &[&[&str]] = &[
    &["model", "limits"],
    &["sys"],
    &["agent", "ring", "stats"],
    &["soup"],
    &["door"],
    &["feed", "matcher", "gateway", "control", "journal", "tls", "rules_csv", "plan", "runner", "doctor"],
    &["synth"],
    &["partition", "publish", "client", "inspect", "archive"],
    &["replay", "config"],
    &["engine"],
    &["demo"],
    &["cli", "main", "lib"],
];

/// Files with `unsafe` code, each for a reason that stands in it.
const UNSAFE: &[&str] = &["src/sys/", "src/stats/", "src/gateway/", "src/feed/", "src/journal/"];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["src", "tools", "benches", "tests"].map(|name| root.join(name)).into();
    let mut found = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder of the project can be read").path();
            // A fuzzer's build lies beside its sources.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is text");
                found.push((path.strip_prefix(root).expect("it lies below").to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 50, "only {} sources were found", found.len());
    found
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The top-level modules that a source names as `crate::module`, with the lines.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for rest in code.split("crate::").skip(1) {
            let names = rest.strip_prefix('{').unwrap_or(rest);
            let name: String = names.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() && !rest[name.len()..].starts_with('!') {
                found.push((number + 1, name));
            }
        }
    }
    found
}

#[test]
fn imports_run_downward_only() {
    let mut wrong = vec![];
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("src") else { continue };
        let first = inside.iter().next().expect("a file has a name").to_string_lossy();
        let module = first.trim_end_matches(".rs").to_string();
        let floor = floor_of(&module).unwrap_or_else(|| panic!("{module} has no floor: put it in FLOORS"));
        for (line, name) in imports(&text) {
            let known = floor_of(&name);
            if name != module && known.is_some_and(|other| other >= floor) {
                wrong.push(format!("{}:{line}: {module} imports {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not run downward:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "files without a first sentence: {silent:?}");
}

#[test]
fn unsafe_stands_only_where_it_is_allowed_by_name() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| path.starts_with("src") && text.contains("allow(unsafe_code)"))
        .filter(|(path, _)| !UNSAFE.iter().any(|place| path.to_string_lossy().starts_with(place)))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "unsafe code in {wrong:?}");
}
