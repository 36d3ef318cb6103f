//! This program once more, as a process of its own: bystanders, or the attack.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Fault;
use crate::people::Bystanders;

/// The process. It ends when its standard input does, so it never outlives this one; dropping it kills it, and returns when it
/// is gone.
pub struct Others {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Others {
    /// Bystanders, once all are there.
    pub fn bystanders(who: &Bystanders, ports: [SocketAddr; 2]) -> Result<Others, Fault> {
        let mut args = vec!["bystanders".into()];
        for (name, count) in [("--good", who.good), ("--unread", who.unread), ("--slow", who.slow)] {
            args.extend([name.into(), count.to_string()]);
        }
        args.extend(who.behaved.then(|| "--behaved".into()));
        Others::start(args, ports)
    }

    /// Half-open connections, once each was open.
    pub fn attack(count: usize, addresses: usize, per_second: u64, ports: [SocketAddr; 2]) -> Result<Others, Fault> {
        let numbers = [("--half-open", count as u64), ("--addresses", addresses as u64), ("--per-second", per_second)];
        let mut args = vec!["attack".into()];
        args.extend(numbers.into_iter().flat_map(|(name, number)| [name.into(), number.to_string()]));
        Others::start(args, ports)
    }

    fn start(args: Vec<String>, [rules, alerts]: [SocketAddr; 2]) -> Result<Others, Fault> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).arg(rules.to_string()).arg(alerts.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut others = Others { child, input, output };
        let mut said = String::new();
        others.output.read_line(&mut said)?;
        if said.trim_end() == "ready" { Ok(others) } else { Err(format!("the others said {said:?}").into()) }
    }

    /// Ends it: what it has to say, and whether all is well with it.
    pub fn finish(mut self) -> Result<(String, bool), Fault> {
        drop(self.input.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        Ok((said.trim_end().into(), self.child.wait()?.success()))
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        // Both fail where it has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
