//! The sections of the config file: every key, its unit and its default. Times are nanoseconds, sizes bytes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use jiff::civil::Date;
use serde::Deserialize;

use super::values;
use crate::door::password::{Hash, Secret};
use crate::feed::settings::Join;
use crate::journal::writer::Durability;
use crate::limits;
use crate::model::Nanos;
use crate::soup::login::{Credentials, USER_SIZE};
use crate::soup::server::Deadlines;
use crate::tls::settings::ClientCertificates;

const MICROSECOND: Nanos = 1_000;
const MILLISECOND: Nanos = 1_000 * MICROSECOND;
const SECOND: Nanos = 1_000 * MILLISECOND;

/// `[feed]`: MoldUDP64 lines and what to do about gaps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// The first line. One of the two may be absent.
    pub line_a: Option<Line>,
    /// The second line.
    pub line_b: Option<Line>,
    /// Re-request servers, asked in turn. Default: none.
    #[serde(deserialize_with = "values::addresses")]
    pub rerequest: Vec<SocketAddrV4>,
    /// The only session accepted, padded with spaces. Default: the first one seen, and those that follow it.
    #[serde(deserialize_with = "values::session")]
    pub session: Option<[u8; 10]>,
    /// The sequence number to begin with. Default: the first one seen.
    #[serde(deserialize_with = "values::join")]
    pub join: Join,
    /// Zone of the feed's time of day. Default: New York.
    pub zone: String,
    /// Trading date. Default: today in the zone, taken anew at a session change.
    #[serde(deserialize_with = "values::date")]
    pub date: Option<Date>,
    /// Size asked of the kernel for each line's socket buffer; what it granted is shown at start.
    #[serde(deserialize_with = "values::size")]
    pub receive_buffer: u64,
    /// How long the other line may take to fill a gap before it is asked for.
    #[serde(deserialize_with = "values::duration")]
    pub other_line_wait: Nanos,
    /// How long a gap is waited for without progress before it is announced.
    #[serde(deserialize_with = "values::duration")]
    pub gap_deadline: Nanos,
    /// How long re-requests that make progress may hold the feed back in all.
    #[serde(deserialize_with = "values::duration")]
    pub gap_hold_max: Nanos,
    /// When a re-request without an answer is repeated, at the next server.
    #[serde(deserialize_with = "values::duration")]
    pub rerequest_retry: Nanos,
    /// Re-requests without an answer for one gap.
    pub rerequest_tries_max: u32,
    /// Least time between two re-requests.
    #[serde(deserialize_with = "values::duration")]
    pub rerequest_spacing: Nanos,
    /// Neither data nor heartbeat for so long: the feed is announced as silent.
    #[serde(deserialize_with = "values::duration")]
    pub silence: Nanos,
    /// Silence after which another session is accepted without an end of the current one.
    #[serde(deserialize_with = "values::duration")]
    pub session_silence: Nanos,
    /// By the command line only: a recorded file that has the day's past.
    #[serde(skip)]
    pub warm_up: Option<PathBuf>,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed {
            line_a: None,
            line_b: None,
            rerequest: vec![],
            session: None,
            join: Join::First,
            zone: "America/New_York".into(),
            date: None,
            receive_buffer: 8 << 20,
            other_line_wait: 2 * MILLISECOND,
            gap_deadline: 50 * MILLISECOND,
            gap_hold_max: SECOND,
            rerequest_retry: 10 * MILLISECOND,
            rerequest_tries_max: 4,
            rerequest_spacing: 20 * MICROSECOND,
            silence: 3 * SECOND,
            session_silence: 10 * SECOND,
            warm_up: None,
        }
    }
}

/// A line of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// A multicast group and port, or an own address and port for unicast (port 0: any free one, shown at start).
    #[serde(deserialize_with = "values::address")]
    pub address: SocketAddrV4,
    /// Multicast: address of the interface to join on. Default: the kernel's choice.
    pub interface: Option<Ipv4Addr>,
    /// Multicast: the only sender listened to. Default: any.
    pub source: Option<Ipv4Addr>,
}

/// `[control]`: the rule port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Address and port (0: any free one, shown at start).
    #[serde(deserialize_with = "values::listen")]
    pub listen: SocketAddr,
    /// Plain TCP on an address that is not loopback.
    pub allow_plaintext: bool,
    /// Connections at a time.
    pub sessions_max: usize,
    /// Requests of one login that may wait for their answers; then its bytes stay in the socket.
    pub requests_in_flight_max: usize,
    /// Requests of one login a second, and at once; what is beyond is refused. 0: no bound.
    pub requests_per_second_max: u32,
    /// Answers kept for each login, to be sent again after a reconnect.
    pub answers_kept: usize,
}

