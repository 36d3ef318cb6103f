//! `rules load`: a rules file through the control port, pipelined.
//!
//! One thread writes, one reads; TCP is the window. A single thread that wrote all before it read would stand still
//! once both sides' buffers are full: the engine takes no request for whose answer it has no room.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hairtrigger::client::{Client, ClientError, Event, Reader, Writer};
use hairtrigger::config::{midnight_utc, today};
use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::model::{NEVER, RuleKey, RuleSpec};
use hairtrigger::rules_csv::{self, Op};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use serde_json::json;

#[derive(clap::Parser)]
pub struct Load {
    /// The rules file
    file: PathBuf,
    /// Load only rows of this account; needed where the file has several
    #[arg(long)]
    account: Option<String>,
    /// Day that times of day in `expires_at` belong to; default: today in the zone
    #[arg(long)]
    date: Option<Date>,
    /// Zone of the feed's time of day
    #[arg(long, default_value = "America/New_York")]
    zone: String,
}

impl Load {
    /// Reads the file, whole and before anything is sent.
    pub fn read(&self) -> Result<Vec<Ask>, Box<dyn Error>> {
        let file = rules_csv::read(&self.file)?;
        if self.account.is_none() && file.accounts.len() > 1 {
            return Err(format!("the file has rules of several accounts: say --account {}", file.accounts[0]).into());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let date = self.date.map_or_else(|| today(now, &self.zone), Ok)?;
        let midnight = midnight_utc(date, &self.zone)?;
        let is_wanted = |row: &&rules_csv::Row| {
            self.account.as_ref().is_none_or(|name| file.accounts[usize::from(row.account)].eq_ignore_ascii_case(name))
        };
        Ok(file.rows.iter().filter(is_wanted).map(|row| ask(row, midnight)).collect())
    }
}

fn ask(row: &rules_csv::Row, midnight: u64) -> Ask {
    let key = RuleKey { user: row.user, symbol: row.symbol, slot: row.slot, account: 0 };
    match row.op {
        Op::Set(spec) if spec.expires_at == NEVER => Ask::Set(key, spec),
        Op::Set(spec) => Ask::Set(key, RuleSpec { expires_at: midnight + spec.expires_at, ..spec }),
        Op::Remove { tag } => Ask::Remove(key, tag),
    }
}

/// What came back.
#[derive(Default)]
struct Tally {
    set: u64,
    replaced: u64,
    symbol_unknown: u64,
    removed: u64,
    refused: BTreeMap<String, u64>,
}

/// Sends all, waits for all answers, says what came of it.
pub fn run(client: Client, asks: &[Ask], json: bool) -> Result<ExitCode, Box<dyn Error>> {
    let start = Instant::now();
    let (mut reader, mut writer) = client.split();
    let (done, is_done) = channel::<()>();
    let tally = std::thread::scope(|scope| {
        let sending = scope.spawn(move || send(&mut writer, asks, &is_done));
        let tally = receive(&mut reader, asks.len());
        drop(done);
        // A broken connection breaks both ways; the reader's error says more.
        let sent = sending.join().unwrap_or(Err(ClientError::Closed));
        tally.and_then(|tally| sent.map(|()| tally).map_err(|error| error.to_string()))
    })?;
    report(&tally, asks.len(), start.elapsed(), json);
    Ok(if tally.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn send(writer: &mut Writer, asks: &[Ask], is_done: &Receiver<()>) -> Result<(), ClientError> {
    for (id, ask) in (1..).zip(asks) {
        writer.send_unsequenced(Request { id, ask: *ask }.encode().bytes())?;
    }
    writer.flush()?;
    while is_done.recv_timeout(Duration::from_millis(250)) == Err(RecvTimeoutError::Timeout) {
        writer.beat()?;
    }
    // The answers are here; a server that is gone meanwhile changes nothing.
    let _ = writer.log_out();
    Ok(())
}

/// An error says how many answers came before it: what was answered holds.
fn receive(reader: &mut Reader, count: usize) -> Result<Tally, String> {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rules, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    let mut tally = Tally::default();
    for answered in 0..count {
        let answer =
            next(reader).map_err(|error| format!("{error}; {answered} of {count} rows were answered before"))?;
        tally.add(&answer.body);
        if answered % 4_096 == 0 {
            bar.set_position(answered as u64);
        }
    }
    bar.finish_and_clear();
    Ok(tally)
}

fn next(reader: &mut Reader) -> Result<Answer, ClientError> {
    loop {
        match reader.receive()? {
            Event::Sequenced(_, message) => return Answer::read(message).ok_or(ClientError::Unexpected),
            Event::Debug(text) => eprintln!("server: {}", text.escape_ascii()),
            Event::End => return Err(ClientError::Closed),
            Event::Heartbeat | Event::Nothing => (),
        }
    }
}

impl Tally {
    fn add(&mut self, body: &Body) {
        match body {
            Body::SetDone { replaced, symbol_unknown, .. } => {
                self.set += 1;
                self.replaced += u64::from(*replaced);
                self.symbol_unknown += u64::from(*symbol_unknown);
            }
            Body::RemoveDone { .. } => self.removed += 1,
            Body::Refused { code, .. } => *self.refused.entry(code.to_string()).or_default() += 1,
            Body::UserRemoved { .. } | Body::Rule(_) | Body::ListDone { .. } => (),
        }
    }
}

fn report(tally: &Tally, count: usize, elapsed: Duration, json: bool) {
    let Tally { set, replaced, symbol_unknown, removed, refused } = tally;
    let seconds = elapsed.as_secs_f64();
    let per_second = (count as f64 / seconds.max(1e-9)) as u64;
    if json {
        let object = json!({"requests": count, "set": set, "replaced": replaced, "symbol_unknown": symbol_unknown,
            "removed": removed, "refused": refused, "elapsed_s": seconds, "requests_per_s": per_second});
        println!("{object}");
        return;
    }
    println!(
        "{count} requests in {seconds:.2} s ({per_second} a second): {set} set ({replaced} replaced an earlier rule), {removed} removed"
    );
    if *symbol_unknown > 0 {
        println!("{symbol_unknown} name a symbol that the feed has not named yet");
    }
    for (code, count) in refused {
        println!("{count} refused: {code}");
    }
}
