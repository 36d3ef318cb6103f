//! `hairtrigger replay`: rules over a recorded feed, offline and deterministic.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use hairtrigger::limits::SHARDS_MAX;
use hairtrigger::replay::{self, ReplayError};
use hairtrigger::rules_csv::CsvError;

/// Arguments of `replay`.
#[derive(clap::Args)]
pub struct Args {
    /// The feed: ITCH 5.0 in BinaryFILE, or a capture of MoldUDP64; plain or gzipped
    feed: PathBuf,
    /// The rules, CSV
    #[arg(long)]
    rules: PathBuf,
    /// Where the events go, CSV
    #[arg(long)]
    out: PathBuf,
    /// Shards; the events are the same for any number
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=SHARDS_MAX as i64))]
    shards: u16,
}

/// Runs it. The last line on standard error is a JSON object of counts. Exit status 1: the feed is damaged or is none, or
/// a file cannot be read or written; 2: something in the rules file is wrong.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let summary = match replay::run(&args.feed, &args.rules, &args.out, usize::from(args.shards)) {
        Ok(summary) => summary,
        Err(error @ ReplayError::Rules(CsvError::Bad { .. })) => {
            eprintln!("hairtrigger: {error}");
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(damage) = &summary.damage {
        eprintln!("hairtrigger: {}: {damage}", args.feed.display());
    }
    eprintln!("{}", serde_json::to_string(&summary)?);
    Ok(if summary.damage.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
