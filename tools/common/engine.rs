//! The engine as a process, and a folder for it: what `kill9`, `soak` and `starve` begin with.

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

/// Runs a tool's work in a folder of its own, which is gone afterwards; where the work finds a fault it is left as it is, and named.
pub fn in_folder<T>(tool: &str, work: impl FnOnce(&Path) -> Result<T, Fault>) -> Result<T, Fault> {
    let folder = std::env::temp_dir().join(format!("hairtrigger-{tool}-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let done = work(&folder).map_err(|fault| -> Fault { format!("{fault} (see {})", folder.display()).into() })?;
    std::fs::remove_dir_all(&folder)?;
    Ok(done)
}

impl Engine {
    /// Starts a program, or the `hairtrigger` beside this one, and waits until it says where it is reached.
    pub fn start(program: Option<&Path>, config: &Path) -> Result<Engine, Fault> {
        let program = program.map_or_else(|| std::env::current_exe().map(beside), |path| Ok(path.into()))?;
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

fn beside(tool: PathBuf) -> PathBuf {
    tool.with_file_name("hairtrigger")
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail where it has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
