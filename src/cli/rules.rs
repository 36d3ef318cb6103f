//! `hairtrigger rules`: set, remove, list and load rules in a running engine.

mod load;
mod show;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hairtrigger::client::{Client, ClientError, Event, Request as LoginRequest};
use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::limits::LIST_MAX;
use hairtrigger::model::{Comparison, Fire, NEVER, OnSet, Price, RuleKey, RuleSpec, Signal, Symbol};

use super::connect::TlsArgs;

/// Arguments of `rules`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Address of the rule-control port
    #[arg(long, global = true, default_value = "127.0.0.1:7401")]
    address: String,
    /// Login name; its account owns the rules
    #[arg(long, global = true, default_value = "demo")]
    login: String,
    /// Its password
    #[arg(long, global = true, default_value = "secret")]
    password: String,
    #[command(flatten)]
    tls: TlsArgs,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Set a rule: `rules set GME below 100`
    Set(Set),
    /// Remove a rule
    Remove(Key),
    /// Remove all rules of a user
    RemoveUser {
        /// The user
        user: u64,
    },
    /// List the account's rules
    List {
        /// Only this user's
        #[arg(long)]
        user: Option<u64>,
    },
    /// Load a rules file (the CSV of `replay`; `at` means nothing here)
    Load(load::Load),
}

#[derive(Parser)]
struct Key {
    /// The symbol
    symbol: Symbol,
    /// The user, any number that the account chose
    #[arg(long, default_value_t = 1)]
    user: u64,
    /// Which of the user's rules on this symbol
    #[arg(long, default_value_t = 0)]
    slot: u32,
}

#[derive(Parser)]
struct Set {
    #[command(flatten)]
    key: Key,
    /// below, above, at_or_below or at_or_above
    #[arg(value_parser = comparison)]
    when: Comparison,
    /// The price that is compared with, a decimal
    threshold: Price,
    /// last, bid, ask or mid
    #[arg(long, default_value = "last", value_parser = signal)]
    signal: Signal,
    /// Fire again after each return instead of once
    #[arg(long)]
    repeat: bool,
    /// If it holds already: fire, wait or reject
    #[arg(long, default_value = "fire", value_parser = on_set)]
    on_set: OnSet,
    /// How far beyond the threshold the price must come back, a decimal
    #[arg(long, default_value = "0")]
    rearm: Price,
    /// Least time between two alerts, in ns
    #[arg(long, default_value_t = 0)]
    cooldown_ns: u64,
    /// With --repeat: end after so many alerts; 0: no bound
    #[arg(long, default_value_t = 0)]
    max_fires: u32,
    /// When it ends, such as 2026-01-30T16:00:00-05:00
    #[arg(long)]
    expires_at: Option<jiff::Timestamp>,
    /// Handed back in its events
    #[arg(long, default_value_t = 0)]
    tag: u64,
}

impl Key {
    fn key(&self) -> RuleKey {
        RuleKey { user: self.user, symbol: self.symbol, slot: self.slot, account: 0 }
    }
}

impl Set {
    fn spec(&self) -> Result<RuleSpec, Box<dyn Error>> {
        let expires_at = match self.expires_at {
            Some(at) => u64::try_from(at.as_nanosecond()).map_err(|_| "expected an expiry after 1970")?,
            None => NEVER,
        };
        Ok(RuleSpec {
            rearm: self.rearm,
            cooldown: self.cooldown_ns,
            expires_at,
            tag: self.tag,
            max_fires: self.max_fires,
            fire: if self.repeat { Fire::Repeat } else { Fire::Once },
            on_set: self.on_set,
            ..RuleSpec::new(self.signal, self.when, self.threshold)
        })
    }
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    // From 0: the answers to what is asked now, not those of earlier runs.
    let login = LoginRequest::new(&args.login, &args.password)?.from(0);
    let way = args.tls.to(args.address)?;
    let ask = match &args.command {
        Command::Set(set) => Ask::Set(set.key.key(), set.spec()?),
        Command::Remove(key) => Ask::Remove(key.key(), 0),
        Command::RemoveUser { user } => Ask::RemoveUser { user: *user },
        Command::List { user } => Ask::List { user: *user, limit: LIST_MAX, cursor: 0 },
        Command::Load(load) => {
            let asks = load.read()?;
            return load::run(way.connect(&login)?, &asks, args.json);
        }
    };
    call(&mut way.connect(&login)?, ask, args.json)
}

/// Asks, shows the answers, and goes on where a list does.
fn call(client: &mut Client, mut ask: Ask, json: bool) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let (mut id, mut total) = (1, 0);
    client.writer.send_unsequenced(Request { id, ask }.encode().bytes())?;
    loop {
        let answer = next_answer(client)?;
        if answer.id != id {
            continue;
        }
        match (answer.body, &mut ask) {
            (Body::ListDone { count, cursor: next, .. }, Ask::List { cursor, .. }) => {
                total += u64::from(count);
                if next == 0 {
                    if !json {
                        writeln!(out, "{total} rules")?;
                    }
                    return Ok(ExitCode::SUCCESS);
                }
                (*cursor, id) = (next, id + 1);
                client.writer.send_unsequenced(Request { id, ask }.encode().bytes())?;
            }
            (body, _) => {
                writeln!(out, "{}", if json { show::json(&answer) } else { show::line(&answer) })?;
                match body {
                    Body::Rule(_) => (),
                    Body::Refused { .. } => return Ok(ExitCode::FAILURE),
                    _ => return Ok(ExitCode::SUCCESS),
                }
            }
        }
    }
}

fn next_answer(client: &mut Client) -> Result<Answer, ClientError> {
    loop {
        match client.receive()? {
            Event::Sequenced(_, message) => return Answer::read(message).ok_or(ClientError::Unexpected),
            Event::Debug(text) => eprintln!("server: {}", text.escape_ascii()),
            Event::End => return Err(ClientError::Closed),
            Event::Heartbeat | Event::Nothing => (),
        }
    }
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let expected = || format!("expected one of {}", all.iter().map(|v| name(*v)).collect::<Vec<_>>().join(", "));
    all.iter().copied().find(|value| name(*value) == text).ok_or_else(expected)
}

fn signal(text: &str) -> Result<Signal, String> {
    named(&Signal::ALL, Signal::name, text)
}

fn comparison(text: &str) -> Result<Comparison, String> {
    named(&Comparison::ALL, Comparison::name, text)
}

fn on_set(text: &str) -> Result<OnSet, String> {
    named(&[OnSet::Fire, OnSet::Wait, OnSet::Reject], OnSet::name, text)
}
