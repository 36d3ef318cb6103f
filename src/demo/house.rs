//! The folder and the config of a demo's engine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use crate::config::{
    Account, Clients, Config, Control, DayError, Feed, Gateway, Journal, Limits, Line, Login, Memory, Stats, Watchdog,
    today,
};
use crate::feed::settings::Join;
use crate::journal::writer::Durability;
use crate::model::Nanos;
use crate::plan::Topology;
use crate::soup::login::Credentials;

/// Who sets the rules and gets the alerts.
pub const LOGIN: (&str, &str) = ("demo", "secret");
/// The feed's session.
pub const SESSION: [u8; 10] = *b"HAIRTRIG01";
/// A gap waits longer here than by default: on one busy core the re-request server may not get to run at once.
const GAP_DEADLINE: Nanos = 2_000_000_000;
/// Size of a segment of the alert log, and of the log.
const LOG_SIZES: (u64, u64) = (8 << 20, 256 << 20);

/// A folder of its own for the alert log and the stats file; removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one in the system's folder for temporary files.
    ///
    /// # Errors
    /// The system's.
    pub fn new(now: Nanos) -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("hairtrigger-demo-{}-{now}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays: nobody is left to be told.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A free port of the loopback interface.
const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

/// The config: what `run` would read from a file.
///
/// # Errors
/// [`DayError`]: the machine's clock is far off.
pub fn config(folder: &Folder, rerequest: Option<SocketAddr>, now: Nanos) -> Result<Config, DayError> {
    let line = || Some(Line { address: ANY, interface: None, source: None });
    let feed = Feed::default();
    let date = Some(today(now, &feed.zone)?);
    let rerequest = rerequest.into_iter().filter_map(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    });
    let logins = Credentials::new(LOGIN.0, LOGIN.1).map(Login::from).into_iter().collect();
    Ok(Config {
        feed: Feed {
            line_a: line(),
            line_b: line(),
            rerequest: rerequest.collect(),
            session: Some(SESSION),
            join: Join::At(1),
            date,
            gap_deadline: GAP_DEADLINE,
            gap_hold_max: 2 * GAP_DEADLINE,
            rerequest_tries_max: 100,
            ..feed
        },
        control: Control { listen: ANY.into(), ..Control::default() },
        gateway: Gateway {
            listen: ANY.into(),
            directory: folder.path().join("alerts"),
            segment_size: LOG_SIZES.0,
            retention_size: LOG_SIZES.1,
            ..Gateway::default()
        },
        // The demonstration measures the engine, and its folder goes with it: no disk is waited for.
        journal: Journal { durability: Durability::Process, ..Journal::default() },
        tls: None,
        clients: Clients::default(),
        accounts: vec![Account {
            name: LOGIN.0.into(),
            logins,
            certificates: vec![],
            drop_copy: false,
            rules_max: None,
        }],
        limits: Limits { rules_max: 1 << 17, account_rules_max: 1 << 17, ..Limits::default() },
        topology: Topology::default(),
        stats: Stats { file: folder.path().join("stats") },
        memory: Memory::default(),
        watchdog: Watchdog::default(),
    })
}
