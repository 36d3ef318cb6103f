//! `hairtrigger publish`.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hairtrigger::agent::Agent;
use hairtrigger::feed::recording::Recording;
use hairtrigger::publish::impair::{ALWAYS, LineCounts};
use hairtrigger::publish::{LineSettings, Messages, Pace, Publisher, Rates, Settings, capture};
use hairtrigger::sys::clock::Clock;

/// Where captures send to when no line is named.
const CAPTURED_A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 1, 1), 26_400);
const CAPTURED_B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 1, 2), 26_401);
/// Where captures say that they were sent from when no interface is named.
const CAPTURED_FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 26_399);
/// The longest sleep while nothing is due: requests are answered within it.
const IDLE_MAX: Duration = Duration::from_micros(200);

/// Arguments of `publish`.
#[derive(clap::Args)]
pub struct Args {
    /// A recorded or generated feed: BinaryFILE or pcap, plain or gzipped
    feed: PathBuf,
    /// Send line A to this group or host
    #[arg(long, value_name = "ADDR")]
    line_a: Option<SocketAddrV4>,
    /// Send line B to this group or host
    #[arg(long, value_name = "ADDR")]
    line_b: Option<SocketAddrV4>,
    /// Serve re-requests here
    #[arg(long, value_name = "ADDR")]
    rerequest_listen: Option<SocketAddr>,
    /// Session id, up to 10 characters; that of a capture, else HAIRTRIG01
    #[arg(long, value_parser = session)]
    session: Option<[u8; 10]>,
    /// Address of the interface that multicast leaves by
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::UNSPECIFIED)]
    interface: Ipv4Addr,
    /// Pace: `original`, or a factor such as 10 or 0.5
    #[arg(long, default_value = "original", value_parser = speed, conflicts_with_all = ["rate", "max"])]
    speed: Pace,
    /// Messages a second, evenly
    #[arg(long, value_name = "MSGS_PER_S", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "max")]
    rate: Option<u64>,
    /// As fast as it goes
    #[arg(long)]
    max: bool,
    /// Packets that are lost, on each line by itself, such as 1%
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parts_per_million)]
    loss: u32,
    /// The same for line A only
    #[arg(long, value_name = "PERCENT", value_parser = parts_per_million)]
    loss_a: Option<u32>,
    /// The same for line B only
    #[arg(long, value_name = "PERCENT", value_parser = parts_per_million)]
    loss_b: Option<u32>,
    /// Packets that are sent twice
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parts_per_million)]
    duplicate: u32,
    /// Packets that 1 to 4 later ones overtake
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parts_per_million)]
    reorder: u32,
    /// Seed of what goes wrong
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write what would be sent as a capture, instead of sending it
    #[arg(long, value_name = "FILE", conflicts_with = "rerequest_listen")]
    pcap: Option<PathBuf>,
    /// Bytes of a datagram's payload at most
    #[arg(long, value_name = "BYTES", default_value_t = 1_400, value_parser = clap::value_parser!(u16).range(72..=65_507))]
    packet_size: u16,
    /// Stop after so many messages
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    messages: u64,
    /// Send ends of session and serve re-requests for so long after the last message, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5s", value_parser = seconds)]
    linger: Duration,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut recording = Recording::open(&args.feed)?;
    let messages = Messages::load(&mut recording, args.messages);
    if let Some(damage) = recording.damage() {
        eprintln!("{}: {damage}; what stands before it is sent", args.feed.display());
    }
    let settings = settings(&args, recording.session());
    drop(recording);
    if let Some(path) = &args.pcap {
        return write_capture(&settings, &messages, path);
    }
    if settings.lines.is_empty() {
        return Err("nowhere to send to: give --line-a, --line-b or --pcap".into());
    }
    send(&settings, messages)
}

fn write_capture(settings: &Settings, messages: &Messages, path: &PathBuf) -> Result<ExitCode, Box<dyn Error>> {
    let interface = Some(settings.interface).filter(|ip| !ip.is_unspecified());
    let source = SocketAddrV4::new(interface.unwrap_or(*CAPTURED_FROM.ip()), CAPTURED_FROM.port());
    let named = |error| format!("{}: {error}", path.display());
    let out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(named)?);
    let lines = capture::write(settings, messages, source, out).map_err(named)?;
    summary(settings, messages.count(), lines);
    Ok(ExitCode::SUCCESS)
}

