//! Who else runs on the engine's cores.

use super::host::{Host, list};
use super::{Check, Seen, judged, unseen};
use crate::sys::topology::parse_list;

/// Steal above this share of the time, in parts per million, is told.
const STEAL_PPM_MAX: u64 = 100;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "isolated",
        wanted: "the engine's cores are isolated",
        why: "the scheduler puts other threads on a core that is not, and each takes milliseconds",
        command: "kernel command line: isolcpus=managed_irq,domain,CORES",
        look: isolated,
    },
    Check {
        name: "nohz_full",
        wanted: "the engine's cores run without the tick",
        why: "the timer interrupts a core 100 to 1,000 times a second, some microseconds each time",
        command: "kernel command line: nohz_full=CORES",
        look: nohz_full,
    },
    Check {
        name: "rcu_nocbs",
        wanted: "RCU callbacks of the engine's cores run elsewhere",
        why: "the kernel otherwise runs them on the core after its interrupts",
        command: "kernel command line: rcu_nocbs=CORES (nohz_full= implies it)",
        look: rcu_nocbs,
    },
    Check {
        name: "quota",
        wanted: "no CPU quota",
        why: "when it is used up the kernel stops all threads for the rest of the period, tens of milliseconds",
        command: "cgroup: echo max > cpu.max",
        look: quota,
    },
    Check {
        name: "siblings",
        wanted: "no other hardware thread on the engine's physical cores",
        why: "two threads of a core share its caches and execution units",
        command: "echo off > /sys/devices/system/cpu/smt/control",
        look: siblings,
    },
    Check {
        name: "interrupts",
        wanted: "no device interrupts on the engine's cores",
        why: "each takes microseconds and cold caches",
        command: "systemctl stop irqbalance; for each: echo the other cores > /proc/irq/NUMBER/smp_affinity_list",
        look: interrupts,
    },
    Check {
        name: "timer_migration",
        wanted: "1 when the engine's cores are nohz_full, else 0",
        why: "timers of idle cores move to busy ones, which spinning cores are, unless the kernel keeps those free of them",
        command: "sysctl kernel.timer_migration=1 with nohz_full, =0 without",
        look: timer_migration,
    },
    Check {
        name: "nmi_watchdog",
        wanted: "0",
        why: "it takes a performance counter and interrupts every core every few seconds",
        command: "sysctl kernel.nmi_watchdog=0",
        look: nmi_watchdog,
    },
    Check {
        name: "steal",
        wanted: "less than 0.01 % of the time since boot",
        why: "another guest ran on the core while this one wanted it: milliseconds that no setting here gives back",
        command: "a machine of one's own, or virtual cores that the host pins",
        look: steal,
    },
];

fn isolated(host: &Host) -> Seen {
    match host.list("sys/devices/system/cpu/isolated") {
        None => unseen("the kernel does not tell"),
        Some(isolated) => covered(host, &isolated, "isolated"),
    }
}

fn nohz_full(host: &Host) -> Seen {
    match host.list("sys/devices/system/cpu/nohz_full") {
        None if host.exists("sys/devices/system/cpu") => judged(false, "this kernel has no nohz_full"),
        None => unseen("the kernel does not tell"),
        Some(cores) => covered(host, &cores, "nohz_full"),
    }
}

fn rcu_nocbs(host: &Host) -> Seen {
    let Some(line) = host.text("proc/cmdline") else { return unseen("no kernel command line to be read") };
    let named = |name: &'static str| line.split_whitespace().filter_map(move |word| word.strip_prefix(name));
    let lists = named("rcu_nocbs=").chain(named("nohz_full="));
    // `rcu_nocbs` alone, and the list `all`, mean every core.
    let is_all = |word: &str| matches!(word, "rcu_nocbs" | "rcu_nocbs=all" | "nohz_full=all");
    if line.split_whitespace().any(is_all) {
        return judged(true, "all cores");
    }
    covered(host, &lists.flat_map(parse_list).collect::<Vec<_>>(), "without callbacks")
}

fn covered(host: &Host, set: &[usize], what: &str) -> Seen {
    let outside = host.cores_outside(set);
    if outside.is_empty() {
        return judged(true, format!("{what}: {}", list(host.cores())));
    }
    judged(false, format!("not {what}: {}", list(&outside)))
}

fn quota(host: &Host) -> Seen {
    match host.machine().quota_millicores {
        Some(quota) => judged(false, format!("{}.{:03} cores", quota / 1_000, quota % 1_000)),
        None if host.exists("sys/fs/cgroup") => judged(true, "none"),
        None => unseen("no cgroup to be read"),
    }
}

fn siblings(host: &Host) -> Seen {
    let lists = host.of_cores("topology/thread_siblings_list");
    if lists.is_empty() {
        return unseen("the kernel does not tell");
    }
    let shared = |(core, siblings): &(usize, String)| (parse_list(siblings).len() > 1).then_some(*core);
    let shared: Vec<usize> = lists.iter().filter_map(shared).collect();
    match shared.is_empty() {
        true => judged(true, "none that the kernel shows"),
        false => judged(false, format!("cores with a sibling: {}", list(&shared))),
    }
}

/// An interrupt that a device uses has a folder of the device's name beside its settings.
fn interrupts(host: &Host) -> Seen {
    if !host.exists("proc/irq") {
        return unseen("no interrupts to be read");
    }
    let mut here = vec![];
    for number in host.names("proc/irq") {
        let folder = format!("proc/irq/{number}");
        let devices = host.names(&folder).into_iter().find(|name| host.is_folder(&format!("{folder}/{name}")));
        let Some(device) = devices else { continue };
        let effective = host.list(&format!("{folder}/effective_affinity_list")).filter(|cores| !cores.is_empty());
        let cores = effective.or_else(|| host.list(&format!("{folder}/smp_affinity_list"))).unwrap_or_default();
        if cores.iter().any(|core| host.cores().contains(core)) {
            here.push(format!("{number} {device}"));
        }
    }
    match here.len() {
        0 => judged(true, "none"),
        1..=4 => judged(false, here.join(", ")),
        count => judged(false, format!("{count}: {}, ...", here[..4].join(", "))),
    }
}

fn timer_migration(host: &Host) -> Seen {
    let Some(is_on) = host.number("proc/sys/kernel/timer_migration") else { return unseen("the kernel does not tell") };
    let tickless = host.list("sys/devices/system/cpu/nohz_full").unwrap_or_default();
    let wanted = u64::from(host.cores_outside(&tickless).is_empty());
    judged(is_on == wanted, is_on.to_string())
}

fn nmi_watchdog(host: &Host) -> Seen {
    match host.number("proc/sys/kernel/nmi_watchdog") {
        Some(is_on) => judged(is_on == 0, is_on.to_string()),
        None => unseen("the kernel has none, or does not tell"),
    }
}

fn steal(host: &Host) -> Seen {
    let (mut stolen, mut all) = (0u64, 0u64);
    for core in host.cores() {
        let Some(line) = host.field("proc/stat", &format!("cpu{core} ")) else { continue };
        let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guest times are within user already.
        stolen += ticks.get(7).copied().unwrap_or(0);
        all += ticks.iter().take(8).sum::<u64>();
    }
    if all == 0 {
        return unseen("the kernel does not tell");
    }
    let ppm = (u128::from(stolen) * 1_000_000 / u128::from(all)) as u64;
    judged(ppm <= STEAL_PPM_MAX, format!("{}.{:04} %", ppm / 10_000, ppm % 10_000))
}
