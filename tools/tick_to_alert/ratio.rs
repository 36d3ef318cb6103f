//! Engine beside relay: both in turn on the same cores with the same schedule, step by step until the engine collapses.

use std::error::Error;
use std::path::PathBuf;
use std::thread;

use crate::alerts::{Alerts, histogram};
use crate::churn::{Churn, log_in};
use crate::drive::{Driven, Run, drive};
use crate::feed::Feed;
use crate::machine::{self, Jitter};
use crate::relay::Relay;
use crate::report::{self, Side, Step};
use crate::rules::LOGIN;
use crate::schedule::{self, Schedule, Shape};
use crate::setup::{RECEIVE_BUFFER, Running, SETTLE, Setup};
use crate::stages::{self, Stages};
use crate::stamps::Wall;
use crate::stats::Histograms;

/// Messages of a recorded feed that are looked at.
const RECORDED_MAX: usize = 20_000_000;
/// Up to this rate a step has a round with all stamps: beyond it, asking for each datagram's stamp would hold the sender up.
const STAMPED_RATE_MAX: u64 = 100_000;

/// Options of this mode.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
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
    /// Also a round with all stamps for each step but those over 100,000 events a second, and a table of the stages
    #[arg(long)]
    stages: bool,
    /// Go on with higher rates after the engine has collapsed
    #[arg(long)]
    beyond: bool,
}

/// Carries this mode out.
pub fn run(setup: &Setup, args: &Args) -> Result<(), Box<dyn Error>> {
    if args.mix == 0 || args.rates.contains(&0) || args.speeds.contains(&0) {
        return Err("expected rates, speeds and mix from 1".into());
    }
    print!("{}", report::head());
    let shapes = shapes(args)?;
    let mut steps = vec![];
    for rules in &args.rules {
        for churn in &args.churn {
            Part { setup, args, rules: *rules, churn: *churn }.run(&shapes, &mut steps)?;
        }
    }
    print!("{}", report::lead(&steps));
    match &setup.common.out {
        Some(out) => report::write(out, &setup.machine, &report::record(&steps, &setup.machine)),
        None => Ok(()),
    }
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

/// All shapes with so many rules and so much churn.
struct Part<'a> {
    setup: &'a Setup,
    args: &'a Args,
    rules: u64,
    churn: u64,
}

impl Part<'_> {
    fn run(&self, shapes: &[Shape], steps: &mut Vec<Step>) -> Result<(), Box<dyn Error>> {
        let (running, mut feed) = self.setup.loaded(self.rules, self.args.mix)?;
        running.engine.pause();
        for shape in shapes {
            let mut step = self.step(&running, &mut feed, shape)?;
            if self.args.stages && is_stampable(shape) {
                step.stages = Some(self.stages(&running, &mut feed, shape)?);
            }
            print!("{}", step.lines());
            let keeps_up = step.engine.keeps_up();
            steps.push(step);
            if !keeps_up && matches!(shape, Shape::Steady(_)) && !self.args.beyond {
                break;
            }
        }
        running.end()?;
        Ok(())
    }

    /// One shape: relay and engine in turn.
    fn step(&self, running: &Running, feed: &mut Feed, shape: &Shape) -> Result<Step, Box<dyn Error>> {
        let schedule = Schedule::new(shape, self.setup.common.seconds);
        let engine = &running.engine;
        let used = self.setup.used();
        let (mut relay_side, mut engine_side) = (Side::default(), Side::default());
        let (mut jitter, mut sets) = (Jitter::default(), (self.churn > 0).then(histogram));
        let stolen = machine::steal(&used);
        for _ in 0..self.setup.common.rounds {
            jitter.add(&self.setup.jitter());
            let relay = Relay::start(self.setup.layout.feed, RECEIVE_BUFFER, false)?;
            let mut alerts = Alerts::new(relay.client.try_clone()?)?;
            let driven = self.drive(&mut self.feed_of(&relay)?, &mut alerts, None, &schedule, false)?;
            relay_side.add(&alerts.arrived, driven.outcome, 0);
            relay.stop()?;

            engine.resume();
            let mut alerts = Alerts::new(log_in(engine.alerts, LOGIN)?)?;
            let mut client = match self.churn {
                0 => None,
                rate => Some(Churn::replacing(engine.control, rate, self.setup.common.symbols, self.rules)?),
            };
            thread::sleep(SETTLE);
            let waited = machine::run_delay(engine.pid());
            let driven = self.drive(feed, &mut alerts, client.as_mut(), &schedule, false)?;
            engine_side.add(&alerts.arrived, driven.outcome, machine::run_delay(engine.pid()) - waited);
            if let (Some(sets), Some(client)) = (&mut sets, client) {
                sets.add(&client.latency)?;
            }
            engine.pause();
        }
        let steal = machine::steal(&used) - stolen;
        let (shape, rules, churn) = (shape.name(), self.rules, self.churn);
        Ok(Step { shape, rules, churn, relay: relay_side, engine: engine_side, jitter, steal, sets, stages: None })
    }

    /// A round of each with all stamps.
    fn stages(&self, running: &Running, feed: &mut Feed, shape: &Shape) -> Result<(Stages, Stages), Box<dyn Error>> {
        let schedule = Schedule::new(shape, self.setup.common.seconds);
        let relay = Relay::start(self.setup.layout.feed, RECEIVE_BUFFER, true)?;
        let (mut alerts, mut to_relay) = (Alerts::new(relay.client.try_clone()?)?, self.feed_of(&relay)?);
        alerts.stamp()?;
        to_relay.stamp(true)?;
        let driven = self.drive(&mut to_relay, &mut alerts, None, &schedule, true)?;
        let wall = relay.wall;
        let of = |driven: &Driven, alerts: &Alerts, wall: &Wall| {
            Stages::of(&driven.sent, alerts.stamped(), &schedule.due, driven.start, &Wall::now(), wall)
        };
        let relayed = of(&driven, &alerts, &wall).with_writes(histogram(), relay.stop()?);

        let engine = &running.engine;
        engine.resume();
        let mut alerts = Alerts::new(log_in(engine.alerts, LOGIN)?)?;
        alerts.stamp()?;
        feed.stamp(true)?;
        thread::sleep(SETTLE);
        let before = Histograms::read(&running.stats())?;
        let driven = self.drive(feed, &mut alerts, None, &schedule, true)?;
        feed.stamp(false)?;
        let seen = Histograms::read(&running.stats())?.since(&before)?;
        engine.pause();
        let engine = of(&driven, &alerts, &engine.wall);
        Ok((relayed, engine.with_writes(seen.of("log_to_write"), seen.of("write"))))
    }

    fn feed_of(&self, relay: &Relay) -> std::io::Result<Feed> {
        let mut feed = Feed::new(self.setup.common.symbols, self.args.mix)?;
        feed.connect(relay.feed)?;
        Ok(feed)
    }

    fn drive(
        &self,
        feed: &mut Feed,
        alerts: &mut Alerts,
        churn: Option<&mut Churn>,
        schedule: &Schedule,
        is_stamped: bool,
    ) -> std::io::Result<Driven> {
        drive(Run { feed, alerts, churn, storm: None, schedule, cores: self.setup.cores, is_stamped })
    }
}

/// The table of the stages, where there are any.
pub fn stage_lines(step: &Step) -> String {
    step.stages.as_ref().map(|(relay, engine)| stages::lines(&step.shape, relay, engine)).unwrap_or_default()
}

/// More events a second than this are not asked after one by one.
fn is_stampable(shape: &Shape) -> bool {
    !matches!(shape, Shape::Steady(rate) if *rate > STAMPED_RATE_MAX)
}