fn send(settings: &Settings, messages: Messages) -> Result<ExitCode, Box<dyn Error>> {
    let clock = Clock::machine();
    let mut publisher = Publisher::new(settings, Arc::new(messages), clock.clone())?;
    if let Some(address) = publisher.rerequest_address() {
        eprintln!("re-requests are served at {address}");
    }
    loop {
        let now = clock.now();
        if publisher.is_done(now) {
            break;
        }
        if publisher.do_work(now) == 0 {
            let due = publisher.next_due().map_or(IDLE_MAX, |due| Duration::from_nanos(due.saturating_sub(now)));
            std::thread::sleep(due.min(IDLE_MAX));
        }
    }
    summary(settings, publisher.sent(), publisher.line_counts());
    let (requests, answers) = publisher.requests();
    if settings.rerequest.is_some() {
        eprintln!("re-requests: {requests} came, {answers} were answered");
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(settings: &Settings, messages: u64, lines: impl IntoIterator<Item = LineCounts>) {
    let session = settings.session.escape_ascii();
    eprintln!("{messages} messages of session {session}");
    for (line, counts) in settings.lines.iter().zip(lines) {
        let LineCounts { packets, datagrams, lost, duplicated, reordered, failed } = counts;
        eprintln!(
            "line to {}: {packets} packets, {lost} lost, {duplicated} duplicated, {reordered} reordered on purpose; \
             {datagrams} datagrams sent, {failed} refused",
            line.to
        );
    }
}

fn settings(args: &Args, captured: Option<[u8; 10]>) -> Settings {
    let nowhere = args.pcap.is_some() && args.line_a.is_none() && args.line_b.is_none();
    let (to_a, to_b) = if nowhere { (Some(CAPTURED_A), Some(CAPTURED_B)) } else { (args.line_a, args.line_b) };
    let line = |to: Option<SocketAddrV4>, loss: Option<u32>, seed| {
        let rates = Rates { loss: loss.unwrap_or(args.loss), duplicate: args.duplicate, reorder: args.reorder };
        to.map(|to| LineSettings { to, rates, seed })
    };
    let lines = [line(to_a, args.loss_a, args.seed), line(to_b, args.loss_b, args.seed.wrapping_add(1))];
    Settings {
        session: args.session.or(captured).unwrap_or(*b"HAIRTRIG01"),
        lines: lines.into_iter().flatten().collect(),
        rerequest: args.rerequest_listen,
        interface: args.interface,
        pace: match args.rate {
            _ if args.max => Pace::Max,
            Some(rate) => Pace::Rate(rate),
            None => args.speed,
        },
        packet_size: args.packet_size.into(),
        linger: args.linger.as_nanos() as u64,
        record_times: false,
    }
}

/// A session id is padded on the right, as the protocol's captures have it.
fn session(text: &str) -> Result<[u8; 10], String> {
    let mut id = [b' '; 10];
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    match id.get_mut(..text.len()) {
        Some(place) if printable && !text.is_empty() => place.copy_from_slice(text.as_bytes()),
        _ => return Err("expected 1 to 10 printable characters".into()),
    }
    Ok(id)
}

fn speed(text: &str) -> Result<Pace, String> {
    let factor = if text == "original" { "1" } else { text.trim_end_matches('x') };
    let speed = decimal(factor, 1_000).filter(|speed| *speed > 0);
    let speed = speed.ok_or("expected `original` or a factor such as 10 or 0.5, at least 0.001")?;
    Ok(Pace::Original { speed })
}

fn parts_per_million(text: &str) -> Result<u32, String> {
    let parts = decimal(text.trim_end_matches('%'), u64::from(ALWAYS) / 100);
    let parts = parts.and_then(|parts| u32::try_from(parts).ok()).filter(|parts| *parts <= ALWAYS);
    parts.ok_or_else(|| "expected a percentage from 0 to 100, such as 1% or 0.25%".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let nanos = decimal(text.trim_end_matches('s'), 1_000_000_000).map(Duration::from_nanos);
    nanos.ok_or_else(|| "expected seconds, such as 5s or 0.5".into())
}

/// A decimal without sign in units of 1 / `one`; what is finer is cut off.
fn decimal(text: &str, one: u64) -> Option<u64> {
    let price: hairtrigger::model::Price = text.parse().ok()?;
    u64::try_from(i128::from(price.0) * i128::from(one) / 1_000_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paces_percentages_and_sessions() {
        for (text, factor) in [("original", 1_000), ("1", 1_000), ("10x", 10_000), ("0.5", 500), ("0.001", 1)] {
            assert_eq!(speed(text), Ok(Pace::Original { speed: factor }), "{text}");
        }
        for (text, parts) in [("0%", 0), ("1%", 10_000), ("0.25", 2_500), ("100%", ALWAYS)] {
            assert_eq!(parts_per_million(text), Ok(parts), "{text}");
        }
        assert_eq!((session("ABC"), seconds("0.5s")), (Ok(*b"ABC       "), Ok(Duration::from_millis(500))));
    }

    #[test]
    fn refuses_what_is_none() {
        assert!(["", "0", "0.0001", "-1", "fast"].iter().all(|text| speed(text).is_err()));
        assert!(["", "%", "101%", "-1%", "1e3"].iter().all(|text| parts_per_million(text).is_err()));
        assert!(["", "ABCDEFGHIJK", "A B", "é"].iter().all(|text| session(text).is_err()));
    }
}
