//! Cores that slow down or sleep, and what reading the clock costs.

use super::host::{Host, list};
use super::{Check, Seen, judged, unseen};

/// Leaving an idle state may take so long, in us: C1 takes 1 or 2.
const EXIT_US_MAX: u64 = 2;
/// Clock sources that are read without a system call.
const CLOCKS: [&str; 4] = ["tsc", "arch_sys_counter", "hyperv_clocksource_tsc_page", "kvm-clock"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "governor",
        wanted: "performance on the engine's cores",
        why: "a core that was slowed down takes tens of microseconds to milliseconds to be fast again",
        command: "cpupower -c CORES frequency-set -g performance",
        look: governor,
    },
    Check {
        name: "idle_states",
        wanted: "no idle state that takes longer than 2 us to leave",
        why: "a thread that parks or waits wakes later by the state's exit latency, up to 200 us",
        command: "cpupower -c CORES idle-set -D 3, or kernel command line: processor.max_cstate=1",
        look: idle_states,
    },
    Check {
        name: "clock_source",
        wanted: "one that is read without a system call: tsc",
        why: "every message is stamped: hpet and acpi_pm cost a microsecond a reading, tsc about 20 ns",
        command: "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
        look: clock_source,
    },
];

fn governor(host: &Host) -> Seen {
    let governors = host.of_cores("cpufreq/scaling_governor");
    if governors.is_empty() {
        return unseen("no frequency control: in a virtual machine it is the host's");
    }
    let slow = |(core, governor): &(usize, String)| (governor != "performance").then(|| (*core, governor.clone()));
    let slow: Vec<(usize, String)> = governors.iter().filter_map(slow).collect();
    match slow.first() {
        None => judged(true, "performance"),
        Some((_, governor)) => {
            let cores: Vec<usize> = slow.iter().map(|(core, _)| *core).collect();
            judged(false, format!("{governor} on {}", list(&cores)))
        }
    }
}

fn idle_states(host: &Host) -> Seen {
    let mut deep: Vec<String> = vec![];
    let mut is_seen = false;
    for core in host.cores() {
        let folder = format!("sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in host.names(&folder).into_iter().filter(|name| name.starts_with("state")) {
            let Some(exit_us) = host.number(&format!("{folder}/{state}/latency")) else { continue };
            is_seen = true;
            let is_off = host.number(&format!("{folder}/{state}/disable")) == Some(1);
            if exit_us > EXIT_US_MAX && !is_off {
                let name = host.text(&format!("{folder}/{state}/name")).unwrap_or(state);
                deep.push(format!("{name} ({exit_us} us)"));
            }
        }
    }
    deep.sort();
    deep.dedup();
    match (is_seen, deep.is_empty()) {
        (false, _) => unseen("no idle states shown: in a virtual machine they are the host's"),
        (true, true) => judged(true, "none deeper than 2 us"),
        (true, false) => judged(false, deep.join(", ")),
    }
}

fn clock_source(host: &Host) -> Seen {
    match host.text("sys/devices/system/clocksource/clocksource0/current_clocksource") {
        None => unseen("the kernel does not tell"),
        Some(source) => judged(CLOCKS.contains(&source.as_str()), source),
    }
}
