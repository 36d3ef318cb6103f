//! The words of a demo.

use std::fmt::Write;
use std::time::Duration;

use hairtrigger::demo::{Demo, Latency, Now, Settings, Summary};
use hairtrigger::gateway::wire::RuleMessage;
use hairtrigger::model::{Comparison, Nanos, Reason, Signal};

use crate::cli::text::{grouped, money};

/// Alerts that the block shows.
const SAMPLES: usize = 6;

/// What is about to happen.
pub fn beginning(settings: &Settings) -> String {
    let feed = match &settings.feed {
        Some(path) => path.display().to_string(),
        None => format!("a generated feed of {} messages", grouped(settings.rate * settings.seconds)),
    };
    let (rules, users) = (grouped(settings.rules as u64), grouped(settings.users));
    format!("hairtrigger demo: {feed}, {rules} rules of {users} users, {} s\n\n", settings.seconds)
}

/// What runs where.
pub fn started(demo: &Demo) -> String {
    let engine = demo.engine();
    let address = |line: Option<std::net::SocketAddr>| line.map(|line| line.to_string()).unwrap_or_default();
    let (a, b) = (address(engine.addresses.line_a), address(engine.addresses.line_b));
    let (control, gateway) = (engine.addresses.control, engine.addresses.gateway);
    format!("{}\nlines A {a} and B {b}, rules {control}, alerts {gateway}\n\n", engine.plan)
}

/// A duration: `850 ns`, `41.3 us`, `1.25 ms`, `2.04 s`.
pub fn duration(ns: Nanos) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// An alert as people say it: `GME fell below 21.50: 21.49, user 1234`.
pub fn alert(rule: &RuleMessage) -> String {
    let signal = if rule.signal == Signal::Last { String::new() } else { format!(" {}", rule.signal.name()) };
    let verb = match (rule.reason == Reason::Initial, rule.comparison) {
        (true, Comparison::Below) => "is below",
        (true, Comparison::Above) => "is above",
        (true, Comparison::AtOrBelow) => "is at or below",
        (true, Comparison::AtOrAbove) => "is at or above",
        (false, Comparison::Below) => "fell below",
        (false, Comparison::Above) => "rose above",
        (false, Comparison::AtOrBelow) => "fell to or below",
        (false, Comparison::AtOrAbove) => "rose to or above",
    };
    format!("{}{signal} {verb} {}: {}, user {}", rule.symbol, money(rule.threshold), money(rule.price), rule.user)
}

/// How much more a second than before.
fn rate(now: u64, before: u64, time: Duration) -> String {
    grouped((now.saturating_sub(before) as f64 / time.as_secs_f64().max(1e-3)).round() as u64)
}

fn percentiles(latency: &Latency) -> String {
    let Latency { count, p50, p99, p999, max } = *latency;
    if count == 0 {
        return "no alert yet".into();
    }
    format!("p50 {}  p99 {}  p99.9 {}  max {}", duration(p50), duration(p99), duration(p999), duration(max))
}

/// The block of a terminal.
pub fn block(now: &Now, before: &Now) -> Vec<String> {
    let time = now.elapsed.saturating_sub(before.elapsed);
    let (rules, alerts) = (&now.rules, &now.alerts);
    let mut lines = vec![
        format!(
            "feed     {:>4.1} s  {} messages/s  {} of {}",
            now.elapsed.as_secs_f64(),
            rate(now.received, before.received, time),
            grouped(now.received),
            grouped(now.total)
        ),
        format!(
            "gaps     {} opened, {} given up; missing on line A {}, on B {}, asked for again {}",
            grouped(now.gaps_opened),
            now.gaps,
            grouped(now.missing.0),
            grouped(now.missing.1),
            grouped(now.rerequested)
        ),
        format!(
            "rules    {} live; {} set, {} replaced, {} removed",
            grouped(now.rules_live),
            grouped(rules.set),
            grouped(rules.replaced),
            grouped(rules.removed)
        ),
        format!("alerts   {}, {}/s", grouped(alerts.alerts), rate(alerts.alerts, before.alerts.alerts, time)),
        format!("latency  {}", percentiles(&now.latency)),
        "         from datagram sent to alert read".into(),
        String::new(),
    ];
    let samples = alerts.latest.iter().map(alert);
    lines.extend(samples.chain(std::iter::repeat(String::new())).take(SAMPLES).map(|text| format!("  {text}")));
    lines
}

