//! Ends that are stated: what a full disk does to a running engine, and a thread that stands still, from outside.

mod engine;
mod naive;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use engine::process::Running;
use engine::{PASSWORD, Shape, config_text};
use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Code, Request};
use hairtrigger::model::{Comparison, Price, RuleKey, RuleSpec, Signal};

/// `hairtrigger run` under a shell's words, its standard error in a file.
struct Limited {
    child: Child,
    control: SocketAddr,
    errors: PathBuf,
}

impl Limited {
    fn start(folder: &Path, config: &Path, before: &str) -> Limited {
        let errors = folder.join("errors");
        let run = format!("{before} exec {:?} run --config {config:?}", env!("CARGO_BIN_EXE_hairtrigger"));
        let mut command = Command::new("sh");
        command.args(["-c", &run]).stdout(Stdio::piped()).stderr(File::create(&errors).expect("a folder of our own"));
        let mut child = command.spawn().expect("a shell");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let line = output.lines().map_while(Result::ok).find(|line| line.starts_with("rules: ")).expect("it runs");
        let control = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("an address");
        Limited { child, control, errors }
    }

    /// How it ended, and what it said.
    fn end(mut self) -> (std::process::ExitStatus, String) {
        let status = self.child.wait().expect("it is ours");
        (status, fs::read_to_string(&self.errors).expect("a file of our own"))
    }
}

fn config(folder: &Path, change: impl Fn(String) -> String) -> PathBuf {
    let shape = Shape { shards: 1, lines: 1, rerequest: None, accounts: &["demo".to_string()] };
    let path = folder.join("config.toml");
    fs::write(&path, change(config_text(shape, folder))).expect("a folder of our own");
    path
}

fn client(control: SocketAddr) -> Client {
    Client::connect(control, &Login::new("demo", PASSWORD).expect("a login")).expect("the rule port")
}

fn key(slot: u64) -> RuleKey {
    RuleKey { user: 1, symbol: "AAPL".parse().expect("a symbol"), slot: slot as u32, account: 0 }
}

/// Sends requests and reads their answers; `None` once the engine is gone.
fn ask(client: &mut Client, asks: impl Iterator<Item = Ask>) -> Option<Vec<Answer>> {
    let mut count = 0;
    for (id, ask) in (1..).zip(asks) {
        client.writer.send_unsequenced(Request { id, ask }.encode().bytes()).ok()?;
        count += 1;
    }
    client.writer.flush().ok()?;
    let mut answers = vec![];
    while answers.len() < count {
        if let Event::Sequenced(_, message) = client.receive().ok()? {
            answers.push(Answer::read(message).expect("an answer"));
        }
    }
    Some(answers)
}

/// The journal's file may not grow beyond some size: to the engine a full disk.
#[test]
fn a_full_disk_under_the_journal_ends_the_engine_by_name_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path(), |text| text);
    // In units of 512 bytes: the file of counters has 8 MiB.
    let engine = Limited::start(folder.path(), &config, "trap '' XFSZ; ulimit -f 16640;");
    let mut client = client(engine.control);
    let mut tag = 0;
    let mut acknowledged = 0;
    loop {
        let sets = (0..500u64).map(|n| {
            tag += 1;
            let spec = RuleSpec::new(Signal::Last, Comparison::Above, Price(1));
            Ask::Set(key(n), RuleSpec { tag, ..spec })
        });
        if ask(&mut client, sets).is_none() {
            break;
        }
        acknowledged = tag;
    }
    let (status, said) = engine.end();
    assert_eq!(status.signal(), Some(6), "{said}");
    assert!(said.contains("the journal cannot be written: File too large"), "{said}");
    let again = Running::start(&config);
    let mut client = self::client(again.control);
    client
        .writer
        .send_unsequenced(Request { id: 1, ask: Ask::List { user: None, limit: 1_000, cursor: 0 } }.encode().bytes())
        .expect("the rule port");
    client.writer.flush().expect("the rule port");
    let mut tags = vec![];
    loop {
        let Event::Sequenced(_, message) = client.receive().expect("the rule port") else { continue };
        match Answer::read(message).expect("an answer").body {
            Body::Rule(rule) => tags.push(rule.spec.tag),
            _ => break,
        }
    }
    assert!(acknowledged > 40_000 && tags.len() == 500, "{acknowledged} acknowledged, {} there", tags.len());
    assert!(tags.iter().all(|tag| *tag > acknowledged - 500), "{acknowledged}: {tags:?}");
    again.kill();
}

