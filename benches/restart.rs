//! How long does a start take with ten million rules? And the making of the next snapshot of them?
//!
//! Canonical: a snapshot of 10 million `once` rules without expiry over 8,000 symbols, and 200,000 sets in the journal behind it, each
//! in the place of a rule of the snapshot. Timed: from the call that starts an engine of two shards to the one that returns, its
//! ports open and its rules in force; then the merge that makes the next snapshot, synced. Both files were written just before, so
//! they are read from the kernel's memory: a cold disk adds the time of reading them (the sizes are shown).
//!
//!     cargo bench --bench restart [-- --rules N] [--behind N] [--shards N]

mod common;

use std::error::Error;
use std::io;
use std::path::Path;

use common::rules::{SYMBOLS, name_of, price_of};
use common::{Args, Stopwatch, resident};
use hairtrigger::config::Config;
use hairtrigger::engine::Engine;
use hairtrigger::journal::compaction::{self, Log, LogRead};
use hairtrigger::journal::record::Entry;
use hairtrigger::journal::recovery::Logged;
use hairtrigger::journal::snapshot::{Covers, NamedRule, SnapshotWriter, SymbolRow};
use hairtrigger::journal::storage::Directory;
use hairtrigger::journal::writer::{Durability, Position, Settings, Writer};
use hairtrigger::model::{
    Change, ChangeKind, Comparison, LogPosition, Price, RestoredRule, RuleKey, RuleSpec, RuleState, Signal, Symbol,
};

const ACCOUNT: [u8; 6] = *b"demo  ";
const START: Position = Position { next_sequence: 1, chain: 7 };

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read();
    let rules = args.number("rules", 10_000_000, 20_000);
    let behind = args.number("behind", 200_000, 1_000);
    let shards = args.number("shards", 2, 2);
    let folder = tempfile::tempdir()?;
    let mut names: Vec<Symbol> = (0..SYMBOLS).map(name_of).collect();
    names.sort();
    let watch = Stopwatch::start();
    let journal = Directory::create(&folder.path().join("journal"))?;
    write_snapshot(&mut journal.clone(), &names, rules)?;
    write_journal(journal.clone(), &names, rules, behind)?;
    println!("{rules} rules written in {:.2?}; files: {}", watch.stop().0, sizes(journal.path())?);

    let config = config(folder.path(), rules, shards)?;
    let empty = resident();
    let watch = Stopwatch::start();
    let engine = Engine::start(&config)?;
    let (elapsed, _) = watch.stop();
    let bytes = resident().saturating_sub(empty) / rules as u64;
    println!("start: {elapsed:.2?}, {:.0} ns a rule, {bytes} bytes a rule\n{}", per(elapsed, rules), engine.recovery);
    assert_eq!((engine.recovery.rules, engine.recovery.unsure), (rules, 0));
    engine.stop();

    let watch = Stopwatch::start();
    let made = compaction::compact(&mut journal.clone(), &mut NoLog, 0, || true)?;
    let (elapsed, _) = watch.stop();
    assert!(made.is_some_and(|(_, totals)| totals.rules == rules as u64));
    println!("the next snapshot: {elapsed:.2?}, {:.0} ns a rule", per(elapsed, rules));
    Ok(())
}

fn per(elapsed: std::time::Duration, count: usize) -> f64 {
    elapsed.as_nanos() as f64 / count as f64
}

/// The rule of this number among those of a symbol, at its version.
fn rule(symbol: usize, name: Symbol, user: usize, version: u64) -> RestoredRule {
    let price = price_of(symbol);
    // Far and near in turn, as clients set them: nothing is in the order of thresholds.
    let away = price / 2 / 1_009 * (1 + (user * 389 % 1_008) as i64);
    let (comparison, threshold) =
        if user.is_multiple_of(2) { (Comparison::Below, price - away) } else { (Comparison::Above, price + away) };
    RestoredRule {
        key: RuleKey { user: user as u64, symbol: name, slot: 0, account: 0 },
        spec: RuleSpec { tag: user as u64, ..RuleSpec::new(Signal::Last, comparison, Price(threshold)) },
        version,
        state: RuleState::Clear,
        fires: 0,
        quiet_until: 0,
        is_sure: true,
    }
}

