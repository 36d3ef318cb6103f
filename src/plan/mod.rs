//! The plan: which agents share a thread, on which core it runs, and what it does when idle.
//!
//! The `[topology]` section of the config names cores, and the plan is what it says; without cores, the plan
//! follows from the machine by the table in [`automatic`]. Either way these hold, or the plan is refused:
//! - agents on one core share one thread, and have one idle strategy;
//! - every core is one that the process may use;
//! - no two threads spin on one physical core;
//! - fewer threads spin than the cgroup's quota has cores: otherwise the kernel stops all of them for what is left of
//!   each period, tens of milliseconds at a time.

mod automatic;

use std::fmt;

use crate::limits::SHARDS_MAX;
use crate::sys::idle::Idle;
use crate::sys::topology::{Core, Machine};

/// What the config asks for: its `[topology]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topology {
    /// Number of shards. Default: one for each core of `matchers`, or as many as the machine has cores for.
    pub shards: Option<usize>,
    /// Core of the feed. Default, as for the next three: the engine chooses.
    pub feed: Option<usize>,
    /// Cores of the matchers, one for each shard; a core may come up more than once.
    pub matchers: Option<Vec<usize>>,
    /// Core of the alert gateway.
    pub gateway: Option<usize>,
    /// Core of rule control.
    pub control: Option<usize>,
    /// Core of the journal. Default: that of control.
    pub journal: Option<usize>,
    /// Core of TLS, where there is TLS. Default: wherever the scheduler puts it.
    pub tls: Option<usize>,
    /// Idle strategy of all agents but TLS that have none of their own below. Default: the engine chooses.
    pub idle: Option<Idle>,
    /// Idle strategy of the feed.
    pub feed_idle: Option<Idle>,
    /// Idle strategy of the matchers.
    pub matchers_idle: Option<Idle>,
    /// Idle strategy of the alert gateway.
    pub gateway_idle: Option<Idle>,
    /// Idle strategy of rule control.
    pub control_idle: Option<Idle>,
    /// Idle strategy of the journal.
    pub journal_idle: Option<Idle>,
    /// Idle strategy of TLS. Default: it parks.
    pub tls_idle: Option<Idle>,
}

/// An agent, as the plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The feed.
    Feed,
    /// The matcher of a shard.
    Matcher(usize),
    /// The alert gateway.
    Gateway,
    /// Rule control.
    Control,
    /// The journal.
    Journal,
    /// TLS before the two ports.
    Tls,
}

/// A thread: where it runs and what runs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedThread {
    /// The core that it is pinned to. `None`: wherever the scheduler puts it.
    pub core: Option<Core>,
    /// What it does when idle.
    pub idle: Idle,
    /// Its agents, in the order in which they are stepped: that of the flow.
    pub roles: Vec<Role>,
}

/// The threads of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the flow.
    pub threads: Vec<PlannedThread>,
    /// Number of shards.
    pub shards: usize,
    /// Why it is like that, for the table shown at start.
    pub reason: &'static str,
}

/// Why a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A number of shards outside the limits.
    #[error("topology: {shards} shards; 1 to {SHARDS_MAX} are possible")]
    Shards {
        /// The number asked for.
        shards: usize,
    },
    /// `shards` and `matchers` contradict each other.
    #[error("topology: shards = {shards}, but matchers names {matchers} cores; name one for each shard")]
    Matchers {
        /// The number of shards asked for.
        shards: usize,
        /// The number of cores given.
        matchers: usize,
    },
    /// Some agents have a core and others none.
    #[error("topology.{missing} is missing: give cores to feed, matchers, gateway and control, or to none of them")]
    Partial {
        /// The first key without a core.
        missing: &'static str,
    },
    /// A core that the process may not use.
    #[error("topology.{key}: core {core} is not among the cores that this process may use: {allowed:?}")]
    Outside {
        /// The key of the config.
        key: &'static str,
        /// The core asked for.
        core: usize,
        /// The cores of the affinity mask.
        allowed: Vec<usize>,
    },
    /// Agents that share a thread want different idle strategies.
    #[error("topology: {first} and {second} share a thread and need one idle strategy, not {} and {}", idles.0.name(), idles.1.name())]
    Idles {
        /// One agent,
        first: Role,
        /// and the one that wants another strategy.
        second: Role,
        /// What each wants.
        idles: (Idle, Idle),
    },
    /// Two spinning threads on one physical core.
    #[error(
        "topology: cores {first} and {second} are one physical core, and a thread would spin on each; let one of them park"
    )]
    Siblings {
        /// A core,
        first: usize,
        /// and its sibling.
        second: usize,
    },
    /// As many spinning threads as the quota has cores, or more.
    #[error(
        "topology: {spinning} threads would spin, but the cgroup's quota is {}.{:03} cores; fewer must spin: the others may park",
        quota_millicores / 1_000, quota_millicores % 1_000
    )]
    Quota {
        /// Threads that would spin.
        spinning: usize,
        /// The quota.
        quota_millicores: u64,
    },
    /// More spinning threads than cores.
    #[error("topology: {spinning} threads would spin, and the process may use {cores} physical cores; let them park")]
    Cores {
        /// Threads that would spin.
        spinning: usize,
        /// Physical cores.
        cores: usize,
    },
}

