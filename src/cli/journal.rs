//! `hairtrigger journal`: what is in a journal, where and why it ends. Reads only.

mod export;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use hairtrigger::archive::{self, ArchiveError};
use hairtrigger::journal::record::Entry;
use hairtrigger::journal::segment::{End, Header, Reader};
use hairtrigger::journal::snapshot::{self, Snapshot, Totals};
use hairtrigger::journal::storage::Storage;
use hairtrigger::journal::{restart, scan};
use hairtrigger::model::{ChangeKind, LogPosition};

/// Arguments of `journal`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show every segment: what is in it, where it ends and why; and every snapshot: how far it goes
    Inspect {
        /// The journal's folder
        directory: PathBuf,
    },
    /// Write the rules as the CSV that `rules load` and `replay` read
    Export(export::Export),
    /// Check that all segments are one whole chain, and all snapshots whole; the exit status says so
    Verify {
        /// The journal's folder
        directory: PathBuf,
    },
}

/// Reads a journal.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    match args.what {
        What::Export(args) => export::run(&args),
        What::Inspect { directory } => inspect(&directory),
        What::Verify { directory } => verify(&directory),
    }
}

fn verify(directory: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let storage = archive::journal(directory)?;
    let mut records = 0u64;
    let oldest = restart::oldest(&storage)?;
    let found = scan::scan_behind(&storage, oldest.as_ref().map(Snapshot::covers), 0, |_| records += 1)?;
    if found.segments == 0 {
        return Err(ArchiveError::NoJournal(directory.into()).into());
    }
    println!("whole: {records} records in {} segments", found.segments);
    for (_, name) in snapshot::list(&storage)? {
        let snapshot = Snapshot::open(storage.read(&name)?).map_err(|error| format!("{name}: {error}"))?;
        println!("whole: {name}: {} rules", snapshot.counts().rules);
    }
    if found.torn > 0 {
        println!("torn tail: {} bytes that were never acknowledged", found.torn);
    }
    println!("{}", if found.is_closed { "closed in order" } else { "not closed in order, or an engine is running" });
    Ok(ExitCode::SUCCESS)
}

fn inspect(directory: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let storage = archive::journal(directory)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{:<30} {:>12} {:>9} {:>9} {:>9}  end", "segment", "first", "set", "removed", "standings")?;
    for name in storage.list()?.iter().filter(|name| name.ends_with(".journal")) {
        let bytes = storage.read(name)?;
        match Header::read(&bytes) {
            Ok(header) => {
                let ([set, removed, standings], end) = count(&bytes);
                let first = header.first_sequence;
                writeln!(out, "{name:<30} {first:>12} {set:>9} {removed:>9} {standings:>9}  {end}")?;
            }
            Err(error) => writeln!(out, "{name:<30} {error}")?,
        }
    }
    for (_, name) in snapshot::list(&storage)? {
        match Snapshot::open(storage.read(&name)?) {
            Ok(snapshot) => {
                let (covers, Totals { rules, .. }) = (snapshot.covers(), snapshot.counts());
                let LogPosition { session, segment, offset } = covers.log;
                writeln!(out, "{name:<30} {rules} rules, up to record {}", covers.position.next_sequence - 1)?;
                writeln!(out, "{:<30} and alert log session {session}, segment {segment}, byte {offset}", "")?;
            }
            Err(error) => writeln!(out, "{name:<30} {error}")?,
        }
    }
    let oldest = restart::oldest(&storage);
    match oldest.and_then(|oldest| scan::scan_behind(&storage, oldest.as_ref().map(Snapshot::covers), 0, |_| ())) {
        Ok(found) => writeln!(out, "next record: {}", found.position.next_sequence)?,
        Err(error) => writeln!(out, "{error}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets, removals and records of where a symbol stands, and why the segment ends.
fn count(bytes: &[u8]) -> ([u64; 3], String) {
    let (mut set, mut removed, mut standings, mut closed) = (0, 0, 0, false);
    let Ok(mut reader) = Reader::new(bytes) else { return ([0; 3], String::new()) };
    for record in reader.by_ref() {
        match record.entry {
            Entry::Change(_, change) if change.kind == ChangeKind::Removed => removed += 1,
            Entry::Change(..) => set += 1,
            Entry::Standing(_) => standings += 1,
            Entry::End => closed = true,
        }
    }
    let end = match reader.end() {
        Some(End::Whole) if closed => "closed in order".into(),
        Some(End::Whole) | None => "whole".into(),
        Some(End::TornTail(size)) => format!("torn tail: {size} bytes that were never acknowledged"),
        Some(End::Damage(at)) => format!("DAMAGED at byte {at}: record {} had been on disk", reader.next_sequence()),
        Some(End::Unknown(at)) => format!("a record of a later version at byte {at}"),
    };
    ([set, removed, standings], end)
}
