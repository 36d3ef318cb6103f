//! `tick_to_alert`: how long from a datagram's intended send to the alert read from TCP, and how much of that is the engine's.
//!
//! ```text
//!   this process                      the engine, or the relay
//!   sender --UDP, open loop---------> spins on its own core(s)
//!   reader <-------------------TCP--- writes an alert for each print that fires
//! ```
//!
//! Engine and relay take turns on the same cores with the same schedule, so the ratio of the two is the engine's part and
//! the rest is the kernel's and the machine's. What spinning threads see on these cores right before each run is the jitter.
//! On two cores sender and reader share one; from six on each agent has its own.
//!
//! Not measured: the network card and its driver (everything is loopback), and the kernel's own stamps.

mod alerts;
mod churn;
mod drive;
mod engine;
mod feed;
mod machine;
mod plot;
mod relay;
mod report;
mod rules;
mod schedule;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use hairtrigger::sys::affinity;
use serde_json::{Value, json};

use alerts::{Alerts, Arrived, histogram};
use churn::{Churn, log_in};
use drive::{Cores, Outcome, drive};
use engine::{Engine, Layout, Settings};
use feed::Feed;
use machine::Jitter;
use relay::Relay;
use report::{Side, Step};
use schedule::{Schedule, Shape};

/// How long spinning threads watch the cores before each run.
const JITTER_TIME: Duration = Duration::from_millis(200);
/// Time for the engine to read what waited for it while it was stopped.
const SETTLE: Duration = Duration::from_millis(50);
/// Messages of a recorded feed that are looked at.
const RECORDED_MAX: usize = 20_000_000;

#[derive(Parser)]
#[command(about = "Latency from a datagram to the alert, engine beside relay")]
struct Args {
    /// Events a second, one step each
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,500000")]
    rates: Vec<u64>,
    /// Also microbursts: 1,000 events in a millisecond, 20 times a second
    #[arg(long)]
    bursts: bool,
    /// Also the pace of this recorded feed
    #[arg(long, value_name = "FILE")]
    pace: Option<PathBuf>,
    /// So many times as fast
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8")]
    speeds: Vec<u64>,
    /// From so many seconds after the feed's first message on
    #[arg(long, default_value_t = 0)]
    pace_from: u64,
    /// Rules that stand beside those that fire, one table part each
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    rules: Vec<u64>,
    /// Sets a second while the feed runs, one table part each
    #[arg(long, value_delimiter = ',', default_value = "0")]
    churn: Vec<u64>,
    /// One event in so many fires
    #[arg(long, default_value_t = 1)]
    mix: u64,
    /// Symbols of the feed
    #[arg(long, default_value_t = 1_000)]
    symbols: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Runs of each, relay and engine in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Cores: sender and reader, then the engine's, or sender, reader, feed, matchers, gateway, control
    #[arg(long, value_delimiter = ',')]
    cores: Option<Vec<usize>>,
    /// The engine's idle strategy
    #[arg(long, default_value = "spin")]
    idle: String,
    /// The engine's command; default: `hairtrigger` beside this one
    #[arg(long)]
    engine: Option<PathBuf>,
    /// Folder of the engine's files
    #[arg(long, default_value = "/dev/shm/tick-to-alert")]
    folder: PathBuf,
    /// Folder for summary.json, table.txt, .hgrm files and plots
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on with higher rates after the engine has collapsed
    #[arg(long)]
    beyond: bool,
}

/// What all runs share.
struct Bench<'a> {
    args: &'a Args,
    cores: Cores,
    layout: Layout,
    machine: Value,
}