impl Plan {
    /// The plan for a machine and what the config asks for.
    ///
    /// # Errors
    /// [`PlanError`]; its text names what is possible.
    pub fn new(machine: &Machine, wish: &Topology) -> Result<Plan, PlanError> {
        let plan = match wish.cores()? {
            Some(cores) => explicit(machine, wish, &cores)?,
            None => automatic::plan(machine, wish)?,
        };
        check_spinning(machine, &plan)?;
        Ok(plan)
    }

    /// This plan with TLS: on a thread of its own, since no handshake may delay another agent by the millisecond that it takes,
    /// unless the config gives it another agent's core.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn with_tls(mut self, machine: &Machine, wish: &Topology) -> Result<Plan, PlanError> {
        let core = wish.tls.map(|id| core_of(machine, Role::Tls, id)).transpose()?;
        let shared = self.threads.iter_mut().find(|thread| core.is_some() && thread.core == core);
        match (shared, wish.tls_idle) {
            (Some(shared), Some(idle)) if idle != shared.idle => {
                let (first, second) = (shared.roles[0], Role::Tls);
                return Err(PlanError::Idles { first, second, idles: (shared.idle, idle) });
            }
            (Some(shared), _) => shared.roles.push(Role::Tls),
            (None, idle) => {
                let idle = idle.unwrap_or(Idle::Park);
                self.threads.push(PlannedThread { core, idle, roles: vec![Role::Tls] });
            }
        }
        check_spinning(machine, &self)?;
        Ok(self)
    }

    /// The thread that a role runs on, as an index into `threads`.
    pub fn thread_of(&self, role: Role) -> Option<usize> {
        self.threads.iter().position(|thread| thread.roles.contains(&role))
    }
}

impl Topology {
    /// The core of each role in the order of the flow, when the config gives cores.
    fn cores(&self) -> Result<Option<Vec<(Role, usize)>>, PlanError> {
        let shards = self.shards.or(self.matchers.as_ref().map(Vec::len));
        if let Some(shards) = shards.filter(|shards| !(1..=SHARDS_MAX).contains(shards)) {
            return Err(PlanError::Shards { shards });
        }
        let (feed, matchers, gateway, control) = match (self.feed, &self.matchers, self.gateway, self.control) {
            (None, None, None, None) if self.journal.is_none() => return Ok(None),
            (Some(feed), Some(matchers), Some(gateway), Some(control)) => (feed, matchers, gateway, control),
            (None, ..) => return Err(PlanError::Partial { missing: "feed" }),
            (_, None, ..) => return Err(PlanError::Partial { missing: "matchers" }),
            (_, _, None, _) => return Err(PlanError::Partial { missing: "gateway" }),
            (.., None) => return Err(PlanError::Partial { missing: "control" }),
        };
        if let Some(shards) = self.shards.filter(|shards| *shards != matchers.len()) {
            return Err(PlanError::Matchers { shards, matchers: matchers.len() });
        }
        let matchers = matchers.iter().enumerate().map(|(shard, core)| (Role::Matcher(shard), *core));
        let journal = self.journal.unwrap_or(control);
        let ends = [(Role::Gateway, gateway), (Role::Control, control), (Role::Journal, journal)];
        Ok(Some([(Role::Feed, feed)].into_iter().chain(matchers).chain(ends).collect()))
    }

    /// The idle strategy that the config gives a role.
    fn idle_of(&self, role: Role) -> Option<Idle> {
        let own = match role {
            Role::Feed => self.feed_idle,
            Role::Matcher(_) => self.matchers_idle,
            Role::Gateway => self.gateway_idle,
            Role::Control => self.control_idle,
            Role::Journal => self.journal_idle,
            Role::Tls => self.tls_idle,
        };
        own.or(self.idle)
    }

