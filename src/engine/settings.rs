//! From the config, which is written for people, to what each agent is given.

use std::net::Ipv4Addr;

use jiff::civil::Date;

use crate::config::{Account, Config, Line, midnight_utc, today};
use crate::control::agent::ControlSettings;
use crate::control::wire::ANSWER_SIZE_MAX;
use crate::door::{ClientLimits, Pass};
use crate::feed::agent::FeedSettings;
use crate::feed::settings::{ArbiterSettings, Join};
use crate::feed::socket::LineSettings;
use crate::gateway::logs::Retention;
use crate::gateway::settings::GatewaySettings;
use crate::limits::DESCRIPTORS_RESERVED;
use crate::matcher::rules::RuleLimits;
use crate::matcher::shard::ShardLimits;
use crate::model::{AccountName, Nanos};
use crate::partition::MidnightOf;
use crate::soup::login::SessionId;
use crate::soup::packet::HEADER_SIZE;
use crate::tls::settings::IdentitySettings;

/// The feed's.
pub fn feed(config: &Config) -> FeedSettings {
    let feed = &config.feed;
    let line = |line: &Line| LineSettings {
        address: line.address,
        interface: line.interface.unwrap_or(Ipv4Addr::UNSPECIFIED),
        source: line.source,
    };
    FeedSettings {
        line_a: feed.line_a.as_ref().map(line),
        line_b: feed.line_b.as_ref().map(line),
        rerequest: feed.rerequest.clone(),
        arbiter: ArbiterSettings {
            session: feed.session,
            // A file has the day from its start, or says where it begins.
            join: if feed.warm_up.is_some() { Join::At(1) } else { feed.join },
            line_wait: feed.other_line_wait,
            gap_wait: feed.gap_deadline,
            held_max: feed.gap_hold_max,
            retry: feed.rerequest_retry,
            tries_max: feed.rerequest_tries_max,
            request_spacing: feed.rerequest_spacing,
            servers: feed.rerequest.len(),
            silence: feed.silence,
            session_silence: feed.session_silence,
        },
        receive_buffer: feed.receive_buffer as usize,
    }
}

/// What the feed's stamps count from: midnight of the configured date, or of the date in the zone when a session begins.
pub fn midnight_of(config: &Config) -> MidnightOf {
    let (zone, date) = (config.feed.zone.clone(), config.feed.date);
    Box::new(move |ts_recv: Nanos| {
        let date: Option<Date> = date.or_else(|| today(ts_recv, &zone).ok());
        // Zone and date were checked when the config was read; a clock before 1970 leaves plain times of day.
        date.and_then(|date| midnight_utc(date, &zone).ok()).unwrap_or(0)
    })
}

/// A shard's.
pub fn shard(config: &Config) -> ShardLimits {
    let limits = &config.limits;
    // Those that may come later have none until they do.
    let mut account_rules_max: Vec<u32> = config.accounts.iter().map(|account| rules_max(config, account)).collect();
    account_rules_max.resize(accounts_max(config), 0);
    ShardLimits {
        rules: RuleLimits {
            rules_max: limits.rules_max as usize,
            account_rules_max,
            policies_max: limits.policies_max as usize,
            fixed: true,
        },
        symbols_max: limits.symbols_max as usize,
        orders_max: limits.orders_max as usize,
        levels_max: limits.levels_max as usize,
    }
}

/// An account's name as it is written down. The config holds names to 6 bytes.
pub fn padded(name: &str) -> AccountName {
    let mut bytes = [b' '; 6];
    bytes.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    bytes
}

/// Rules that an account may have in a shard.
pub fn rules_max(config: &Config, account: &Account) -> u32 {
    account.rules_max.unwrap_or(config.limits.account_rules_max)
}

/// Accounts that there may be, with those that are added while the engine runs.
pub fn accounts_max(config: &Config) -> usize {
    config.accounts.len() + config.limits.accounts_spare
}

/// What clients may do.
pub fn client_limits(config: &Config) -> ClientLimits {
    ClientLimits {
        sessions_per_address_max: config.clients.sessions_per_address_max,
        requests_per_second_max: config.control.requests_per_second_max,
        deadlines: config.clients.deadlines(),
    }
}

/// What the ports are told of who there is: logins and accounts by number, and how many descriptors the process may have.
pub struct Ports<'a> {
    pub logins: &'a [Pass],
    pub accounts: &'a [AccountName],
    pub descriptors: usize,
}

impl Ports<'_> {
    fn descriptors_max(&self) -> usize {
        self.descriptors.saturating_sub(DESCRIPTORS_RESERVED)
    }

    /// A port's connections. Where there are too few descriptors for those of both each has its part: else whoever fills one
    /// port would shut the other.
    fn sessions_max(&self, config: &Config, own: usize) -> usize {
        let both = config.control.sessions_max + config.gateway.sessions_max;
        if both <= self.descriptors_max() { own } else { (own * self.descriptors_max() / both).max(1) }
    }
}

/// Who the engine is in TLS, where it has TLS, and whose certificates it knows.
/// `accounts`: the names of the running engine's accounts, by number.
pub fn identity(config: &Config, accounts: &[AccountName]) -> Option<IdentitySettings> {
    let tls = config.tls.as_ref()?;
    let named = |of: &Account| {
        let account = (0..).zip(accounts).find(|(_, name)| **name == padded(&of.name));
        let names = of.certificates.clone().into_iter();
        names.filter_map(move |name| Some((name, account?.0)))
    };
    Some(IdentitySettings {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
        client_certificates: tls.client_certificates,
        accounts: config.accounts.iter().flat_map(named).collect(),
    })
}

/// Control's. `session` is that of the answer streams.
pub fn control(config: &Config, ports: &Ports, session: SessionId) -> ControlSettings {
    let control = &config.control;
    ControlSettings {
        listen: control.listen,
        session,
        logins: ports.logins.to_vec(),
        sessions_max: ports.sessions_max(config, control.sessions_max),
        answer_ring_size: control.answers_kept * (HEADER_SIZE + ANSWER_SIZE_MAX),
        requests_in_flight_max: control.requests_in_flight_max,
        limits: client_limits(config),
        descriptors_max: ports.descriptors_max(),
    }
}

/// The gateway's.
pub fn gateway(config: &Config, ports: &Ports) -> GatewaySettings {
    let gateway = &config.gateway;
    let (directory, logins) = (gateway.directory.clone(), ports.logins.to_vec());
    GatewaySettings {
        segment_size: gateway.segment_size as usize,
        retention: Retention { size: gateway.retention_size, time: gateway.retention_time },
        sessions_max: ports.sessions_max(config, gateway.sessions_max),
        limits: client_limits(config),
        descriptors_max: ports.descriptors_max(),
        accounts_spare: config.limits.accounts_spare,
        ..GatewaySettings::new(gateway.listen, directory, ports.accounts.to_vec(), logins)
    }
}

/// What people should know of the clients' side at start.
pub fn client_notes(config: &Config, descriptors: usize) -> Vec<String> {
    let plain = config.accounts.iter().flat_map(|account| &account.logins).filter(|login| login.is_plain()).count();
    let plain = (plain > 0).then(|| {
        format!("accounts: {plain} passwords stand in the config as they are; `hairtrigger account hash` makes hashes of them")
    });
    let sessions = config.control.sessions_max + config.gateway.sessions_max;
    let few = (descriptors.saturating_sub(DESCRIPTORS_RESERVED) < sessions).then(|| {
        format!(
            "connections: fewer than the {sessions} configured: the process may have {descriptors} files (ulimit -n)"
        )
    });
    plain.into_iter().chain(few).collect()
}
