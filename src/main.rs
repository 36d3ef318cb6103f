//! The `hairtrigger` command: one subcommand a file in `cli`.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "A low-latency price-alert engine: ITCH 5.0 in, rules over TCP, alerts out")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the engine at work: no arguments, no files, no root
    Demo(cli::demo::Args),
    /// Run the engine
    Run(cli::run::Args),
    /// Run rules over a recorded feed, offline and deterministic
    Replay(cli::replay::Args),
    /// Send a recorded feed as MoldUDP64 on lines A and B
    Publish(cli::publish::Args),
    /// Say what is in a recorded feed
    Inspect(cli::inspect::Args),
    /// Make a synthetic ITCH day
    Generate(cli::generate::Args),
    /// Set, remove, list and load rules in a running engine
    Rules(cli::rules::Args),
    /// Follow an account's alert stream
    Watch(cli::watch::Args),
    /// Read a running engine's counters and histograms
    Stat(cli::stat::Args),
    /// Make accounts and hashes of passwords for the config
    Account(cli::account::Args),
    /// Say what is in a journal, and whether it is whole
    Journal(cli::journal::Args),
    /// Check this host for what costs latency; it changes nothing
    Doctor(cli::doctor::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => cli::demo::run(args),
        Command::Run(args) => cli::run::run(args),
        Command::Replay(args) => cli::replay::run(args),
        Command::Publish(args) => cli::publish::run(args),
        Command::Inspect(args) => cli::inspect::run(args),
        Command::Generate(args) => cli::generate::run(args),
        Command::Rules(args) => cli::rules::run(args),
        Command::Watch(args) => cli::watch::run(args),
        Command::Stat(args) => cli::stat::run(args),
        Command::Account(args) => cli::account::run(args),
        Command::Journal(args) => cli::journal::run(args),
        Command::Doctor(args) => cli::doctor::run(args),
    };
    result.unwrap_or_else(|error| {
        // Whoever reads no further has what was wanted.
        let kind = error.downcast_ref().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("hairtrigger: {error}");
        ExitCode::FAILURE
    })
}
