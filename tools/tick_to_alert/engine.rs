//! The engine under test: `hairtrigger run` as a process of its own, stopped by a signal while the relay has its cores.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::rules::{LOGIN, STORM_LOGIN};
use crate::stamps::Wall;

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

impl Layout {
    /// All of them.
    pub fn cores(&self) -> impl Iterator<Item = usize> + '_ {
        [self.feed, self.gateway, self.control].into_iter().chain(self.matchers.iter().copied())
    }
}

/// What an engine is given.
pub struct Settings<'a> {
    /// The command.
    pub command: &'a Path,
    /// A folder for its config, its alert log and its counters.
    pub folder: &'a Path,
    /// The folder of its journal.
    pub journal: PathBuf,
    /// Where it runs.
    pub layout: &'a Layout,
    /// Rules that it has room for.
    pub rules_max: u64,
    /// Bytes of receive buffer.
    pub receive_buffer: usize,
    /// `KEY=VALUE` of keys that are to have another value.
    pub overrides: &'a [String],
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
    /// The wall clock as it stood to the monotonic one when the engine tied its stamps to it, give or take its start.
    pub wall: Wall,
}

/// The config, before what is overridden.
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
[[accounts]]
name = "{STORM_LOGIN}"
logins = [{{ user = "{STORM_LOGIN}", password = "{STORM_LOGIN}" }}]
[journal]
directory = "{journal}"
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
        journal = settings.journal.display(),
    )
}

/// The config with `KEY=VALUE` put in the place of what it says.
fn overridden(config: &str, overrides: &[String]) -> Result<String, Box<dyn Error>> {
    let mut table: toml::Table = config.parse()?;
    for text in overrides {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, not '{text}'"))?;
        let (section, key) = key.trim().split_once('.').ok_or_else(|| format!("expected SECTION.KEY, not '{key}'"))?;
        let parsed: toml::Table = format!("value = {value}").parse()?;
        let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
        let section = section.as_table_mut().ok_or("a section of the config is a table")?;
        section.insert(key.into(), parsed["value"].clone());
    }
    Ok(table.to_string())
}

impl Engine {
    /// Starts it and waits until it runs.
    pub fn start(settings: &Settings<'_>) -> Result<Engine, Box<dyn Error>> {
        fs::create_dir_all(settings.folder)?;
        let file = settings.folder.join("engine.toml");
        fs::write(&file, overridden(&config(settings), settings.overrides)?)?;
        let mut command = Command::new(settings.command);
        let mut child = command.arg("run").arg("--config").arg(&file).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("the engine has an output")?);
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
        let wall = Wall::now();
        match (feed, control, alerts) {
            (Some(feed), Some(control), Some(alerts)) => Ok(Engine { child, _out: out, feed, control, alerts, wall }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err("the engine did not start".into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_another_value_also_where_it_had_none() {
        let keys = ["feed.receive_buffer=\"1MiB\"".into(), "memory.lock=true".into()];
        let table: toml::Table =
            overridden("[feed]\nreceive_buffer = 7\nzone = \"UTC\"", &keys).unwrap().parse().unwrap();
        let expected: toml::Table =
            "[feed]\nreceive_buffer = \"1MiB\"\nzone = \"UTC\"\n[memory]\nlock = true".parse().unwrap();
        assert_eq!(table, expected);
        assert!(overridden("", &["feed=1".into()]).is_err() && overridden("", &["feed.a".into()]).is_err());
    }
}
