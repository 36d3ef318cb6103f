//! Who there is: the engine's accounts, the clients of each, and where they come from.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hairtrigger::soup::login::{Credentials, Login, SessionId};

use crate::crowd::{Manner, Member};
use crate::{Fault, PASSWORD};

/// The users that are measured: one reader that came before all others, one that came after them,
pub const READERS: [&str; 2] = ["first", "last"];
/// and who logs in and out.
pub const VISITOR: &str = "valid";
/// Bystanders of one address.
const PER_ADDRESS: usize = 16;

/// Clients that log in. They have numbers: those that read, then those that never do, then the slow ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct Bystanders {
    /// Clients that read
    #[arg(long)]
    pub good: usize,
    /// Clients that never read
    #[arg(long)]
    pub unread: usize,
    /// Clients that send a byte a second: half of them their heartbeats, half of them their login
    #[arg(long)]
    pub slow: usize,
    /// All of them behave well
    #[arg(long)]
    pub behaved: bool,
}

impl Bystanders {
    /// All of them.
    pub fn count(&self) -> usize {
        self.good + self.unread + self.slow
    }

    /// A user of the account whose clients read, and one of that whose clients do not.
    pub fn users(&self) -> [String; 2] {
        [user(0), user(self.good)]
    }

    fn manner(&self, number: usize) -> Manner {
        match number {
            _ if self.behaved || number < self.good => Manner::Good,
            _ if number < self.good + self.unread => Manner::Unread,
            _ if number.is_multiple_of(2) => Manner::SlowBeat,
            _ => Manner::SlowLogin,
        }
    }

    /// As clients of the engine. The slow ones go to both ports.
    pub fn members(&self, [rules, alerts]: [SocketAddr; 2]) -> Result<Vec<Member>, Fault> {
        let member = |number| {
            let manner = self.manner(number);
            let is_slow = matches!(manner, Manner::SlowBeat | Manner::SlowLogin);
            let to = if is_slow && (number / 2).is_multiple_of(2) { rules } else { alerts };
            // Who never reads wants all that there is; the others what comes.
            let login = login(&user(number), u64::from(manner == Manner::Unread))?;
            Ok(Member { manner, from: address(1, number / PER_ADDRESS), to, login })
        };
        (0..self.count()).map(member).collect()
    }
}

/// Connections that never log in, of so many addresses, to both ports.
pub fn attackers(count: usize, addresses: usize, ports: [SocketAddr; 2]) -> Result<Vec<Member>, Fault> {
    let login = login("nobody", 1)?;
    let member = |number: usize| {
        let round = number / addresses;
        let manner = if number.is_multiple_of(2) { Manner::Silent } else { Manner::HalfLogin };
        Member { manner, from: address(2, number % addresses), to: ports[round % 2], login: login.clone() }
    };
    Ok((0..count).map(member).collect())
}

/// Writes the engine's config: limits of addresses and deadlines as they are by default.
pub fn write_config(folder: &Path, everyone: &Bystanders, sessions: usize, idle: &str) -> Result<PathBuf, Fault> {
    let (path, alerts, stats) = (folder.join("engine.toml"), folder.join("alerts"), folder.join("stats"));
    let mut text = format!(
        "[feed]\nline_a = {{ address = \"127.0.0.1:0\" }}\ndate = \"2020-01-30\"\ngap_deadline = \"10ms\"\nother_line_wait = \"1ms\"\n\
         [control]\nlisten = \"127.0.0.1:0\"\nsessions_max = {sessions}\nanswers_kept = 1024\nrequests_in_flight_max = 1024\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\nsessions_max = {sessions}\ndirectory = {alerts:?}\n\
         [limits]\nrules_max = 1024\naccount_rules_max = 1024\nsymbols_max = 64\norders_max = 64\nlevels_max = 64\npolicies_max = 16\n\
         [topology]\nshards = 1\nidle = {idle:?}\n\
         [stats]\nfile = {stats:?}\n"
    );
    let (behind, all) = (everyone.good + everyone.unread, everyone.count());
    let accounts = [
        ("meas", READERS.map(String::from).to_vec()),
        ("valid", vec![VISITOR.into()]),
        ("crowd", (0..everyone.good).chain(behind..all).map(user).collect()),
        ("heap", (everyone.good..behind).map(user).collect()),
    ];
    for (name, users) in accounts {
        let logins = users.iter().map(|user| format!("{{ user = {user:?}, password = {PASSWORD:?} }}"));
        write!(text, "[[accounts]]\nname = {name:?}\nlogins = [{}]\n", logins.collect::<Vec<_>>().join(", "))?;
    }
    std::fs::write(&path, text)?;
    Ok(path)
}

fn user(number: usize) -> String {
    format!("u{number}")
}

/// 127.`net`.x.y: limits go by address.
fn address(net: u8, number: usize) -> Ipv4Addr {
    let [.., high, low] = (number as u32 + 1).to_be_bytes();
    Ipv4Addr::new(127, net, high, low)
}

fn login(user: &str, sequence: u64) -> Result<Vec<u8>, Fault> {
    let credentials = Credentials::new(user, PASSWORD).ok_or("a user name that does not fit")?;
    let login = Login { credentials, session: SessionId::CURRENT, sequence, heartbeat_timeout_ms: None };
    Ok(login.packet().to_vec())
}
