//! What the feed is told: lines, where to join, how long to wait.

use crate::model::Nanos;

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first multicast line.
    A,
    /// The second.
    B,
    /// The socket on which re-request servers answer.
    Rerequest,
    /// A recorded file that is read as the past of the feed. No socket.
    File,
}

impl Line {
    /// True for the lines themselves: what they bring says where the feed is.
    pub fn is_live(self) -> bool {
        matches!(self, Line::A | Line::B)
    }
}

/// Where the first session is joined. Later sessions begin at number 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// At the first sequence seen.
    First,
    /// At this number; what is missed of it is asked for however long that takes, as long as answers come. A session
    /// that follows is caught up likewise.
    At(u64),
}

/// Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct ArbiterSettings {
    /// The only session accepted; `None`: the first packet tells it, and another may follow it.
    pub session: Option<[u8; 10]>,
    /// Where to join.
    pub join: Join,
    /// How long the other line may take before a gap is asked for (or given up, where there is no server).
    pub line_wait: Nanos,
    /// How long a gap is waited for without progress.
    pub gap_wait: Nanos,
    /// How long re-request servers may hold the feed while they make progress, history at a join aside.
    pub held_max: Nanos,
    /// When a request without an answer is repeated, at the next server.
    pub retry: Nanos,
    /// Requests without an answer for one gap.
    pub tries_max: u32,
    /// Least time between two requests of any kind.
    pub request_spacing: Nanos,
    /// Re-request servers; 0: nobody is asked.
    pub servers: usize,
    /// Neither data nor heartbeat on any line for so long: the feed is silent.
    pub silence: Nanos,
    /// The current session silent for so long: another id is accepted without an end of session.
    pub session_silence: Nanos,
}

impl Default for ArbiterSettings {
    fn default() -> ArbiterSettings {
        const MS: Nanos = 1_000_000;
        ArbiterSettings {
            session: None,
            join: Join::First,
            line_wait: 2 * MS,
            gap_wait: 50 * MS,
            held_max: 1_000 * MS,
            retry: 10 * MS,
            tries_max: 4,
            request_spacing: MS / 50,
            servers: 0,
            silence: 3_000 * MS,
            session_silence: 10_000 * MS,
        }
    }
}
