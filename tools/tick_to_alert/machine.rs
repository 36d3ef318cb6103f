//! What the figures were taken on, and what the machine did to them.

use std::fs;
use std::hint;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use hairtrigger::sys::affinity::pin_current;
use hairtrigger::sys::topology::Machine;
use serde_json::{Value, json};

/// Time between two readings of the clock, in ns, from which on it counts as a gap.
const GAP_MIN: u64 = 500;

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

/// The machine, for every record.
pub fn describe(cores: &[usize]) -> Value {
    let info = text("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_string())
    };
    let isolated = Machine::this().map(|machine| machine.cores.iter().filter(|core| core.isolated).count()).ok();
    let governor = format!("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cores.first().unwrap_or(&0));
    json!({
        "cpu": field("model name"),
        "cores": thread::available_parallelism().map(usize::from).ok(),
        "virtual": info.contains(" hypervisor"),
        "kernel": text("/proc/sys/kernel/osrelease"),
        "governor": text(&governor),
        "isolated_cores": isolated,
        "clock_source": text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "load_average": text("/proc/loadavg"),
        "steal_percent": steal_percent(),
        "nice": nice(),
        "cores_used": cores,
        "commit": commit(),
    })
}

/// The machine in a line.
pub fn words(machine: &Value) -> String {
    let of = |key: &str| machine[key].as_str().unwrap_or("unknown");
    let kind = if machine["virtual"] == true { "virtual" } else { "real" };
    format!(
        "{}, {} cores ({kind}), Linux {}, governor {}, {} isolated, steal {} % since boot",
        of("cpu"),
        machine["cores"],
        of("kernel"),
        of("governor"),
        machine["isolated_cores"],
        machine["steal_percent"]
    )
}

/// The part of all cores' time that the host took, since boot.
fn steal_percent() -> Option<f64> {
    let stat = text("/proc/stat")?;
    let ticks: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let all = ticks.iter().sum::<u64>().max(1);
    Some((*ticks.get(7)? as f64 / all as f64 * 10_000.0).round() / 100.0)
}

/// This process's nice value, which the engine inherits: other than 0 means that the machine was not idle.
fn nice() -> Option<i64> {
    let stat = text("/proc/self/stat")?;
    // Behind the name in brackets, which may hold anything, stands the state, field 3; nice is field 19.
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

/// The commit that was checked out, with a + where files differ from it.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty=+"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Time stolen from these cores since boot, in ticks of a hundredth of a second.
pub fn steal(cores: &[usize]) -> u64 {
    let stat = text("/proc/stat").unwrap_or_default();
    let of = |core: &usize| {
        let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
        line.split_whitespace().nth(7)?.parse::<u64>().ok()
    };
    cores.iter().filter_map(of).sum()
}

/// How long the threads of a process waited for a core although they could run, in ns, since they began.
pub fn run_delay(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let delay = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    tasks.filter_map(delay).sum()
}

/// What threads see that do nothing but read the clock: the machine's own part of every latency.
#[derive(Clone, Debug, Default)]
pub struct Jitter {
    gaps: Vec<u64>,
    time: u64,
}

impl Jitter {
    /// Spins on all of these cores at once for so long.
    pub fn of(cores: &[usize], time: Duration) -> Jitter {
        let threads: Vec<_> = cores
            .iter()
            .map(|core| {
                thread::spawn({
                    let core = *core;
                    move || spin(core, time)
                })
            })
            .collect();
        let mut all = Jitter::default();
        for jitter in threads.into_iter().filter_map(|thread| thread.join().ok()) {
            all.add(&jitter);
        }
        all
    }

    /// Adds another measurement.
    pub fn add(&mut self, other: &Jitter) {
        self.gaps.extend(&other.gaps);
        self.time += other.time;
    }

    /// The greatest gap, in ns.
    pub fn max(&self) -> u64 {
        self.gaps.iter().copied().max().unwrap_or(0)
    }

    /// How long, in ns, something that comes at any moment waits for its core at most, in so many percent of all moments.
    pub fn wait(&self, percentile: f64) -> u64 {
        let late = self.time as f64 * (1.0 - percentile / 100.0);
        let later_than = |wait: u64| self.gaps.iter().map(|gap| gap.saturating_sub(wait)).sum::<u64>() as f64;
        let (mut low, mut high) = (0, self.max());
        while low < high {
            let middle = (low + high) / 2;
            if later_than(middle) > late { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// In a line, with what was stolen, in ticks of 10 ms.
    pub fn words(&self, steal: u64) -> String {
        let [p999, max] = [self.wait(99.9), self.max()].map(|ns| ns as f64 / 1_000.0);
        format!("jitter p99.9 {p999:.1} us, max {max:.1} us, stolen {} ms", steal * 10)
    }

    /// For records, in ns.
    pub fn json(&self) -> Value {
        json!({ "p50": self.wait(50.0), "p99": self.wait(99.0), "p99.9": self.wait(99.9), "p99.99": self.wait(99.99), "max": self.max() })
    }
}

fn spin(core: usize, time: Duration) -> Jitter {
    let mut gaps = Vec::with_capacity(1 << 16);
    if pin_current(core).is_err() {
        return Jitter::default();
    }
    let (start, end) = (Instant::now(), time.as_nanos() as u64);
    let mut before = 0;
    while before < end {
        hint::spin_loop();
        let now = start.elapsed().as_nanos() as u64;
        if now - before >= GAP_MIN && gaps.len() < gaps.capacity() {
            gaps.push(now - before);
        }
        before = now;
    }
    Jitter { gaps, time: before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_a_moment_chosen_at_random_waits() {
        // 1 % of the time lies in a gap of 100, and half of that waits longer than 50.
        let jitter = Jitter { gaps: vec![100], time: 10_000 };
        for (percentile, wait) in [(99.0, 0), (99.5, 50), (99.9, 90)] {
            assert!(jitter.wait(percentile).abs_diff(wait) <= 1, "{percentile}");
        }
        assert_eq!(jitter.max(), 100);
        assert_eq!(Jitter::default().wait(99.0), 0);
    }
}
