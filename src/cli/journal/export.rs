//! `hairtrigger journal export`: the rules as the CSV that `rules load` and `replay` read.
//!
//! The journal has moments, the CSV times of day. A rule that expires
//!
//! | | rules as they stand | `--history` |
//! |---|---|---|
//! | on the day | at its time | at its time |
//! | before it | is over: left out, counted | at the first moment of the day, counted: it was accepted, and never lived |
//! | after it | left out, counted, and the exit status says so; with `--later-as-never` without an expiry | without an expiry, counted: within the day that is the same |
//!
//! A rules file says what rules are, not where they stand: one that has fired and stays may fire at once when it is loaded, and
//! has all of its `max_fires` again. What was refused is in no journal.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use hairtrigger::archive::Archive;
use hairtrigger::model::{ChangeKind, NEVER, Nanos, RestoredRule};
use hairtrigger::rules_csv::{Op, Row, write_header, write_row};

use crate::cli::past::PastArgs;

const DAY: Nanos = 86_400_000_000_000;

/// Arguments of `journal export`.
#[derive(clap::Args)]
pub struct Export {
    /// The journal's folder
    directory: PathBuf,
    /// Every set and remove of a session with the place where it took effect (`at`), instead of the rules as they stand
    #[arg(long)]
    history: bool,
    /// Write rules that expire on a later day without an expiry, instead of leaving them out
    #[arg(long)]
    later_as_never: bool,
    /// Where it goes; default: standard output
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    past: PastArgs,
}

/// Rows on their way out, and what became of their expiries.
struct Rows {
    midnight: Nanos,
    keeps_early: bool,
    keeps_late: bool,
    rows: Vec<(Row, String)>,
    early: u64,
    late: u64,
}

/// Writes it. Exit status 1: rules were left out that the CSV cannot say.
pub fn run(args: &Export) -> Result<ExitCode, Box<dyn Error>> {
    let archive = args.past.read(&args.directory)?;
    let (rows, date) = if args.history { history(args, &archive)? } else { current(args, &archive)? };
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => {
            Box::new(BufWriter::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?))
        }
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    write_header(&mut out)?;
    rows.rows.iter().try_for_each(|(row, account)| write_row(&mut out, row, account))?;
    out.flush()?;
    let (count, early, late) = (rows.rows.len(), rows.early, rows.late);
    eprintln!("{count} rows; expiries are times of day of {date}, {}", args.past.zone());
    if early > 0 {
        let what = if rows.keeps_early { "written to end with the first message" } else { "left out: they are over" };
        eprintln!("{early} rules expire before that day: {what}");
    }
    if late > 0 {
        let what = match rows.keeps_late {
            true => "written without an expiry",
            false => "LEFT OUT (--later-as-never writes them without an expiry; --date chooses the day)",
        };
        eprintln!("{late} rules expire after that day: {what}");
    }
    Ok(if late > 0 && !rows.keeps_late { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

type Exported = Result<(Rows, String), Box<dyn Error>>;

fn current(args: &Export, archive: &Archive) -> Exported {
    let (date, midnight) = args.past.midnight(archive.feed_time())?;
    let (accounts, recovered) = archive.current();
    let mut rows = Rows::new(midnight, false, args.later_as_never);
    recovered.rules.iter().for_each(|rule| rows.standing(rule, &accounts));
    Ok((rows, date.to_string()))
}

fn history(args: &Export, archive: &Archive) -> Exported {
    let day = args.past.day(archive, None)?;
    let (date, midnight) = args.past.midnight(day.feed_time)?;
    let mut rows = Rows::new(midnight, true, true);
    rows.keeps_early = false;
    day.before.rules.iter().for_each(|rule| rows.standing(rule, &day.accounts));
    rows.keeps_early = true;
    for placed in &day.changes {
        let key = placed.change.key;
        let op = match placed.change.kind {
            ChangeKind::Set(spec, _) => Op::Set(spec),
            ChangeKind::Removed => Op::Remove { tag: 0 },
        };
        let (at, account) = (placed.at, placed.account);
        let row = Row { at, user: key.user, symbol: key.symbol, slot: key.slot, account, op };
        rows.add(row, &day.accounts);
    }
    Ok((rows, date.to_string()))
}

impl Rows {
    fn new(midnight: Nanos, keeps_early: bool, keeps_late: bool) -> Rows {
        Rows { midnight, keeps_early, keeps_late, rows: vec![], early: 0, late: 0 }
    }

    /// Adds a rule that stands before all messages.
    fn standing(&mut self, rule: &RestoredRule, accounts: &[String]) {
        let key = rule.key;
        let op = Op::Set(rule.spec);
        let row = Row { at: 0, user: key.user, symbol: key.symbol, slot: key.slot, account: key.account, op };
        self.add(row, accounts);
    }

    fn add(&mut self, mut row: Row, accounts: &[String]) {
        if let Op::Set(spec) = &mut row.op
            && spec.expires_at != NEVER
        {
            match spec.expires_at.checked_sub(self.midnight) {
                Some(time) if (1..DAY).contains(&time) => spec.expires_at = time,
                Some(time) if time >= DAY => {
                    self.late += 1;
                    spec.expires_at = NEVER;
                    if !self.keeps_late {
                        return;
                    }
                }
                _ => {
                    self.early += 1;
                    spec.expires_at = 1;
                    if !self.keeps_early {
                        return;
                    }
                }
            }
        }
        self.rows.push((row, accounts[usize::from(row.account)].clone()));
    }
}
