//! When each event is to leave, fixed before the first one does: an open loop. Whoever is slow gets no fewer events.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use hairtrigger::feed::recording::Recording;

const SECOND: u64 = 1_000_000_000;
/// A microburst: so many events
const BURST_EVENTS: u64 = 1_000;
/// within so many ns,
const BURST_TIME: u64 = 1_000_000;
/// and one begins every so many ns.
const BURST_INTERVAL: u64 = 50_000_000;

/// How events follow on each other.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Evenly, so many a second.
    Steady(u64),
    /// 1,000 within a millisecond, 20 times a second.
    Bursts,
    /// As the messages of a recorded feed, so many times as fast. Only their times are taken.
    Recorded {
        /// ns from the first message on, ascending.
        times: Arc<[u64]>,
        /// How many times as fast.
        speed: u64,
    },
}

impl Shape {
    /// For tables and file names.
    pub fn name(&self) -> String {
        match self {
            Shape::Steady(rate) => format!("{rate}"),
            Shape::Bursts => "bursts".into(),
            Shape::Recorded { speed, .. } => format!("pace-x{speed}"),
        }
    }
}

/// When each event is due, in ns from the start.
pub struct Schedule {
    /// Ascending.
    pub due: Vec<u64>,
    /// Events before this one are sent and not measured.
    pub measured_from: usize,
}

impl Schedule {
    /// Events for so many seconds, after a warm-up of a fifth of that.
    pub fn new(shape: &Shape, seconds: f64) -> Schedule {
        let warm_up = (seconds * 0.2 * SECOND as f64) as u64;
        let end = warm_up + (seconds * SECOND as f64) as u64;
        let due: Vec<u64> = match shape {
            Shape::Steady(rate) => (0..).map(|n: u64| n * SECOND / rate).take_while(|due| *due < end).collect(),
            Shape::Bursts => (0..)
                .map(|n| n / BURST_EVENTS * BURST_INTERVAL + n % BURST_EVENTS * BURST_TIME / BURST_EVENTS)
                .take_while(|due| *due < end)
                .collect(),
            Shape::Recorded { times, speed } => {
                times.iter().map(|time| time / speed).take_while(|due| *due < end).collect()
            }
        };
        let measured_from = due.partition_point(|due| *due < warm_up);
        Schedule { due, measured_from }
    }

    /// From the first event to the last, in ns.
    pub fn duration(&self) -> u64 {
        self.due.last().copied().unwrap_or(0)
    }
}

/// The stamps of a recorded feed, in ns from `from` ns after its first message on, at most `count`.
pub fn recorded_times(path: &Path, from: u64, count: usize) -> Result<Arc<[u64]>, Box<dyn Error>> {
    let mut recording = Recording::open(path)?;
    let (mut base, mut times) = (None, vec![]);
    while times.len() < count
        && let Some((_, message)) = recording.next()
    {
        let Some(stamp) = message.get(5..11) else { continue };
        let stamp = stamp.iter().fold(0, |stamp, byte| stamp << 8 | u64::from(*byte));
        times.extend(stamp.checked_sub(*base.get_or_insert(stamp + from)));
    }
    // A feed is stamped in order; a file that is not would make a schedule that goes back.
    times.sort_unstable();
    if times.is_empty() { Err("the recorded feed ends before that time".into()) } else { Ok(times.into()) }
}
