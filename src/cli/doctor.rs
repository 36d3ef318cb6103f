//! `hairtrigger doctor`: what about this host costs latency. Exit status 0: nothing that it can see; 1: something;
//! 2: it could not be examined.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use hairtrigger::config::{self, Config};
use hairtrigger::doctor::{Finding, Host, State, examine};
use hairtrigger::plan::Plan;
use hairtrigger::sys::topology::{Machine, parse_list};
use serde_json::{Value, json};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// The engine's config: its cores and its receive buffer are what is checked
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The engine's cores, such as 2-5,8; without it those of the plan, or all that may be used where it pins none
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Examine the files under this folder instead of this machine's
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// One JSON object a check instead of text
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    Ok(examined(args).unwrap_or_else(|error| {
        eprintln!("hairtrigger: {error}");
        ExitCode::from(2)
    }))
}

fn examined(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let receive_buffer = config.as_ref().map_or(config::Feed::default().receive_buffer, |of| of.feed.receive_buffer);
    let cores = match &args.cores {
        Some(list) => parse_list(list),
        None => {
            let topology = config.map(|config| config.topology).unwrap_or_default();
            let allowed = Host::new(&args.root, &[], 0).allowed();
            let plan = Plan::new(&Machine::read(&args.root, &allowed), &topology)?;
            plan.threads.iter().filter_map(|thread| Some(thread.core?.id)).collect()
        }
    };
    let host = Host::new(&args.root, &cores, receive_buffer);
    let findings = examine(&host);
    let text = if args.json { objects(&findings) } else { report(&host, &findings) };
    io::stdout().write_all(text.as_bytes())?;
    let costs = findings.iter().any(|finding| finding.state == State::Costs);
    Ok(if costs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(host: &Host, findings: &[Finding]) -> String {
    let mut text = String::new();
    let cores: Vec<String> = host.cores().iter().map(usize::to_string).collect();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "the engine's cores: {}", cores.join(" "));
    for finding in findings {
        let _ = writeln!(text, "{:<6}  {:<16} {}", finding.state.name(), finding.check, finding.found);
        if finding.state != State::Well {
            let _ = writeln!(text, "        should be: {}", finding.wanted);
            let _ = writeln!(text, "        why: {}", finding.why);
            let _ = writeln!(text, "        do: {}", finding.command);
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (costs, unseen) = (count(State::Costs), count(State::Unseen));
    let _ = writeln!(text, "{costs} of {} cost latency, {unseen} cannot be seen from here", findings.len());
    text
}

fn objects(findings: &[Finding]) -> String {
    let line = |finding: &Finding| -> Value {
        json!({
            "check": finding.check,
            "state": finding.state.name(),
            "found": finding.found,
            "wanted": finding.wanted,
            "why": finding.why,
            "command": finding.command,
        })
    };
    findings.iter().map(|finding| format!("{}\n", line(finding))).collect()
}