/// The line of a second.
pub fn line(now: &Now, before: &Now) -> String {
    let time = now.elapsed.saturating_sub(before.elapsed);
    let latest = now.alerts.latest.back().map(|rule| format!("; {}", alert(rule))).unwrap_or_default();
    let latency = match now.latency.count {
        0 => String::new(),
        _ => format!(" (p50 {}, p99 {})", duration(now.latency.p50), duration(now.latency.p99)),
    };
    format!(
        "{:>3.0} s: {} messages/s, {} gaps, {} rules, {} alerts{latency}{latest}",
        now.elapsed.as_secs_f64(),
        rate(now.received, before.received, time),
        grouped(now.gaps_opened),
        grouped(now.rules_live),
        grouped(now.alerts.alerts),
    )
}

/// What was shown, and what to try next.
pub fn summary(settings: &Settings, summary: &Summary, is_interrupted: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = facts(&mut text, summary, is_interrupted);
    if summary.faults.is_empty() {
        let read = grouped(summary.now.alerts.messages);
        let _ = writeln!(
            text,
            "nothing lost: the feed arrived in order, and all {read} messages of the alert stream were read"
        );
    }
    for fault in &summary.faults {
        let _ = writeln!(text, "LOST     {fault}");
    }
    text + &next(settings)
}

fn facts(text: &mut String, summary: &Summary, is_interrupted: bool) -> std::fmt::Result {
    let Summary { now, lines, requests, .. } = summary;
    let (rules, alerts) = (&now.rules, &now.alerts);
    let ended = if is_interrupted { "interrupted after" } else { "after" };
    writeln!(text, "\nsummary, {ended} {:.1} s", now.elapsed.as_secs_f64())?;
    writeln!(text, "feed     {} messages sent, {} taken in order", grouped(now.sent), grouped(now.received))?;
    if now.sent < now.total && !is_interrupted {
        writeln!(text, "         of {}: this machine is too slow or too busy; try a lower --rate", grouped(now.total))?;
    }
    for (line, name) in lines.iter().zip(["A", "B"]) {
        let [packets, lost, twice, late] = [line.packets, line.lost, line.duplicated, line.reordered].map(grouped);
        writeln!(
            text,
            "line {name}   {packets} packets: {lost} lost, {twice} sent twice, {late} overtaken on purpose"
        )?;
    }
    writeln!(
        text,
        "gaps     {} opened, {} recovered, {} given up; {} messages came by re-request ({} requests)",
        grouped(now.gaps_opened),
        grouped(now.gaps_opened.saturating_sub(now.gaps)),
        now.gaps,
        grouped(now.rerequested),
        grouped(requests.0)
    )?;
    writeln!(
        text,
        "rules    {} set, {} replaced, {} removed while it ran; {} live at the end",
        grouped(rules.set),
        grouped(rules.replaced),
        grouped(rules.removed),
        grouped(now.rules_live)
    )?;
    writeln!(
        text,
        "alerts   {}, {} of them at once, as the condition held when the rule was set; {} taken back: print broken",
        grouped(alerts.alerts),
        grouped(alerts.at_set),
        grouped(alerts.busted)
    )?;
    writeln!(
        text,
        "latency  {} ({} alerts, datagram sent to alert read)",
        percentiles(&now.latency),
        grouped(now.latency.count)
    )
}

fn next(settings: &Settings) -> String {
    let another = match settings.feed {
        Some(_) => "",
        None => "  hairtrigger demo --feed FILE                   the same with a recorded feed\n",
    };
    format!(
        "\nto try next:\n{another}\
         \x20 hairtrigger generate --out day.itch.gz         a synthetic day\n\
         \x20 hairtrigger run --print-config > engine.toml   a commented config\n\
         \x20 hairtrigger run --config engine.toml           the engine; then, in other terminals:\n\
         \x20 hairtrigger rules set AAPL below 134           set a rule\n\
         \x20 hairtrigger watch                              its alerts\n\
         \x20 hairtrigger publish day.itch.gz --rate 50000 --loss 1% --line-a 127.0.0.1:26477 \\\n\
         \x20     --line-b 127.0.0.1:26478 --rerequest-listen 127.0.0.1:26479\n\
         \x20 hairtrigger stat                               counters and latencies\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_unit() {
        let shown = [850, 41_300, 1_250_000, 2_040_000_000].map(duration);
        assert_eq!(shown, ["850 ns", "41.3 us", "1.25 ms", "2.04 s"]);
    }
}
