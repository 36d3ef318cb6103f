//! The engine under test: `hairtrigger run` as a process of its own, stopped by a signal while the relay has its cores.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::rules::LOGIN;

/// Cores of the engine's agents.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Of the feed.
    pub feed: usize,
    /// Of the matchers.
    pub matchers: Vec<usize>,
    /// Of the gateway.
    pub gateway: usize,
    /// Of control.
    pub control: usize,
    /// The idle strategy of all.
    pub idle: String,
}

/// What an engine is given.
pub struct Settings<'a> {
    /// The command.
    pub command: &'a Path,
    /// A folder for its config, its alert log and its counters.
    pub folder: &'a Path,
    /// Where it runs.
    pub layout: &'a Layout,
    /// Rules that it has room for.
    pub rules_max: u64,
    /// Bytes of receive buffer.
    pub receive_buffer: usize,
}

/// A running engine. Dropping it ends it.
pub struct Engine {
    child: Child,
    /// Kept open: a command whose output nobody reads ends when it writes.
    _out: BufReader<ChildStdout>,
    /// Its line A.
    pub feed: SocketAddr,
    /// Its rule port.
    pub control: SocketAddr,
    /// Its alert port.
    pub alerts: SocketAddr,
}

fn config(settings: &Settings<'_>) -> String {
    let Layout { feed, matchers, gateway, control, idle } = settings.layout;
    let (folder, rules) = (settings.folder.display(), settings.rules_max.next_power_of_two().max(1 << 16));
    format!(
        r#"[feed]
line_a = {{ address = "127.0.0.1:0" }}
receive_buffer = {receive_buffer}
[control]
listen = "127.0.0.1:0"
[gateway]
listen = "127.0.0.1:0"
directory = "{folder}/alerts"
[[accounts]]
name = "{LOGIN}"
logins = [{{ user = "{LOGIN}", password = "{LOGIN}" }}]
[limits]
rules_max = {rules}
account_rules_max = {rules}
[stats]
file = "{folder}/stats"
[topology]
feed = {feed}
matchers = {matchers:?}
gateway = {gateway}
control = {control}
idle = "{idle}"
"#,
        receive_buffer = settings.receive_buffer,
    )
}

impl Engine {
    /// Starts it and waits until it runs.
    pub fn start(settings: &Settings<'_>) -> io::Result<Engine> {
        fs::create_dir_all(settings.folder)?;
        let file = settings.folder.join("engine.toml");
        fs::write(&file, config(settings))?;
        let mut command = Command::new(settings.command);
        let mut child = command.arg("run").arg("--config").arg(&file).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let (mut feed, mut control, mut alerts) = (None, None, None);
        for line in out.by_ref().lines() {
            let line = line?;
            let after = |name: &str| {
                let rest = &line[line.find(name)? + name.len()..];
                rest.split([' ', ',']).find(|word| !word.is_empty())?.parse().ok()
            };
            feed = feed.or_else(|| after("line A on "));
            control = control.or_else(|| after("rules: "));
            alerts = alerts.or_else(|| after("alerts: "));
            if line.starts_with("running") {
                break;
            }
        }
        match (feed, control, alerts) {
            (Some(feed), Some(control), Some(alerts)) => Ok(Engine { child, _out: out, feed, control, alerts }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other("the engine did not start"))
            }
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes its cores away, and waits until it has let go.
    pub fn pause(&self) {
        self.signal("-STOP");
        let is_stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        for _ in 0..1_000 {
            if is_stopped() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives them back.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// An engine that did not get a signal shows itself by what it does; nothing is to be done about it here.
    fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.pid().to_string()]).status();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.resume();
        self.signal("-TERM");
        let _ = self.child.wait();
    }
}
