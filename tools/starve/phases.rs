//! The phases, one after the other, and the table.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Fault;
use crate::market::Clock;
use crate::measure::{Measured, follow, listen_overflows};
use crate::others::Others;
use crate::people::{Bystanders, READERS};

/// Who is there in a phase.
pub struct Phase {
    /// Its name in the table.
    pub name: &'static str,
    /// Those that log in.
    pub bystanders: Bystanders,
    /// Those that do not.
    pub half_open: usize,
}

/// What a phase showed.
struct Row {
    name: &'static str,
    clients: usize,
    half_open: usize,
    /// Rule port, alert port.
    logins: [Histogram<u64>; 2],
    alerts: Histogram<u64>,
    /// Connections that found a listener's queue full.
    overflows: u64,
}

/// What runs through all phases.
pub struct Stage<'a> {
    /// Where the engine is reached: rules, alerts.
    pub ports: [SocketAddr; 2],
    pub clock: &'a Clock,
    pub measured: &'a Measured,
    /// Length of a phase, from when all are there.
    pub length: Duration,
    /// Addresses of the attack.
    pub addresses: usize,
    /// Connections that the attack opens each second.
    pub per_second: u64,
}

/// What all phases showed.
pub struct Outcome {
    rows: Vec<Row>,
    /// What the others said when they ended.
    remarks: Vec<String>,
    /// No good client was cut, and all ended in order.
    pub is_whole: bool,
}

/// All of them.
pub fn run(stage: &Stage, phases: Vec<Phase>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome { rows: vec![], remarks: vec![], is_whole: true };
    let mut here: Option<(Bystanders, Others)> = None;
    for Phase { name, bystanders, half_open } in phases {
        // Those of the phase before may stay; what is measured of logins begins when the new ones come.
        if let Some((_, before)) = here.take_if(|(who, _)| *who != bystanders) {
            outcome.hear(before.finish()?);
        }
        let overflows = listen_overflows();
        stage.measured.logins.iter().for_each(|logins| _ = logins.take());
        if here.is_none() && bystanders.count() > 0 {
            here = Some((bystanders, Others::bystanders(&bystanders, stage.ports)?));
        }
        let attack = match half_open {
            0 => None,
            count => Some(Others::attack(count, stage.addresses, stage.per_second, stage.ports)?),
        };
        let alerts = stage.watch()?;
        let logins = [0, 1].map(|port| stage.measured.logins[port].take());
        let overflows = listen_overflows().unwrap_or(0).saturating_sub(overflows.unwrap_or(0));
        outcome.rows.push(Row { name, clients: bystanders.count(), half_open, logins, alerts, overflows });
        if let Some(attack) = attack {
            outcome.hear(attack.finish()?);
        }
    }
    if let Some((_, last)) = here {
        outcome.hear(last.finish()?);
    }
    Ok(outcome)
}

impl Stage<'_> {
    /// Alerts of a phase, of the reader that came before all others and of one that came after them.
    fn watch(&self) -> Result<Histogram<u64>, Fault> {
        let (is_over, client) = (AtomicBool::new(false), follow(READERS[1], self.ports[1])?);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.measured.read(client, self.clock, &is_over));
            self.measured.alerts.take();
            std::thread::sleep(self.length);
            let alerts = self.measured.alerts.take();
            is_over.store(true, Ordering::Relaxed);
            reader.join().map_err(|_| "a reader panicked")??;
            Ok(alerts)
        })
    }
}

impl Outcome {
    fn hear(&mut self, (said, is_well): (String, bool)) {
        self.remarks.push(said);
        self.is_whole &= is_well;
    }

    /// The longest that a valid login took.
    pub fn longest_login(&self) -> Duration {
        let longest = self.rows.iter().flat_map(|row| &row.logins).map(Histogram::max);
        Duration::from_nanos(longest.max().unwrap_or(0))
    }

    /// For people. `base`: the phase that is "the same run without them"; `peer`: one with as many clients, all of them good.
    pub fn table(&self, base: &str, peer: &str) -> String {
        let p99 = |name: &str| {
            let row = self.rows.iter().find(|row| row.name == name);
            row.map_or(0, |row| row.alerts.value_at_quantile(0.99)).max(1) as f64
        };
        let mut text = format!(
            "{:<9} {:>7} {:>9}  {:>26}  {:>26} {:>10}  {:>7} {:>9} {:>9}  {:>10} {:>9}\n",
            "",
            "clients",
            "half-open",
            "rule port p50/p99/max ms",
            "alert port p50/p99/max ms",
            "queue full",
            "alerts",
            "p50 us",
            "p99 us",
            format!("x {base}"),
            format!("x {peer}")
        );
        for row in &self.rows {
            let us = |quantile| row.alerts.value_at_quantile(quantile) as f64 / 1e3;
            let [rules, alerts] = row.logins.each_ref().map(|logins| {
                let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| logins.value_at_quantile(quantile) as f64 / 1e6);
                format!("{p50:.1} / {p99:.1} / {max:.1}")
            });
            let ratio = |name| us(0.99) * 1e3 / p99(name);
            text += &format!(
                "{:<9} {:>7} {:>9}  {rules:>26}  {alerts:>26} {:>10}  {:>7} {:>9.1} {:>9.1}  {:>10.2} {:>9.2}\n",
                row.name,
                row.clients,
                row.half_open,
                row.overflows,
                row.alerts.len(),
                us(0.5),
                us(0.99),
                ratio(base),
                ratio(peer)
            );
        }
        for remark in &self.remarks {
            text += &format!("{remark}\n");
        }
        text
    }
}
