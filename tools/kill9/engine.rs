//! The engine as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Fault;

/// A running engine. Dropping it kills it with SIGKILL, and returns when it is gone.
pub struct Engine {
    child: Child,
    /// Line A.
    pub line: SocketAddr,
    /// The rule port.
    pub rules: SocketAddr,
    /// The alert port.
    pub alerts: SocketAddr,
}

/// Writes the config that all lives use.
pub fn write_config(folder: &Path, shards: usize) -> Result<PathBuf, Fault> {
    let (path, alerts, stats) = (folder.join("engine.toml"), folder.join("alerts"), folder.join("stats"));
    let text = format!(
        "[feed]\nline_a = {{ address = \"127.0.0.1:0\" }}\ndate = \"2020-01-30\"\ngap_deadline = \"10ms\"\nother_line_wait = \"1ms\"\n\
         [control]\nlisten = \"127.0.0.1:0\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\ndirectory = {alerts:?}\nsegment_size = \"1MiB\"\nretention_size = \"1GiB\"\n\
         [journal]\nsegment_size = \"256KiB\"\nsnapshot_size = \"2MiB\"\nhistory_size = \"1MiB\"\n\
         [limits]\nrules_max = 65536\naccount_rules_max = 65536\nsymbols_max = 1024\norders_max = 1024\nlevels_max = 1024\npolicies_max = 16\n\
         [topology]\nshards = {shards}\nidle = \"park\"\n\
         [stats]\nfile = {stats:?}\n\
         [[accounts]]\nname = \"demo\"\nlogins = [{{ user = \"demo\", password = \"secret\" }}, {{ user = \"guest\", password = \"secret\" }}]\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

impl Engine {
    /// Starts it and waits until it says where it is reached.
    pub fn start(program: &Path, config: &Path) -> Result<Engine, Fault> {
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(config).stdout(Stdio::piped()).env("RUST_LOG", "warn");
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut said = vec![];
        for line in output.lines() {
            let line = line?;
            if line.starts_with("running") {
                break;
            }
            said.push(line);
        }
        let after = |what: &str| -> Result<SocketAddr, Fault> {
            let rest =
                said.iter().find_map(|line| line.split_once(what)).ok_or_else(|| format!("no {what:?} in {said:?}"))?.1;
            Ok(rest.split([' ', ',']).next().unwrap_or("").parse()?)
        };
        Ok(Engine { line: after("line A on ")?, rules: after("rules: ")?, alerts: after("alerts: ")?, child })
    }

    /// SIGTERM; returns when it has stopped in order.
    pub fn terminate(mut self) -> Result<(), Fault> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if asked.success() && status.success() { Ok(()) } else { Err(format!("it stopped with {status}").into()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail where it has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
