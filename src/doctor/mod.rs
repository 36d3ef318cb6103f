//! The doctor: what about this host costs latency, and the command that changes it. It changes nothing.
//!
//! Everything is read under a root that is an argument, so recorded machines are examined as this one is. A check is a
//! function from a [`Host`] to a [`Finding`]; what the kernel does not show is *unseen*, never well.
//!
//! | file | checks |
//! |---|---|
//! | `cores` | who else runs on the engine's cores |
//! | `power` | cores that slow down or sleep, and what the clock costs |
//! | `memory` | pages that move or go |
//! | `network` | what stands between the wire and a socket |

mod cores;
mod host;
mod memory;
mod network;
mod power;
#[cfg(test)]
mod tests;

pub use host::Host;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Well,
    /// It costs latency.
    Costs,
    /// The host does not show it.
    Unseen,
}

impl State {
    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            State::Well => "well",
            State::Costs => "costs",
            State::Unseen => "unseen",
        }
    }
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check's name: sections of `tuning.md` refer to it.
    pub check: &'static str,
    /// How it ended.
    pub state: State,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub wanted: &'static str,
    /// What it costs otherwise.
    pub why: &'static str,
    /// What changes it (or shows it, where it is unseen). Empty: nothing on this host does.
    pub command: String,
}

/// What a check has seen: how it ended and the words for it.
type Seen = (State, String);

/// A check with what does not depend on the host.
struct Check {
    name: &'static str,
    wanted: &'static str,
    why: &'static str,
    /// `CORES` stands for the engine's cores, `BUFFER` for the bytes of receive buffer that it asks for.
    command: &'static str,
    look: fn(&Host) -> Seen,
}

/// All checks, in the order of the report.
fn checks() -> impl Iterator<Item = &'static Check> {
    [cores::CHECKS, power::CHECKS, memory::CHECKS, network::CHECKS].into_iter().flatten()
}

/// Examines a host.
pub fn examine(host: &Host) -> Vec<Finding> {
    let finding = |check: &Check| {
        let (state, found) = (check.look)(host);
        let command = match state {
            State::Well => String::new(),
            State::Costs | State::Unseen => filled(check.command, host),
        };
        Finding { check: check.name, state, found, wanted: check.wanted, why: check.why, command }
    };
    checks().map(finding).collect()
}

fn filled(command: &str, host: &Host) -> String {
    command.replace("CORES", &host::list(host.cores())).replace("BUFFER", &host.receive_buffer().to_string())
}

/// Well when `well`, else it costs.
fn judged(well: bool, found: impl Into<String>) -> Seen {
    (if well { State::Well } else { State::Costs }, found.into())
}

fn unseen(found: impl Into<String>) -> Seen {
    (State::Unseen, found.into())
}
