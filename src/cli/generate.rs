//! `hairtrigger generate`.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use hairtrigger::limits::ITCH_SIZE_MAX;
use hairtrigger::synth::{Day, DayParams, MESSAGES_MIN, RULES_HEADER, RuleRows};
use indicatif::{ProgressBar, ProgressStyle};

use super::onto;

/// Messages between two looks of the progress bar.
const PROGRESS_STEP: u64 = 1 << 16;

/// Arguments of `generate`.
#[derive(clap::Args)]
pub struct Args {
    /// Write the day here, in BinaryFILE; a name that ends in .gz is gzipped
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Messages in all
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(MESSAGES_MIN..))]
    messages: u64,
    /// Symbols; fewer where they would leave too few messages to orders
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u16).range(1..))]
    symbols: u16,
    /// The same seed gives the same bytes on every machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Gzip the day whatever its name
    #[arg(long)]
    gzip: bool,
    /// Make so many rules around the day's prices too
    #[arg(long, value_name = "N", requires = "rules_out")]
    rules: Option<u64>,
    /// Write the rules here, in the CSV of `replay`
    #[arg(long, value_name = "FILE", requires = "rules")]
    rules_out: Option<PathBuf>,
    /// Users that own the rules
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let start = Instant::now();
    let mut day = Day::new(DayParams { seed: args.seed, messages: args.messages, symbols: args.symbols });
    if let (Some(rules), Some(path)) = (args.rules, &args.rules_out) {
        write_rules(RuleRows::new(day.prices(), args.users, args.seed), rules, path).map_err(named(path))?;
        onto::is_none_of(&args.out, [path])?;
        eprintln!("{rules} rules of {} users in {}", args.users, path.display());
    }
    let symbols = day.prices().len();
    let bytes = write_day(&mut day, &args).map_err(named(&args.out))?;
    let elapsed_s = start.elapsed().as_secs_f64();
    eprintln!(
        "{} messages of {symbols} symbols in {}: {bytes} bytes{} in {elapsed_s:.2} s, {:.1} M messages/s",
        args.messages,
        args.out.display(),
        if is_gzip(&args) { " before gzip" } else { "" },
        args.messages as f64 / elapsed_s / 1e6,
    );
    Ok(ExitCode::SUCCESS)
}

fn named(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

fn is_gzip(args: &Args) -> bool {
    args.gzip || args.out.extension().is_some_and(|extension| extension == "gz")
}

/// Writes the whole day and returns its size before compression.
fn write_day(day: &mut Day, args: &Args) -> io::Result<u64> {
    let file = File::create(&args.out)?;
    let bar = ProgressBar::new(args.messages);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} messages, {per_sec}")
            .map_err(io::Error::other)?,
    );
    let bytes = if is_gzip(args) {
        let mut gzip = BufWriter::with_capacity(1 << 20, GzEncoder::new(file, Compression::fast()));
        let bytes = write_messages(day, &mut gzip, &bar)?;
        gzip.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
        bytes
    } else {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let bytes = write_messages(day, &mut out, &bar)?;
        out.flush()?;
        bytes
    };
    bar.finish_and_clear();
    Ok(bytes)
}

/// BinaryFILE: each message behind its length (2 bytes, big-endian), then the end-of-session marker.
fn write_messages(day: &mut Day, out: &mut impl Write, bar: &ProgressBar) -> io::Result<u64> {
    let (mut buffer, mut bytes, mut count) = ([0; ITCH_SIZE_MAX], 2, 0);
    while let Some(message) = day.next_into(&mut buffer) {
        out.write_all(&(message.len() as u16).to_be_bytes())?;
        out.write_all(message)?;
        bytes += 2 + message.len() as u64;
        count += 1;
        if count % PROGRESS_STEP == 0 {
            bar.set_position(count);
        }
    }
    out.write_all(&[0, 0])?;
    Ok(bytes)
}

fn write_rules(mut rows: RuleRows, count: u64, path: &Path) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "{RULES_HEADER}")?;
    let mut line = String::new();
    for _ in 0..count {
        line.clear();
        rows.next_into(&mut line);
        writeln!(out, "{line}")?;
    }
    out.flush()
}