impl Default for Control {
    fn default() -> Control {
        Control {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7401)),
            allow_plaintext: false,
            sessions_max: 1_024,
            requests_in_flight_max: 1 << 16,
            requests_per_second_max: 0,
            answers_kept: 1 << 16,
        }
    }
}

/// `[gateway]`: the alert port and the alert log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Address and port (0: any free one, shown at start).
    #[serde(deserialize_with = "values::listen")]
    pub listen: SocketAddr,
    /// Plain TCP on an address that is not loopback.
    pub allow_plaintext: bool,
    /// Connections at a time.
    pub sessions_max: usize,
    /// Folder of the alert log, relative to the working directory.
    pub directory: PathBuf,
    /// Size of a segment of the log, in whole pages of 4 KiB.
    #[serde(deserialize_with = "values::size")]
    pub segment_size: u64,
    /// Size of the logs of all sessions together, at least two segments: what is older goes, and a client that lags further
    /// behind is cut.
    #[serde(deserialize_with = "values::size")]
    pub retention_size: u64,
    /// What is older than this goes too, a segment at a time.
    #[serde(deserialize_with = "values::duration")]
    pub retention_time: Nanos,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7402)),
            allow_plaintext: false,
            sessions_max: 1_024,
            directory: "alerts".into(),
            segment_size: 64 << 20,
            retention_size: 1 << 30,
            retention_time: limits::RETENTION_TIME,
        }
    }
}

/// `[journal]`: every change of the rules, on disk before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Its folder. Default: `journal` in that of the alert log.
    pub directory: Option<PathBuf>,
    /// When a change is acknowledged.
    pub durability: Durability,
    /// Size of a segment, about.
    #[serde(deserialize_with = "values::size")]
    pub segment_size: u64,
    /// Bytes of journal after which a snapshot of the rules is made, at least.
    #[serde(deserialize_with = "values::size")]
    pub snapshot_size: u64,
    /// Bytes of journal that are kept behind the newest snapshot, with the snapshot that they go on from.
    #[serde(deserialize_with = "values::size")]
    pub history_size: u64,
    /// By the command line only: start with what is whole of a damaged journal.
    #[serde(skip)]
    pub cuts_damage: bool,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            directory: None,
            durability: Durability::Sync,
            segment_size: 64 << 20,
            snapshot_size: 256 << 20,
            history_size: 4 << 30,
            cuts_damage: false,
        }
    }
}

/// `[tls]`: TLS 1.3 in front of either port or both. Without the section there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The engine's certificate and those between it and a root, PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Where rule clients come with TLS (port 0: any free one, shown at start). Default: nowhere.
    #[serde(default, deserialize_with = "values::some_listen")]
    pub control_listen: Option<SocketAddr>,
    /// Where alert clients come with TLS. Default: nowhere.
    #[serde(default, deserialize_with = "values::some_listen")]
    pub gateway_listen: Option<SocketAddr>,
    /// Whether clients show certificates. Default: none.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// Who may have signed clients' certificates, PEM.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Connections at a time on both, handshakes included.
    #[serde(default = "Tls::sessions_max")]
    pub sessions_max: usize,
}

impl Tls {
    fn sessions_max() -> usize {
        limits::TLS_SESSIONS_MAX
    }
}

/// `[clients]`: deadlines and limits of both ports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clients {
    /// From the connect to the whole login.
    #[serde(deserialize_with = "values::duration")]
    pub login_deadline: Nanos,
    /// From the first byte of a packet to its last.
    #[serde(deserialize_with = "values::duration")]
    pub half_packet_deadline: Nanos,
    /// Silence of a client after which it is cut.
    #[serde(deserialize_with = "values::duration")]
    pub silence_deadline: Nanos,
    /// Connections of one address at each port. 0: no bound.
    pub sessions_per_address_max: usize,
    /// Plain passwords in the config though a port listens on an address that is not loopback.
    pub allow_plain_passwords: bool,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            login_deadline: limits::SOUP_LOGIN_DEADLINE,
            half_packet_deadline: limits::SOUP_HALF_PACKET_DEADLINE,
            silence_deadline: limits::SOUP_SILENCE_DEADLINE,
            sessions_per_address_max: limits::SESSIONS_PER_ADDRESS_MAX,
            allow_plain_passwords: false,
        }
    }
}