    /// The one idle strategy of agents that share a thread: the config's, or else `default`.
    fn idle_of_all(&self, roles: &[Role], default: Idle) -> Result<Idle, PlanError> {
        let mut given = roles.iter().filter_map(|role| Some((*role, self.idle_of(*role)?)));
        let Some((first, idle)) = given.next() else { return Ok(default) };
        match given.find(|(_, other)| *other != idle) {
            Some((second, other)) => Err(PlanError::Idles { first, second, idles: (idle, other) }),
            None => Ok(idle),
        }
    }
}

/// The core that the config gives a role.
fn core_of(machine: &Machine, role: Role, id: usize) -> Result<Core, PlanError> {
    let allowed = || machine.cores.iter().map(|core| core.id).collect();
    let core = machine.core(id).copied();
    core.ok_or_else(|| PlanError::Outside { key: role.key(), core: id, allowed: allowed() })
}

/// The plan that the config's cores make.
fn explicit(machine: &Machine, wish: &Topology, cores: &[(Role, usize)]) -> Result<Plan, PlanError> {
    let mut threads: Vec<(Core, Vec<Role>)> = vec![];
    for &(role, id) in cores {
        let core = core_of(machine, role, id)?;
        match threads.iter_mut().find(|(other, _)| other.id == id) {
            Some((_, roles)) => roles.push(role),
            None => threads.push((core, vec![role])),
        }
    }
    let planned = |(core, roles): (Core, Vec<Role>)| {
        let default = if core.isolated { Idle::Spin } else { Idle::Yield };
        let default = if machine.quota_millicores.is_some() { Idle::Park } else { default };
        Ok(PlannedThread { core: Some(core), idle: wish.idle_of_all(&roles, default)?, roles })
    };
    let threads = threads.into_iter().map(planned).collect::<Result<_, _>>()?;
    let shards = cores.iter().filter(|(role, _)| matches!(role, Role::Matcher(_))).count();
    Ok(Plan { threads, shards, reason: "as configured" })
}

/// A spinning thread has a physical core of its own, and the quota leaves time for all others.
fn check_spinning(machine: &Machine, plan: &Plan) -> Result<(), PlanError> {
    let spinning: Vec<&PlannedThread> = plan.threads.iter().filter(|thread| thread.idle == Idle::Spin).collect();
    let cores = automatic::one_per_physical(&machine.cores).len();
    if let Some(quota_millicores) = machine.quota_millicores.filter(|quota| spinning.len() as u64 * 1_000 >= *quota)
        && !spinning.is_empty()
    {
        return Err(PlanError::Quota { spinning: spinning.len(), quota_millicores });
    }
    let pinned: Vec<Core> = spinning.iter().filter_map(|thread| thread.core).collect();
    for (index, core) in pinned.iter().enumerate() {
        if let Some(other) = pinned[..index].iter().find(|other| other.physical == core.physical) {
            return Err(PlanError::Siblings { first: other.id, second: core.id });
        }
    }
    if spinning.len() > cores {
        return Err(PlanError::Cores { spinning: spinning.len(), cores });
    }
    Ok(())
}

impl Role {
    /// Its key in the config.
    fn key(self) -> &'static str {
        match self {
            Role::Feed => "feed",
            Role::Matcher(_) => "matchers",
            Role::Gateway => "gateway",
            Role::Control => "control",
            Role::Journal => "journal",
            Role::Tls => "tls",
        }
    }
}

impl fmt::Display for Role {
    /// The agent's name: `feed`, `matcher-0`, `gateway`, `control`, `journal`, `tls`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Matcher(shard) => write!(f, "matcher-{shard}"),
            other => f.write_str(other.key()),
        }
    }
}

impl PlannedThread {
    /// The names of its agents, joined by `+`.
    pub fn name(&self) -> String {
        self.roles.iter().map(Role::to_string).collect::<Vec<_>>().join("+")
    }
}

impl fmt::Display for Plan {
    /// The table shown at start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, shards) = (self.threads.len(), self.shards);
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(f, "topology: {threads} thread{}, {shards} shard{}", plural(threads), plural(shards))?;
        writeln!(f, " ({})", self.reason)?;
        write!(f, "  {:<16} {:<5}  agents", "core", "idle")?;
        for thread in &self.threads {
            let core = match thread.core {
                None => "any".to_string(),
                Some(core) if core.isolated => format!("{} isolated", core.id),
                Some(core) => core.id.to_string(),
            };
            write!(f, "\n  {core:<16} {:<5}  {}", thread.idle.name(), thread.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
