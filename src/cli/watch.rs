//! `hairtrigger watch`: follow an account's alert stream.
//!
//! It resumes by itself: when the connection breaks or the engine stops it comes back, with growing pauses, to the same
//! session and the next number. When that session is over it goes on with the one that follows it, from its start, and says so.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use hairtrigger::client::{Client, ClientError, Event, Request};
use hairtrigger::gateway::wire::{Announcement, Kind, Message, RuleMessage, following};
use hairtrigger::soup::login::SessionId;
use hairtrigger::soup::packet::Reject;
use serde_json::{Value, json};

use super::connect::TlsArgs;

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Arguments of `watch`.
#[derive(clap::Args)]
pub struct Args {
    /// Address of the alert gateway
    #[arg(long, default_value = "127.0.0.1:7402")]
    address: String,
    /// Login name
    #[arg(long, default_value = "demo")]
    login: String,
    /// Its password
    #[arg(long, default_value = "secret")]
    password: String,
    /// Session to log into; the current one unless given
    #[arg(long, default_value = "")]
    session: String,
    /// First sequence number wanted; 0: only what comes after; 1 without a session: from the oldest that is kept
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    #[command(flatten)]
    tls: TlsArgs,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// End after so many messages
    #[arg(long)]
    count: Option<u64>,
    /// End when the connection ends: do not come back
    #[arg(long)]
    once: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut request = Request::new(&args.login, &args.password)?.from(args.from).of_named(&args.session)?;
    let mut watch = Watch { out: BufWriter::new(io::stdout().lock()), json: args.json, left: args.count };
    let way = args.tls.to(args.address)?;
    let (mut pause, mut resumed) = (PAUSE_MIN, None);
    loop {
        let error = match way.connect(&request) {
            Ok(mut client) => {
                pause = PAUSE_MIN;
                let session = client.reader.session();
                let end = watch.follow(&mut client);
                resumed = Some(session);
                request = request.of(session).from(client.reader.next_sequence());
                match end {
                    Ok(End::Enough) => return Ok(ExitCode::SUCCESS),
                    Ok(End::Session(next)) if !args.once => {
                        eprintln!("session {session} is over: going on with session {next} from its start");
                        request = request.of(next).from(1);
                        continue;
                    }
                    Ok(End::Session(next)) => {
                        eprintln!("session {session} is over; session {next} follows it");
                        ClientError::Closed
                    }
                    Err(error) => error,
                }
            }
            // The retention has taken what was to come next: go on with what there is.
            Err(ClientError::Refused(Reject::SessionNotAvailable)) if resumed.is_some() => {
                eprintln!(
                    "session or number no longer available: going on with the oldest that is kept of the current session"
                );
                (request, resumed) = (request.of(SessionId::CURRENT).from(1), None);
                continue;
            }
            Err(error) => error,
        };
        if is_broken_pipe(&error) {
            return Ok(ExitCode::SUCCESS);
        }
        if args.once && matches!(error, ClientError::Closed) {
            return Ok(ExitCode::SUCCESS);
        }
        if args.once || !error.is_transient() {
            return Err(error.into());
        }
        eprintln!("{error}; again in {} ms", pause.as_millis());
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn is_broken_pipe(error: &ClientError) -> bool {
    matches!(error, ClientError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}

enum End {
    /// As many messages as were asked for.
    Enough,
    /// The server said that the session is over, and which one follows it.
    Session(SessionId),
}

struct Watch<W> {
    out: W,
    json: bool,
    left: Option<u64>,
}

impl<W: Write> Watch<W> {
    /// Shows what comes until the connection ends.
    fn follow(&mut self, client: &mut Client) -> Result<End, ClientError> {
        let mut next = SessionId::CURRENT;
        loop {
            if self.left == Some(0) {
                self.out.flush().map_err(ClientError::Output)?;
                return Ok(End::Enough);
            }
            if !client.reader.has_packet()? {
                self.out.flush().map_err(ClientError::Output)?;
            }
            match client.receive()? {
                Event::Sequenced(number, bytes) => {
                    self.show(number, bytes).map_err(ClientError::Output)?;
                    self.left = self.left.map(|left| left - 1);
                }
                Event::Debug(text) => {
                    eprintln!("server: {}", text.escape_ascii());
                    next = following(text).unwrap_or(next);
                }
                Event::End => {
                    self.out.flush().map_err(ClientError::Output)?;
                    return Ok(End::Session(next));
                }
                Event::Heartbeat | Event::Nothing => {}
            }
        }
    }

    fn show(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        match (Message::read(bytes), self.json) {
            (Some(Message::Rule(rule)), true) => writeln!(self.out, "{}", rule_json(number, &rule)),
            (Some(Message::Rule(rule)), false) => writeln!(self.out, "{}", rule_line(number, &rule)),
            (Some(Message::Announcement(said)), true) => writeln!(self.out, "{}", announcement_json(number, &said)),
            (Some(Message::Announcement(said)), false) => writeln!(self.out, "{}", announcement_line(number, &said)),
            (None, true) => writeln!(self.out, "{}", json!({"number": number, "event": "unknown"})),
            (None, false) => writeln!(self.out, "{number:>8}  a message of an unknown type"),
        }
    }
}

fn text(field: &[u8]) -> String {
    field.trim_ascii().escape_ascii().to_string()
}

/// UTC as `HH:MM:SS.mmmuuunnn`.
fn time(ts: u64) -> String {
    let (seconds, fraction) = (ts / 1_000_000_000, ts % 1_000_000_000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{fraction:09}", seconds % 60)
}

/// What the flags say.
fn flags(flags: u8) -> Vec<&'static str> {
    let names = ["last", "after_gap", "book_suspect", "by_print"];
    names.into_iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, name)| name).collect()
}

fn rule_line(number: u64, rule: &RuleMessage) -> String {
    let condition = format!("{} {} {}", rule.signal.name(), rule.comparison.name(), rule.threshold);
    let about = format!(
        "{number:>8}  {}  {:<8} {:<8} user {} slot {} {condition}",
        time(rule.ts_event),
        rule.kind.name(),
        rule.symbol,
        rule.user,
        rule.slot
    );
    match rule.kind {
        Kind::Alert => {
            let latency = rule.ts_log.saturating_sub(rule.ts_recv);
            let latency = if rule.ts_recv == 0 { String::new() } else { format!("  {:.1} us", latency as f64 / 1e3) };
            format!("{about}: {} ({}) {}{latency}", rule.price, rule.reason.name(), flags(rule.flags).join(" "))
        }
        Kind::Busted => format!("{about}: print at {} broken, alert {}", rule.price, rule.alert_number),
        _ => format!("{about}: {}", rule.reason.name()),
    }
}

fn announcement_line(number: u64, said: &Announcement) -> String {
    let about = format!("{number:>8}  {}  {:<8}", time(said.ts_log), said.kind.name());
    let session = text(&said.feed_session);
    match said.kind {
        Kind::Gap => {
            let last = said.end.saturating_sub(1);
            format!("{about} feed messages {} to {last} of session {session} are lost", said.sequence)
        }
        Kind::BustedUnresolved => format!("{about} {} match {}", said.symbol, said.match_number),
        _ => format!("{about} session {session} at {}", said.sequence),
    }
}

fn rule_json(number: u64, rule: &RuleMessage) -> Value {
    json!({
        "number": number,
        "event": rule.kind.name(),
        "reason": rule.reason.name(),
        "flags": flags(rule.flags),
        "account": text(&rule.account),
        "user": rule.user,
        "symbol": rule.symbol.to_string(),
        "slot": rule.slot,
        "version": rule.version,
        "tag": rule.tag,
        "signal": rule.signal.name(),
        "when": rule.comparison.name(),
        "threshold": rule.threshold.to_string(),
        "price": rule.price.to_string(),
        "feed_session": text(&rule.feed_session),
        "sequence": rule.sequence,
        "ordinal": rule.ordinal,
        "match_number": rule.match_number,
        "ts_event": rule.ts_event,
        "ts_recv": rule.ts_recv,
        "ts_match": rule.ts_match,
        "ts_log": rule.ts_log,
        "alert_number": rule.alert_number,
        "drop_copy_number": rule.drop_copy_number,
    })
}

fn announcement_json(number: u64, said: &Announcement) -> Value {
    json!({
        "number": number,
        "event": said.kind.name(),
        "feed_session": text(&said.feed_session),
        "sequence": said.sequence,
        "end": said.end,
        "symbol": said.symbol.to_string(),
        "match_number": said.match_number,
        "ts_event": said.ts_event,
        "ts_recv": said.ts_recv,
        "ts_log": said.ts_log,
    })
}