/// The log's folder goes away, so that no next segment can be made.
#[test]
fn an_alert_log_without_a_next_segment_refuses_rules_and_then_ends_the_engine_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = |text: String| text.replace("segment_size = \"1MiB\"", "segment_size = \"64KiB\"");
    let config = config(folder.path(), small);
    let engine = Limited::start(folder.path(), &config, "");
    let mut client = client(engine.control);
    let spec = RuleSpec::new(Signal::Last, Comparison::Above, Price(1));
    let set = |n: u64| Ask::Set(key(n), spec);
    ask(&mut client, (0..5_000).map(set)).expect("it runs");
    let is_session = |name: &str| name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit());
    for entry in fs::read_dir(folder.path()).expect("a folder of our own") {
        let entry = entry.expect("an entry");
        if is_session(&entry.file_name().to_string_lossy()) {
            fs::rename(entry.path(), folder.path().join("gone")).expect("a folder of our own");
        }
    }
    // Each replacement is told to the log.
    let is_refused = |answer: &Answer| matches!(answer.body, Body::Refused { code: Code::LogFull, .. });
    while !ask(&mut client, (0..50).map(set)).expect("it runs").iter().any(is_refused) {}
    // A removal is never refused, and told to the log too.
    let mut slot = 0;
    let mut remove = |_| {
        slot += 1;
        Ask::Remove(key(slot - 1), 0)
    };
    while ask(&mut client, (0..50).map(&mut remove)).is_some() {}
    let (status, said) = engine.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("is full and its next segment cannot be made"), "{said}");
}

/// Stops one thread of a process, as nothing but a debugger can. It goes on, or ends with its process, when the tracer lets it.
#[allow(unsafe_code)]
mod tracer {
    use std::io;

    /// # Errors
    /// What the system says.
    pub fn stop(thread: libc::pid_t) -> io::Result<()> {
        // SAFETY: a request about another process, and a wait for it: no memory of ours is taken.
        unsafe {
            let nothing = std::ptr::null_mut::<libc::c_void>();
            if libc::ptrace(libc::PTRACE_SEIZE, thread, nothing, nothing) != 0
                || libc::ptrace(libc::PTRACE_INTERRUPT, thread, nothing, nothing) != 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        wait(thread)
    }

    /// Waits until it has stopped, or is gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(thread: libc::pid_t) -> io::Result<()> {
        // SAFETY: as above; nobody wants the status.
        let waited = unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) };
        if waited == thread { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// The thread of a process that steps an agent, by its name.
fn thread_of(process: u32, agent: &str) -> libc::pid_t {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let mut threads = threads.map(|entry| entry.expect("an entry").path());
    let steps = |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.contains(agent));
    let path = threads.find(steps).expect("a thread of the agent's");
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number")
}

#[test]
fn an_agent_that_stands_still_ends_the_engine_by_name_where_the_config_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let watchdog = "[watchdog]\naction = \"abort\"\n[stats]";
    let config = config(folder.path(), |text| text.replace("[stats]", watchdog));
    let engine = Limited::start(folder.path(), &config, "");
    let thread = thread_of(engine.child.id(), "feed");
    tracer::stop(thread).unwrap_or_else(|error| panic!("a debugger's call: {error}"));
    tracer::wait(thread).expect("it ends with its process");
    let (status, said) = engine.end();
    assert_eq!(status.signal(), Some(6), "{said}");
    assert!(said.contains("feed") && said.contains("an agent stands still, and the config says abort"), "{said}");
}