const RECEIVE_BUFFER: usize = 8 << 20;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tick_to_alert: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.mix == 0
        || args.rates.contains(&0)
        || args.speeds.contains(&0)
        || args.symbols == 0
        || args.symbols >= 65_535
    {
        return Err("expected rates, speeds and mix from 1, and 1 to 65534 symbols".into());
    }
    let (cores, layout) = layout(args)?;
    let machine = machine::describe(&cores);
    let bench = Bench {
        args,
        cores: Cores { sender: cores[0], reader: if cores.len() == 2 { cores[0] } else { cores[1] } },
        layout,
        machine,
    };
    print!("{}\n{}", bench.machine, report::head());
    let shapes = shapes(args)?;
    let mut steps = vec![];
    for rules in &args.rules {
        for churn in &args.churn {
            bench.part(*rules, *churn, &shapes, &mut steps)?;
        }
    }
    if let Some(out) = &args.out {
        write_all(out, &bench.machine, &steps)?;
    }
    Ok(())
}

/// The cores used, and which of them are the engine's.
fn layout(args: &Args) -> Result<(Vec<usize>, Layout), Box<dyn Error>> {
    let allowed = affinity::allowed()?;
    let cores = args.cores.clone().unwrap_or_else(|| match allowed.len() {
        ..6 => allowed.iter().copied().take(2).collect(),
        // The first core has the machine's own work where there is another.
        count => allowed.iter().copied().skip(usize::from(count > 6)).take(6).collect(),
    });
    let idle = args.idle.clone();
    let layout = match cores[..] {
        [_, all] => Layout { feed: all, matchers: vec![all], gateway: all, control: all, idle },
        [_, _, feed, ref matchers @ .., gateway, control] if !matchers.is_empty() => {
            Layout { feed, matchers: matchers.to_vec(), gateway, control, idle }
        }
        _ => return Err(format!("expected 2 cores, or 6 or more, not {cores:?}").into()),
    };
    Ok((cores, layout))
}

fn shapes(args: &Args) -> Result<Vec<Shape>, Box<dyn Error>> {
    let mut shapes: Vec<Shape> = args.rates.iter().map(|rate| Shape::Steady(*rate)).collect();
    shapes.extend(args.bursts.then_some(Shape::Bursts));
    if let Some(file) = &args.pace {
        let times = schedule::recorded_times(file, args.pace_from * 1_000_000_000, RECORDED_MAX)?;
        shapes.extend(args.speeds.iter().map(|speed| Shape::Recorded { times: times.clone(), speed: *speed }));
    }
    Ok(shapes)
}