/// Rules of a symbol, when there are so many in all.
fn of_symbol(symbol: usize, rules: usize) -> usize {
    rules / SYMBOLS + usize::from(symbol < rules % SYMBOLS)
}

fn write_snapshot(storage: &mut Directory, names: &[Symbol], rules: usize) -> io::Result<()> {
    let row = |(symbol, name): (usize, &Symbol)| {
        let version = of_symbol(symbol, rules) as u64;
        SymbolRow { version, journaled: version, evaluated: [version; 4], ..SymbolRow::new(*name) }
    };
    let rows: Vec<SymbolRow> = names.iter().enumerate().map(row).collect();
    let (is_closed, boot, ordinal, created) = (true, [0; 16], rules as u64, 0);
    let covers = Covers { position: START, is_closed, boot, ordinal, created, log: LogPosition::default() };
    let mut writer = SnapshotWriter::begin(storage, &covers, &rows, &[])?;
    for (symbol, name) in names.iter().enumerate() {
        for user in 0..of_symbol(symbol, rules) {
            writer.rule(&NamedRule { account: ACCOUNT, rule: rule(symbol, *name, user, user as u64 + 1) })?;
        }
    }
    writer.finish().map(|_| ())
}

fn write_journal(storage: Directory, names: &[Symbol], rules: usize, behind: usize) -> io::Result<()> {
    let settings = Settings { durability: Durability::None, segment_size: 64 << 20, boot: [0; 16] };
    let mut writer = Writer::begin(storage, START, settings, 0)?;
    let mut versions: Vec<u64> = (0..SYMBOLS).map(|symbol| of_symbol(symbol, rules) as u64).collect();
    let set = |n: usize| {
        let symbol = n % SYMBOLS;
        versions[symbol] += 1;
        let rule = rule(symbol, names[symbol], n / SYMBOLS, versions[symbol]);
        let kind = ChangeKind::Set(rule.spec, RuleState::Clear);
        let (ordinal, key, version) = ((rules + n) as u64, rule.key, rule.version);
        let (feed_sequence, feed_time, feed_session, shard) = (1, 1, *b"S000000001", 0);
        let change = Change { ordinal, feed_sequence, feed_time, feed_session, shard, key, version, kind };
        Entry::Change(ACCOUNT, change)
    };
    // Not more than the snapshot has of each symbol: every set replaces a rule.
    writer.commit((0..behind.min(rules)).map(set), 0)?;
    writer.close(0)
}

fn sizes(directory: &Path) -> io::Result<String> {
    let mut text = vec![];
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        text.push(format!("{} {} MB", entry.file_name().to_string_lossy(), entry.metadata()?.len() / 1_000_000));
    }
    text.sort();
    Ok(text.join(", "))
}

fn config(folder: &Path, rules: usize, shards: usize) -> Result<Config, Box<dyn Error>> {
    // Symbols are shared out by a hash: no shard has a quarter more than its part.
    let rules_max = rules / shards * 5 / 4 + 1_024;
    let text = format!(
        "[feed]\nline_a = {{ address = \"127.0.0.1:0\" }}\n[control]\nlisten = \"127.0.0.1:0\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\ndirectory = {folder:?}\nsegment_size = \"1MiB\"\nretention_size = \"64MiB\"\n\
         [limits]\nrules_max = {rules_max}\naccount_rules_max = {rules_max}\norders_max = 1024\nlevels_max = 1024\n\
         [topology]\nshards = {shards}\nidle = \"park\"\n[stats]\nfile = {:?}\n\
         [[accounts]]\nname = \"demo\"\nlogins = [{{ user = \"demo\", password = \"secret\" }}]\n",
        folder.join("stats")
    );
    Ok(Config::parse(&text, Path::new("restart.toml"))?)
}

/// Nothing has fired.
struct NoLog;

impl Log for NoLog {
    fn read(&mut self, from: LogPosition, _: &mut dyn FnMut(&Logged)) -> io::Result<LogRead> {
        Ok(LogRead { position: from, is_whole: true })
    }

    fn unread_size(&self, _: LogPosition) -> io::Result<u64> {
        Ok(0)
    }
}
