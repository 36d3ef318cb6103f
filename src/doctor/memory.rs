//! Pages that move or go.

use super::host::Host;
use super::{Check, Seen, judged, unseen};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "huge_pages",
        wanted: "transparent huge pages on madvise: the engine asks for them where they help",
        why: "with always the kernel compacts memory behind the engine's back, milliseconds; with never large tables miss the page tables",
        command: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        look: huge_pages,
    },
    Check {
        name: "numa_balancing",
        wanted: "0",
        why: "the kernel unmaps pages to see who uses them, and each costs a fault",
        command: "sysctl kernel.numa_balancing=0",
        look: numa_balancing,
    },
    Check {
        name: "swappiness",
        wanted: "no swap, or vm.swappiness 0",
        why: "rules that were not touched for hours come back from disk when their price is near",
        command: "swapoff -a, or sysctl vm.swappiness=0",
        look: swappiness,
    },
    Check {
        name: "memlock",
        wanted: "unlimited",
        why: "memory.lock and kernel bypass need it",
        command: "ulimit -l unlimited (LimitMEMLOCK=infinity in a systemd unit)",
        look: memlock,
    },
];

fn huge_pages(host: &Host) -> Seen {
    let text = host.text("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen);
    match chosen {
        None => unseen("the kernel has none, or does not tell"),
        Some(chosen) => judged(chosen == "madvise", chosen),
    }
}

fn numa_balancing(host: &Host) -> Seen {
    match host.number("proc/sys/kernel/numa_balancing") {
        None => unseen("the kernel has none, or does not tell"),
        Some(is_on) => judged(is_on == 0, is_on.to_string()),
    }
}

fn swappiness(host: &Host) -> Seen {
    let (swaps, swappiness) = (host.text("proc/swaps"), host.number("proc/sys/vm/swappiness"));
    // The first line is a heading.
    match (swaps.map(|swaps| swaps.lines().count() > 1), swappiness) {
        (Some(false), _) => judged(true, "no swap"),
        (_, Some(0)) => judged(true, "0"),
        (Some(true), Some(swappiness)) => judged(false, format!("swap, and swappiness {swappiness}")),
        _ => unseen("the kernel does not tell"),
    }
}

fn memlock(host: &Host) -> Seen {
    let Some(limit) = host.field("proc/self/limits", "Max locked memory") else {
        return unseen("no limits to be read");
    };
    let soft = limit.split_whitespace().next().unwrap_or_default();
    judged(soft == "unlimited", if soft == "unlimited" { soft.into() } else { format!("{soft} bytes") })
}
