//! `hairtrigger inspect`: what is in a recorded feed, for people or as one JSON object.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use hairtrigger::feed::recording::{Damage, Kind, Recording};
use hairtrigger::inspect::{Inspection, Level, Print};
use hairtrigger::model::{Price, Side, Symbol};
use serde_json::{Value, json};

use super::text::{grouped, money, time_of_day};

/// Symbols that are listed, those with the most messages.
const BUSIEST_MAX: usize = 10;

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub struct Args {
    /// The feed: BinaryFILE or a classic pcap of MoldUDP64, plain or gzipped
    feed: PathBuf,
    /// Prints and orders of this symbol only, and its book
    #[arg(long)]
    symbol: Option<Symbol>,
    /// Only up to this sequence; without --json, only the book
    #[arg(long, value_name = "SEQ", requires = "symbol")]
    at: Option<u64>,
    /// One JSON object: prices and VWAP in currency units, times in ns since midnight
    #[arg(long)]
    json: bool,
}

/// Runs it. Damage is reported like everything else, and fails.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut feed = Recording::open(&args.feed)?;
    let mut inspection = Inspection::new(args.symbol);
    let last = args.at.unwrap_or(u64::MAX);
    while let Some((sequence, message)) = feed.next() {
        if sequence > last {
            break;
        }
        inspection.take(sequence, message);
    }
    if let Some(symbol) = args.symbol.filter(|symbol| !inspection.symbols.contains_key(symbol)) {
        let upto = args.at.map(|at| format!(" up to message {at}")).unwrap_or_default();
        return Err(format!("{}: no message is about {symbol}{upto}", args.feed.display()).into());
    }
    let book = args.symbol.map(|symbol| inspection.book(symbol));
    let text = match &book {
        _ if args.json => format!("{}\n", object(&inspection, &feed, book.as_deref())),
        Some(book) if args.at.is_some() => levels(book),
        Some(book) => format!("{}\nbook at the end\n{}", report(&inspection, &feed), levels(book)),
        None => report(&inspection, &feed),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    if let Some(damage) = feed.damage() {
        eprintln!("hairtrigger: {}: {damage}", args.feed.display());
    }
    Ok(if feed.damage().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One line a level, bids rising, dashes, asks rising.
fn levels(book: &[Level]) -> String {
    let side = |side, code| {
        let line = move |level: &Level| format!("{code} {}: {}\n", money(level.price), level.shares);
        book.iter().filter(move |level| level.side == side).map(line).collect::<String>()
    };
    format!("{}-----\n{}", side(Side::Bid, 'B'), side(Side::Ask, 'S'))
}

/// A report of aligned lines. Writing to a `String` cannot fail.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name:<18}{value}");
    }

    /// Only where there is something to say.
    fn count(&mut self, name: &str, count: u64) {
        if count > 0 {
            self.line(name, grouped(count));
        }
    }

    fn print(&mut self, name: &str, print: Option<Print>) {
        if let Some(Print { sequence, ts_event, price, shares }) = print {
            let (price, shares, time) = (money(price), grouped(shares.into()), time_of_day(ts_event));
            self.line(name, format_args!("{price:>10} x {shares:<10} at {time}, message {sequence}"));
        }
    }
}

fn report(inspection: &Inspection, feed: &Recording) -> String {
    let mut lines = Lines::default();
    lines.line("feed", form(feed));
    lines.line("messages", grouped(inspection.messages));
    for (kind, count) in by_count(inspection.types.iter().map(|(&kind, &count)| (kind, count))) {
        lines.line(&format!("  {}", kind as char), format_args!("{:>13}  {}", grouped(count), type_name(kind)));
    }
    if let Some((first, last)) = inspection.time {
        lines.line("time", format_args!("{} to {}", time_of_day(first), time_of_day(last)));
    }
    lines.count("  stamped back", inspection.backward_stamps);
    lines.line("symbols", grouped(inspection.symbols.len() as u64));
    for (symbol, count) in busiest(inspection) {
        lines.line(&format!("  {symbol}"), format_args!("{:>13}", grouped(count)));
    }
    prints(&mut lines, inspection);
    lines.line("live orders", grouped(inspection.orders.count() as u64));
    lines.line("unknown orders", grouped(inspection.unknown_orders));
    lines.count("symbol conflicts", inspection.symbol_conflicts);
    lines.count("malformed", inspection.malformed);
    lines.count("unknown types", inspection.unknown_types);
    match feed.damage() {
        Some(damage) => lines.line("damage", damage),
        None => lines.line("damage", "none"),
    }
    lines.0
}

