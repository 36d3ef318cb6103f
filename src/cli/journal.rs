//! `hairtrigger journal`: what is in a journal, where and why it ends. Reads only.

mod export;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use hairtrigger::journal::record::Entry;
use hairtrigger::journal::scan;
use hairtrigger::journal::segment::{End, Header, Reader};
use hairtrigger::journal::storage::{Directory, Storage};
use hairtrigger::model::ChangeKind;

/// Arguments of `journal`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show every segment: what is in it, where it ends and why
    Inspect {
        /// The journal's folder
        directory: PathBuf,
    },
    /// Write the rules as the CSV that `rules load` and `replay` read
    Export(export::Export),
    /// Check that all segments are one whole chain; the exit status says so
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
    let mut records = 0u64;
    let found = scan::scan(&Directory::existing(directory), 0, |_| records += 1)?;
    println!("whole: {records} records in {} segments", found.segments);
    if found.torn > 0 {
        println!("torn tail: {} bytes that were never acknowledged", found.torn);
    }
    println!("{}", if found.is_closed { "closed in order" } else { "not closed in order, or an engine is running" });
    Ok(ExitCode::SUCCESS)
}

fn inspect(directory: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let storage = Directory::existing(directory);
    let mut out = io::stdout().lock();
    writeln!(out, "{:<30} {:>12} {:>9} {:>9}  end", "segment", "first", "set", "removed")?;
    for name in storage.list()?.iter().filter(|name| name.ends_with(".journal")) {
        let bytes = storage.read(name)?;
        match Header::read(&bytes) {
            Ok(header) => {
                let (set, removed, end) = count(&bytes);
                writeln!(out, "{name:<30} {:>12} {set:>9} {removed:>9}  {end}", header.first_sequence)?;
            }
            Err(error) => writeln!(out, "{name:<30} {error}")?,
        }
    }
    match scan::scan(&storage, 0, |_| ()) {
        Ok(found) => writeln!(out, "next record: {}", found.position.next_sequence)?,
        Err(error) => writeln!(out, "{error}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets, removals, and why the segment ends.
fn count(bytes: &[u8]) -> (u64, u64, String) {
    let (mut set, mut removed, mut closed) = (0, 0, false);
    let Ok(mut reader) = Reader::new(bytes) else { return (0, 0, String::new()) };
    for record in reader.by_ref() {
        match record.entry {
            Entry::Change(_, change) if change.kind == ChangeKind::Removed => removed += 1,
            Entry::Change(..) => set += 1,
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
    (set, removed, end)
}
