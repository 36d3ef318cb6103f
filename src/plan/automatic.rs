//! The plan for a machine when the config names no cores.
//!
//! Cores are counted physically (one thread of each), unless there is but one: then its threads count. *Usable* are the cores, or
//! the whole cores of the quota where that is less. The first row that applies decides:
//!
//! | row | machine | threads for | idle | pinned |
//! |---|---|---|---|---|
//! | `one_core` | fewer than 2 usable | 1 core | park | no |
//! | `quota` | a cgroup quota | usable - 1 cores, at least 2 | park | no |
//! | `isolated` | 2 isolated cores or more | the isolated cores | spin | yes |
//! | `few_cores` | 2 or 3 usable | 2 cores | park | no |
//! | `many_cores` | 4 usable or more | usable - 1 cores | yield | yes |
//!
//! and the agents are spread over that many cores so:
//!
//! | cores | threads |
//! |---|---|
//! | 1 | feed + matchers + gateway + control + journal |
//! | 2 | feed + matchers, gateway + control + journal |
//! | 3 | feed, matchers, gateway + control + journal |
//! | n >= 4 | feed, matchers on n - 3 or fewer, gateway, control + journal |
//!
//! Only an isolated core is a core of one's own: elsewhere a spinning thread takes time from whatever the scheduler puts
//! beside it, and loses its own at the worst moment. A yielding thread gives way, and one core stays free for the rest of the
//! machine. A parking thread is not pinned, so that the scheduler may move it away from others; and
//! under a quota nothing is busy when idle, since that would use up the quota.

use super::{Plan, PlanError, PlannedThread, Role, Topology};
use crate::limits::SHARDS_AUTO_MAX;
use crate::sys::idle::Idle;
use crate::sys::topology::{Core, Machine};

/// What a row of the table decides.
struct Row {
    /// Cores to spread the agents over; as many as `cores` where it names any.
    spread: usize,
    idle: Idle,
    cores: Vec<Core>,
    reason: &'static str,
}

/// The plan by the table above. The config's idle strategies and number of shards override the table's.
pub(super) fn plan(machine: &Machine, wish: &Topology) -> Result<Plan, PlanError> {
    let row = row(machine);
    let groups = spread(row.spread, wish.shards);
    let shards = groups.iter().flatten().filter(|role| matches!(role, Role::Matcher(_))).count();
    let planned = |(index, roles): (usize, Vec<Role>)| {
        Ok(PlannedThread { core: row.cores.get(index).copied(), idle: wish.idle_of_all(&roles, row.idle)?, roles })
    };
    let threads = groups.into_iter().enumerate().map(planned).collect::<Result<_, _>>()?;
    Ok(Plan { threads, shards, reason: row.reason })
}

fn row(machine: &Machine) -> Row {
    let physical = one_per_physical(&machine.cores);
    let cores = if physical.len() < 2 { machine.cores.clone() } else { physical };
    let isolated: Vec<Core> = cores.iter().copied().filter(|core| core.isolated).collect();
    let quota = machine.quota_millicores.map(|millicores| (millicores / 1_000) as usize);
    let usable = quota.unwrap_or(usize::MAX).min(cores.len());
    let unpinned = |spread, reason| Row { spread, idle: Idle::Park, cores: vec![], reason };
    match usable {
        0 | 1 => unpinned(1, "one usable core: one thread, parking"),
        _ if quota.is_some() => unpinned((usable - 1).max(2), "a cgroup quota: parking, so as not to use it up idle"),
        _ if isolated.len() >= 2 && one_per_physical(&isolated).len() == isolated.len() => {
            Row { spread: isolated.len(), idle: Idle::Spin, cores: isolated, reason: "isolated cores: spinning" }
        }
        2 | 3 => unpinned(2, "few shared cores: two threads, parking"),
        _ => Row {
            spread: usable - 1,
            idle: Idle::Yield,
            cores: cores[1..].to_vec(),
            reason: "shared cores: yielding, the first core left free",
        },
    }
}

/// The agents of each thread when there are `cores` cores to spread them over.
fn spread(cores: usize, shards: Option<usize>) -> Vec<Vec<Role>> {
    use Role::{Control, Feed, Gateway, Journal, Matcher};
    let own = cores.saturating_sub(3).max(1);
    let shards = shards.unwrap_or(own.min(SHARDS_AUTO_MAX));
    let matchers = || (0..shards).map(Matcher);
    match cores {
        0 | 1 => vec![[Feed].into_iter().chain(matchers()).chain([Gateway, Control, Journal]).collect()],
        2 => vec![[Feed].into_iter().chain(matchers()).collect(), vec![Gateway, Control, Journal]],
        3 => vec![vec![Feed], matchers().collect(), vec![Gateway, Control, Journal]],
        _ => {
            let threads = own.min(shards);
            let of = |thread| (thread..shards).step_by(threads).map(Matcher).collect();
            let matchers = (0..threads).map(of);
            [vec![Feed]].into_iter().chain(matchers).chain([vec![Gateway], vec![Control, Journal]]).collect()
        }
    }
}

/// The first core of each physical one.
pub(super) fn one_per_physical(cores: &[Core]) -> Vec<Core> {
    let mut firsts: Vec<Core> = vec![];
    for core in cores {
        if firsts.iter().all(|first| first.physical != core.physical) {
            firsts.push(*core);
        }
    }
    firsts
}
