//! What stands between the wire and a socket.

use super::host::Host;
use super::{Check, Seen, judged, unseen};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "receive_buffer",
        wanted: "net.core.rmem_max at least what the feed asks for",
        why: "a smaller buffer fills during a microburst or a pause, and what comes then is lost",
        command: "sysctl net.core.rmem_max=BUFFER",
        look: receive_buffer,
    },
    Check {
        name: "busy_poll",
        wanted: "net.core.busy_read and busy_poll above 0, such as 50, where there is a network card",
        why: "a read of an empty socket then asks the card's queue itself instead of waiting for its interrupt",
        command: "sysctl net.core.busy_read=50 net.core.busy_poll=50",
        look: busy_poll,
    },
    Check {
        name: "interrupt_delay",
        wanted: "gro_flush_timeout 0, unless busy polling defers interrupts on purpose",
        why: "received packets may wait that long to be merged",
        command: "echo 0 > /sys/class/net/NAME/gro_flush_timeout",
        look: interrupt_delay,
    },
    Check {
        name: "coalescing",
        wanted: "rx-usecs 0, adaptive-rx off; GRO and LRO off",
        why: "the card holds its interrupt back to save some: up to 100 us",
        command: "ethtool -c NAME; ethtool -k NAME show them; ethtool -C NAME adaptive-rx off rx-usecs 0; ethtool -K NAME gro off lro off",
        look: coalescing,
    },
];

/// The interfaces with hardware behind them, or what a hypervisor shows as such.
fn cards(host: &Host) -> Vec<String> {
    let has_device = |name: &String| host.exists(&format!("sys/class/net/{name}/device"));
    host.names("sys/class/net").into_iter().filter(has_device).collect()
}

fn receive_buffer(host: &Host) -> Seen {
    match host.number("proc/sys/net/core/rmem_max") {
        None => unseen("the kernel does not tell"),
        Some(max) => judged(max >= host.receive_buffer(), format!("{max} bytes, asked for {}", host.receive_buffer())),
    }
}

fn busy_poll(host: &Host) -> Seen {
    let number = |name| host.number(&format!("proc/sys/net/core/{name}"));
    let (Some(read), Some(poll)) = (number("busy_read"), number("busy_poll")) else {
        return unseen("the kernel has none, or does not tell");
    };
    let found = format!("busy_read {read}, busy_poll {poll}");
    match cards(host).is_empty() {
        true => judged(true, format!("{found}; no network card")),
        false => judged(read > 0 && poll > 0, found),
    }
}

fn interrupt_delay(host: &Host) -> Seen {
    let of = |name: String| {
        let timeout_ns = host.number(&format!("sys/class/net/{name}/gro_flush_timeout"))?;
        Some((timeout_ns, format!("{name} {timeout_ns} ns")))
    };
    let found: Vec<(u64, String)> = cards(host).into_iter().filter_map(of).collect();
    if found.is_empty() {
        return unseen("no network card that shows it");
    }
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    judged(found.iter().all(|(timeout_ns, _)| *timeout_ns == 0), texts.join(", "))
}

/// `/sys` does not show them: only `ethtool` asks the driver.
fn coalescing(host: &Host) -> Seen {
    let cards = cards(host);
    match cards.is_empty() {
        true if host.exists("sys/class/net") => judged(true, "no network card"),
        true => unseen("no interfaces to be read"),
        false => unseen(format!("{}: files do not show it, ethtool does", cards.join(", "))),
    }
}