impl Clients {
    /// As the connections take them.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            login: self.login_deadline,
            half_packet: self.half_packet_deadline,
            silence: self.silence_deadline,
            ..Deadlines::default()
        }
    }
}

/// `[[accounts]]`: who owns rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// 1 to 6 of a-z and 0-9.
    pub name: String,
    /// Who may come in for it, on either port. A user name belongs to one account.
    pub logins: Vec<Login>,
    /// Names in client certificates (a common name, or a DNS name among the alternative names) that stand for this account: who
    /// shows such a certificate may log in for this account only. A name stands for one account.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Sees the alerts of all accounts instead of its own.
    #[serde(default)]
    pub drop_copy: bool,
    /// Rules in each shard. Default: `limits.account_rules_max`.
    #[serde(default)]
    pub rules_max: Option<u32>,
}

/// A user name (1 to 6 characters), and its password (1 to 10) or the hash of one. Both are folded to small letters.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "LoginText")]
pub struct Login {
    /// The name, padded.
    pub user: [u8; USER_SIZE],
    /// What proves it.
    pub secret: Secret,
}

impl Login {
    /// The user name as text.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(self.user.trim_ascii()).into_owned()
    }

    /// True when the password itself stands in the config.
    pub fn is_plain(&self) -> bool {
        matches!(self.secret, Secret::Plain(_))
    }
}

impl From<Credentials> for Login {
    fn from(credentials: Credentials) -> Login {
        Login { user: credentials.user, secret: Secret::Plain(credentials.password) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginText {
    user: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    password_hash: Option<String>,
}

impl TryFrom<LoginText> for Login {
    type Error = String;

    fn try_from(text: LoginText) -> Result<Login, String> {
        // The password must not get into a message.
        let expected = "expected a user of 1 to 6 and a password of 1 to 10 printable ASCII characters without space";
        match (text.password, text.password_hash) {
            (Some(password), None) => Credentials::new(&text.user, &password).map(Login::from).ok_or(expected.into()),
            (None, Some(hash)) => {
                // The password here is a stand-in.
                let user = Credentials::new(&text.user, "-").ok_or(expected)?.user;
                let secret = Hash::read(&hash).map(Secret::Hash).map_err(|error| error.to_string())?;
                Ok(Login { user, secret })
            }
            _ => Err("expected either password or password_hash with a user".into()),
        }
    }
}

/// `[limits]`: what each shard reserves at start, so that it allocates nothing later.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Rules of a shard; a set beyond is refused.
    pub rules_max: u32,
    /// Rules of one account in a shard.
    pub account_rules_max: u32,
    /// Symbols that rules of a shard may name beyond those of the feed.
    pub symbols_max: u32,
    /// Living orders of a shard.
    pub orders_max: u32,
    /// Price levels of all books of a shard.
    pub levels_max: u32,
    /// Different combinations of rearm, cooldown and max_fires in a shard.
    pub policies_max: u32,
    /// Accounts that may be added while the engine runs: each reserves an index of the alert log.
    pub accounts_spare: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rules_max: 1 << 20,
            account_rules_max: 1 << 20,
            symbols_max: 1 << 16,
            orders_max: 1 << 21,
            levels_max: 1 << 20,
            policies_max: 1 << 16,
            accounts_spare: limits::ACCOUNTS_SPARE,
        }
    }
}

/// `[memory]`: what is asked of the kernel for the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Fault in and lock at start all that was reserved, so that no tick ever waits for a page. Default: no.
    pub lock: bool,
}

/// `[watchdog]`: an agent that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// Without a duty cycle for so long an agent stands still.
    #[serde(deserialize_with = "values::duration")]
    pub stalled_after: Nanos,
    /// What follows.
    pub action: StallAction,
}

/// What follows when an agent stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StallAction {
    /// It is named in the log.
    #[default]
    Report,
    /// It is named, and the process aborts: for a supervisor that starts it again.
    Abort,
}

impl Default for Watchdog {
    fn default() -> Watchdog {
        Watchdog { stalled_after: SECOND, action: StallAction::Report }
    }
}

/// `[stats]`: counters and histograms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stats {
    /// The mapped file. One engine a file. Default: in memory (`/dev/shm`), where no disk delays a store.
    pub file: PathBuf,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats { file: "/dev/shm/hairtrigger.stats".into() }
    }
}