fn prints(lines: &mut Lines, inspection: &Inspection) {
    let prints = &inspection.prints;
    lines.line("prints", grouped(prints.count));
    if prints.count == 0 {
        return;
    }
    lines.line("  volume", format_args!("{} shares", grouped(prints.shares)));
    if let Some(vwap) = inspection.vwap() {
        lines.line("  VWAP", format_args!("{vwap:.7}"));
    }
    lines.print("  first", prints.first);
    lines.print("  last", prints.last);
    lines.print("  lowest", prints.lowest);
    lines.print("  highest", prints.highest);
    lines.print("  largest", prints.largest);
}

fn form(feed: &Recording) -> String {
    let gzipped = if feed.is_gzipped() { ", gzipped" } else { "" };
    match (feed.kind(), feed.session()) {
        (Kind::Capture, Some(session)) => format!("MoldUDP64 in a pcap, session {}{gzipped}", session.escape_ascii()),
        _ if feed.is_marker_missing() => format!("BinaryFILE{gzipped}, without end-of-session marker"),
        _ => format!("BinaryFILE{gzipped}"),
    }
}

/// The largest count first; equal ones as they came.
fn by_count<K>(counts: impl Iterator<Item = (K, u64)>) -> Vec<(K, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts
}

fn busiest(inspection: &Inspection) -> Vec<(Symbol, u64)> {
    let mut symbols: Vec<_> = inspection.symbols.iter().map(|(&symbol, &count)| (symbol, count)).collect();
    symbols.sort();
    let mut symbols = by_count(symbols.into_iter());
    symbols.truncate(BUSIEST_MAX);
    symbols
}

fn object(inspection: &Inspection, feed: &Recording, book: Option<&[Level]>) -> Value {
    let Inspection { prints, time, .. } = inspection;
    let types: serde_json::Map<_, _> =
        inspection.types.iter().map(|(&kind, &count)| ((kind as char).to_string(), count.into())).collect();
    let busiest: Vec<_> = busiest(inspection)
        .into_iter()
        .map(|(symbol, count)| json!({ "symbol": symbol.to_string(), "messages": count }))
        .collect();
    let mut object = json!({
        "kind": match feed.kind() { Kind::BinaryFile => "binaryfile", Kind::Capture => "pcap" },
        "gzipped": feed.is_gzipped(),
        "session": feed.session().map(|session| session.escape_ascii().to_string()),
        "marker_missing": feed.is_marker_missing(),
        "messages": inspection.messages,
        "types": types,
        "malformed": inspection.malformed,
        "unknown_types": inspection.unknown_types,
        "symbol_conflicts": inspection.symbol_conflicts,
        "symbols": inspection.symbols.len(),
        "busiest": busiest,
        "ts_first": time.map(|(first, _)| first),
        "ts_last": time.map(|(_, last)| last),
        "stamped_back": inspection.backward_stamps,
        "prints": prints.count,
        "volume": prints.shares,
        "vwap": inspection.vwap(),
        "first": print_object(prints.first),
        "last": print_object(prints.last),
        "lowest": print_object(prints.lowest),
        "highest": print_object(prints.highest),
        "largest": print_object(prints.largest),
        "live_orders": inspection.orders.count(),
        "unknown_orders": inspection.unknown_orders,
        "damage": feed.damage().map(|damage: &Damage| json!({ "what": damage.kind.to_string(), "offset": damage.offset })),
    });
    if let Some(book) = book {
        object["book"] = book.iter().map(level_object).collect();
    }
    object
}

fn print_object(print: Option<Print>) -> Value {
    print.map_or(Value::Null, |print| {
        json!({
            "sequence": print.sequence,
            "ts_event": print.ts_event,
            "price": units(print.price),
            "shares": print.shares,
        })
    })
}

fn level_object(level: &Level) -> Value {
    let side = if level.side == Side::Bid { "bid" } else { "ask" };
    json!({ "side": side, "price": units(level.price), "shares": level.shares })
}

/// A price of ITCH has at most 10 digits, which an `f64` holds: it prints as the same decimal.
fn units(price: Price) -> f64 {
    price.0 as f64 / Price::ONE as f64
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        b'S' => "System Event",
        b'R' => "Stock Directory",
        b'H' => "Stock Trading Action",
        b'Y' => "Reg SHO Restriction",
        b'L' => "Market Participant Position",
        b'V' => "MWCB Decline Level",
        b'W' => "MWCB Status",
        b'K' => "IPO Quoting Period Update",
        b'J' => "LULD Auction Collar",
        b'h' => "Operational Halt",
        b'A' => "Add Order",
        b'F' => "Add Order with MPID",
        b'E' => "Order Executed",
        b'C' => "Order Executed With Price",
        b'X' => "Order Cancel",
        b'D' => "Order Delete",
        b'U' => "Order Replace",
        b'P' => "Trade",
        b'Q' => "Cross Trade",
        b'B' => "Broken Trade",
        b'I' => "Net Order Imbalance Indicator",
        b'N' => "Retail Price Improvement",
        b'O' => "Direct Listing Price Discovery",
        _ => "",
    }
}
