//! `hairtrigger replay`: rules, or what a journal says was done, over a recorded feed; offline and deterministic.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hairtrigger::archive::session_name;
use hairtrigger::feed::recording::Recording;
use hairtrigger::limits::SHARDS_MAX;
use hairtrigger::replay::{self, ReplayError, Summary};
use hairtrigger::rules_csv::CsvError;

use super::onto;
use super::past::PastArgs;

/// Arguments of `replay`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// The feed: ITCH 5.0 in BinaryFILE, or a capture of MoldUDP64; plain or gzipped
    feed: PathBuf,
    /// The rules, CSV
    #[arg(long, group = "what", requires = "out")]
    rules: Option<PathBuf>,
    /// A journal's folder: every change is carried out where it took effect, and compared with what the journal says of it
    #[arg(long, group = "what")]
    journal: Option<PathBuf>,
    /// Where the events go, CSV
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shards; the events are the same for any number
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=SHARDS_MAX as i64))]
    shards: u16,
    #[command(flatten)]
    past: PastArgs,
}

/// Runs it. The last line on standard error is a JSON object of counts. Exit status 1: the feed is damaged or is none, a
/// file cannot be read or written, or the journal has something otherwise; 2: something in the rules file is wrong.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let shards = usize::from(args.shards);
    if let Some(out) = &args.out {
        onto::is_none_of(out, [&args.feed].into_iter().chain(&args.rules))?;
    }
    let result = match (&args.rules, &args.out, &args.journal) {
        (Some(rules), Some(out), _) => replay::run(&args.feed, rules, out, shards),
        (_, _, Some(journal)) => return run_journal(&args, journal, shards),
        _ => return Err("expected --rules and --out, or --journal".into()),
    };
    match result {
        Ok(summary) => report(&args, &summary),
        Err(error @ ReplayError::Rules(CsvError::Bad { .. })) => {
            eprintln!("hairtrigger: {error}");
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error.into()),
    }
}

fn run_journal(args: &Args, journal: &Path, shards: usize) -> Result<ExitCode, Box<dyn Error>> {
    let feed = Recording::open(&args.feed)?;
    let archive = args.past.read(journal)?;
    let day = args.past.day(&archive, feed.session())?;
    let (date, midnight) = args.past.midnight(day.feed_time)?;
    let (session, zone) = (session_name(&day.session), args.past.zone());
    let (changes, rules) = (day.changes.len(), day.before.rules.len());
    eprintln!("session '{session}' of {date}, {zone}: {rules} rules stood before it, {changes} changes");
    let summary = replay::run_day(feed, day, midnight, args.out.as_deref(), shards)?;
    report(args, &summary)
}

fn report(args: &Args, summary: &Summary) -> Result<ExitCode, Box<dyn Error>> {
    for difference in &summary.first_differences {
        eprintln!("hairtrigger: {difference}");
    }
    if let Some(damage) = &summary.damage {
        eprintln!("hairtrigger: {}: {damage}", args.feed.display());
    }
    eprintln!("{}", serde_json::to_string(summary)?);
    let failed = summary.damage.is_some() || summary.differences.is_some_and(|count| count > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
