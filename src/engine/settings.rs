//! From the config, which is written for people, to what each agent is given.

use std::net::Ipv4Addr;

use jiff::civil::Date;

use crate::config::{Account, Config, Line, midnight_utc, today};
use crate::control::agent::{ControlSettings, LoginSettings};
use crate::control::wire::ANSWER_SIZE_MAX;
use crate::feed::agent::FeedSettings;
use crate::feed::settings::ArbiterSettings;
use crate::feed::socket::LineSettings;
use crate::gateway::logs::Retention;
use crate::gateway::settings::{AccountLogin, GatewaySettings};
use crate::matcher::rules::RuleLimits;
use crate::matcher::shard::ShardLimits;
use crate::model::{AccountId, Nanos};
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
            join: feed.join,
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
    let of_account = |account: &Account| account.rules_max.unwrap_or(limits.account_rules_max);
    ShardLimits {
        rules: RuleLimits {
            rules_max: limits.rules_max as usize,
            account_rules_max: config.accounts.iter().map(of_account).collect(),
            policies_max: limits.policies_max as usize,
            fixed: true,
        },
        symbols_max: limits.symbols_max as usize,
        orders_max: limits.orders_max as usize,
        levels_max: limits.levels_max as usize,
    }
}

/// The accounts with their numbers: their positions in the config.
fn numbered(config: &Config) -> impl Iterator<Item = (AccountId, &Account)> {
    (0..).zip(&config.accounts)
}

/// Who the engine is in TLS, where it has TLS, and whose certificates it knows.
/// `accounts`: the names of the running engine's accounts, by number.
pub fn identity(config: &Config, accounts: &[String]) -> Option<IdentitySettings> {
    let tls = config.tls.as_ref()?;
    let named = |of: &Account| {
        let account = (0..).zip(accounts).find(|(_, name)| **name == of.name);
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
pub fn control(config: &Config, session: SessionId) -> ControlSettings {
    let control = &config.control;
    let logins = numbered(config).flat_map(|(account, of)| {
        let login = move |credentials| LoginSettings { credentials, account, may_change: !of.drop_copy };
        of.logins.iter().map(move |found| login(found.0))
    });
    ControlSettings {
        listen: control.listen,
        session,
        logins: logins.collect(),
        sessions_max: control.sessions_max,
        answer_ring_size: control.answers_kept * (HEADER_SIZE + ANSWER_SIZE_MAX),
        requests_in_flight_max: control.requests_in_flight_max,
        requests_per_second_max: control.requests_per_second_max,
        deadlines: config.clients.deadlines(),
    }
}

/// The gateway's.
pub fn gateway(config: &Config) -> GatewaySettings {
    let gateway = &config.gateway;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    let accounts = numbered(config).map(|(account, of)| AccountLogin {
        name: of.name.clone(),
        account,
        logins: of.logins.iter().map(|login| (text(&login.0.user), text(&login.0.password))).collect(),
        drop_copy: of.drop_copy,
    });
    GatewaySettings {
        segment_size: gateway.segment_size as usize,
        retention: Retention { size: gateway.retention_size, time: gateway.retention_time },
        sessions_max: gateway.sessions_max,
        deadlines: config.clients.deadlines(),
        ..GatewaySettings::new(gateway.listen, gateway.directory.clone(), accounts.collect())
    }
}