impl Bench<'_> {
    /// All shapes with so many rules and so much churn.
    fn part(&self, rules: u64, churn: u64, shapes: &[Shape], steps: &mut Vec<Step>) -> Result<(), Box<dyn Error>> {
        let Args { symbols, mix, .. } = *self.args;
        let command = self.args.engine.clone().map_or_else(|| beside_this("hairtrigger"), Ok)?;
        let folder = self.args.folder.join(std::process::id().to_string());
        let rules_max = rules + 2 * symbols as u64;
        let settings = Settings {
            command: &command,
            folder: &folder,
            layout: &self.layout,
            rules_max,
            receive_buffer: RECEIVE_BUFFER,
        };
        let engine = Engine::start(&settings)?;
        let loaded = rules::load(engine.control, symbols, rules)?;
        eprintln!("{rules_max} rules set and answered in {:.2} s", loaded.as_secs_f64());
        let mut feed = Feed::new(symbols, mix)?;
        feed.connect(engine.feed)?;
        feed.open()?;
        thread::sleep(SETTLE);
        engine.pause();
        for shape in shapes {
            let step = self.step(&engine, &mut feed, shape, rules, churn)?;
            print!("{}", step.lines());
            let keeps_up = step.engine.keeps_up();
            steps.push(step);
            if !keeps_up && matches!(shape, Shape::Steady(_)) && !self.args.beyond {
                break;
            }
        }
        drop(engine);
        fs::remove_dir_all(&folder)?;
        Ok(())
    }

    /// One shape: relay and engine in turn.
    fn step(
        &self,
        engine: &Engine,
        feed: &mut Feed,
        shape: &Shape,
        rules: u64,
        churn: u64,
    ) -> Result<Step, Box<dyn Error>> {
        let schedule = Schedule::new(shape, self.args.seconds);
        let Args { symbols, mix, .. } = *self.args;
        let used: Vec<usize> = [self.cores.sender, self.cores.reader, self.layout.feed].into_iter().collect();
        let (mut relay_side, mut engine_side) = (Side::default(), Side::default());
        let (mut jitter, mut sets) = (Jitter::default(), (churn > 0).then(histogram));
        let stolen = machine::steal(&used);
        for _ in 0..self.args.rounds {
            jitter.add(&Jitter::of(&[self.cores.sender, self.layout.feed], JITTER_TIME));
            let relay = Relay::start(self.layout.feed, RECEIVE_BUFFER)?;
            let mut alerts = Alerts::new(relay.client.try_clone()?)?;
            let mut to_relay = Feed::new(symbols, mix)?;
            to_relay.connect(relay.feed)?;
            let outcome = drive(&mut to_relay, &mut alerts, None, &schedule, self.cores)?;
            relay_side.add(&alerts.arrived, outcome, 0);
            relay.stop()?;

            engine.resume();
            let mut alerts = Alerts::new(log_in(engine.alerts)?)?;
            let mut client = match churn {
                0 => None,
                rate => Some(Churn::new(engine.control, rate, symbols, rules)?),
            };
            thread::sleep(SETTLE);
            let waited = machine::run_delay(engine.pid());
            let outcome = drive(feed, &mut alerts, client.as_mut(), &schedule, self.cores)?;
            engine_side.add(&alerts.arrived, outcome, machine::run_delay(engine.pid()) - waited);
            if let (Some(sets), Some(client)) = (&mut sets, client) {
                sets.add(&client.latency)?;
            }
            engine.pause();
        }
        let steal = machine::steal(&used) - stolen;
        let shape = shape.name();
        Ok(Step { shape, rules, churn, relay: relay_side, engine: engine_side, jitter, steal, sets })
    }
}

impl Side {
    /// Adds a round.
    fn add(&mut self, arrived: &Arrived, outcome: Outcome, run_delay: u64) {
        // Histograms of the same precision always add up.
        let _ = self.total.add(&arrived.total);
        let _ = self.to_match.add(&arrived.to_match);
        let _ = self.to_log.add(&arrived.to_log);
        self.outcome.sent += outcome.sent;
        self.outcome.expected += outcome.expected;
        self.outcome.arrived += outcome.arrived;
        self.outcome.sender_late = self.outcome.sender_late.max(outcome.sender_late);
        self.run_delay += run_delay;
        let of = |percentile| arrived.total.value_at_percentile(percentile);
        self.rounds.push((of(50.0), of(99.0)));
    }
}

fn beside_this(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn write_all(out: &Path, machine: &Value, steps: &[Step]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    let table: String = steps.iter().map(Step::lines).collect();
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("tick_to_alert {}", command.join(" "));
    fs::write(out.join("table.txt"), format!("{command}\n{machine}\n{}{table}", report::head()))?;
    let all = steps.iter().map(Step::json).collect::<Value>();
    let summary = json!({ "command": command, "machine": machine, "unit": "ns", "steps": all });
    fs::write(out.join("summary.json"), format!("{summary:#}\n"))?;
    for step in steps {
        let churn = if step.churn > 0 { "-churn" } else { "" };
        let name = format!("{}-rules-{}{churn}", step.shape, step.rules);
        for (side, of) in [("relay", &step.relay), ("engine", &step.engine)] {
            fs::write(out.join(format!("{name}-{side}.hgrm")), report::hgrm(&of.total, machine))?;
        }
        let foot = format!(
            "{} | jitter p99.9 {} ns, max {} ns",
            machine["cpu"].as_str().unwrap_or("?"),
            step.jitter.wait(99.9),
            step.jitter.max()
        );
        let curves = [("relay", &step.relay.total), ("engine", &step.engine.total)];
        fs::write(out.join(format!("{name}.svg")), plot::svg(&format!("datagram to alert: {name}"), &foot, &curves))?;
    }
    Ok(())
}
