//! `hairtrigger run` as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `hairtrigger run`, killed when the test fails.
pub struct Running {
    child: Child,
    pub line: SocketAddr,
    pub control: SocketAddr,
    pub gateway: SocketAddr,
    /// What it said at start.
    pub said: Vec<String>,
}

impl Running {
    /// Starts it and reads from its output where it is reached. Then nobody reads it any more: it has to do without.
    pub fn start(config: &Path) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        let mut child =
            command.args(["run", "--config"]).arg(config).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let lines: Vec<String> =
            output.lines().map_while(Result::ok).take_while(|line| !line.starts_with("running")).collect();
        let after = |what: &str| {
            let text =
                lines.iter().find_map(|line| line.split_once(what)).unwrap_or_else(|| panic!("{what}: {lines:?}"));
            let address = text.1.split([' ', ',']).next().expect("a word");
            address.parse().unwrap_or_else(|_| panic!("no address: {lines:?}"))
        };
        let (line, control, gateway) = (after("line A on "), after("rules: "), after("alerts: "));
        Running { child, line, control, gateway, said: lines }
    }

    /// SIGTERM; it is not waited for.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGHUP: it reads its config again.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_some_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
