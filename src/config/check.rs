//! What one value cannot know: bounds, and keys that contradict each other. The first objection is told.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use jiff::SignedDuration;

use super::sections::{Account, Feed, Gateway, Line, Login, Tls};
use super::{Config, Objection, day};
use crate::limits::{
    ACCOUNT_CERTIFICATES_MAX, ACCOUNTS_MAX, ACCOUNTS_SPARE_MAX, ANSWERS_KEPT_MAX, JOURNAL_SIZE_MAX, LOGINS_MAX,
    ORDERS_MAX, POLICIES_MAX, RECEIVE_BUFFER_MAX, REREQUEST_SERVERS_MAX, RETENTION_TIME_MAX, RETENTION_TIME_MIN,
    RULES_MAX, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, SESSIONS_MAX, SOUP_SILENCE_MAX, SOUP_SILENCE_MIN, STALLED_AFTER_MIN,
    SYMBOLS_MAX, WAIT_MAX,
};
use crate::tls::settings::ClientCertificates;

type Check = Result<(), Objection>;

pub(super) fn check(config: &Config) -> Check {
    check_feed(&config.feed)?;
    check_ports(config)?;
    config.tls.as_ref().map_or(Ok(()), |tls| check_tls(tls, config))?;
    check_log(&config.gateway)?;
    within("journal.segment_size", config.journal.segment_size, SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX)?;
    within("journal.snapshot_size", config.journal.snapshot_size, SEGMENT_SIZE_MIN..=JOURNAL_SIZE_MAX)?;
    within("journal.history_size", config.journal.history_size, 0..=JOURNAL_SIZE_MAX)?;
    check_clients(config)?;
    check_accounts(&config.accounts)?;
    check_certificates(config)?;
    check_passwords(config)?;
    lasts("watchdog.stalled_after", config.watchdog.stalled_after, STALLED_AFTER_MIN..=WAIT_MAX)?;
    check_limits(config)
}

/// An objection to the value at a dotted path.
fn objection(path: &str, message: impl Into<String>) -> Check {
    Err(Objection { path: path.split('.').map(str::to_string).collect(), message: message.into() })
}

fn within(path: &str, value: u64, range: RangeInclusive<u64>) -> Check {
    if range.contains(&value) {
        return Ok(());
    }
    objection(path, format!("{value}: expected {} to {}", range.start(), range.end()))
}

fn lasts(path: &str, value: u64, range: RangeInclusive<u64>) -> Check {
    if range.contains(&value) {
        return Ok(());
    }
    let text = |ns: &u64| format!("{:#}", SignedDuration::from_nanos(i64::try_from(*ns).unwrap_or(i64::MAX)));
    objection(path, format!("{}: expected {} to {}", text(&value), text(range.start()), text(range.end())))
}

fn check_feed(feed: &Feed) -> Check {
    if feed.line_a.is_none() && feed.line_b.is_none() {
        return objection("feed", "expected line_a, line_b or both");
    }
    for (path, line) in [("feed.line_a", &feed.line_a), ("feed.line_b", &feed.line_b)] {
        line.as_ref().map_or(Ok(()), |line| check_line(path, line))?;
    }
    let free = |line: &Line| line.address.port() == 0;
    if feed.line_a.is_some() && feed.line_a == feed.line_b && !feed.line_b.as_ref().is_some_and(free) {
        return objection("feed.line_b", "is the same as line_a");
    }
    within("feed.rerequest", feed.rerequest.len() as u64, 0..=REREQUEST_SERVERS_MAX as u64)?;
    if let Some(index) = feed.rerequest.iter().position(|server| server.port() == 0 || server.ip().is_multicast()) {
        return objection(&format!("feed.rerequest.{index}"), "expected a unicast address and a port from 1");
    }
    day::today(0, &feed.zone)
        .or_else(|error| objection("feed.zone", error.to_string()).map(|()| Default::default()))?;
    if let Some(Err(error)) = feed.date.map(|date| day::midnight_utc(date, &feed.zone)) {
        return objection("feed.date", error.to_string());
    }
    within("feed.receive_buffer", feed.receive_buffer, 4_096..=RECEIVE_BUFFER_MAX)?;
    within("feed.rerequest_tries_max", feed.rerequest_tries_max.into(), 1..=1_000)?;
    check_waits(feed)
}

fn check_line(path: &str, line: &Line) -> Check {
    let multicast = line.address.ip().is_multicast();
    if multicast && line.address.port() == 0 {
        return objection(&format!("{path}.address"), "expected a port from 1 with a multicast group");
    }
    for (key, given) in [("interface", line.interface.is_some()), ("source", line.source.is_some())] {
        if given && !multicast {
            return objection(
                &format!("{path}.{key}"),
                "only a multicast address (224.0.0.0 to 239.255.255.255) has one",
            );
        }
    }
    Ok(())
}

fn check_waits(feed: &Feed) -> Check {
    lasts("feed.other_line_wait", feed.other_line_wait, 0..=feed.gap_deadline)?;
    lasts("feed.gap_deadline", feed.gap_deadline, 1..=WAIT_MAX)?;
    lasts("feed.gap_hold_max", feed.gap_hold_max, feed.gap_deadline..=WAIT_MAX)?;
    lasts("feed.rerequest_retry", feed.rerequest_retry, 1..=feed.gap_deadline)?;
    lasts("feed.rerequest_spacing", feed.rerequest_spacing, 0..=feed.gap_deadline)?;
    lasts("feed.silence", feed.silence, 1..=WAIT_MAX)?;
    lasts("feed.session_silence", feed.session_silence, feed.silence..=WAIT_MAX)
}

fn check_ports(config: &Config) -> Check {
    let (control, gateway) = (&config.control, &config.gateway);
    check_plaintext("control.listen", control.listen, control.allow_plaintext)?;
    check_plaintext("gateway.listen", gateway.listen, gateway.allow_plaintext)?;
    if control.listen == gateway.listen && gateway.listen.port() != 0 {
        return objection("gateway.listen", "is the same as control.listen");
    }
    within("control.sessions_max", control.sessions_max as u64, 1..=SESSIONS_MAX as u64)?;
    within("gateway.sessions_max", gateway.sessions_max as u64, 1..=SESSIONS_MAX as u64)?;
    within("control.answers_kept", control.answers_kept as u64, 1..=ANSWERS_KEPT_MAX as u64)?;
    within("control.requests_in_flight_max", control.requests_in_flight_max as u64, 1..=control.answers_kept as u64)
}

fn check_plaintext(path: &str, listen: SocketAddr, allow_plaintext: bool) -> Check {
    if listen.ip().is_loopback() || allow_plaintext {
        return Ok(());
    }
    objection(
        path,
        "plain TCP is served on loopback only (127.0.0.1), unless allow_plaintext = true stands in this section",
    )
}

fn check_tls(tls: &Tls, config: &Config) -> Check {
    if tls.control_listen.is_none() && tls.gateway_listen.is_none() {
        return objection("tls", "expected control_listen, gateway_listen or both");
    }
    let plain = [("control.listen", config.control.listen), ("gateway.listen", config.gateway.listen)];
    let mut taken: Vec<(&str, SocketAddr)> = plain.into();
    for (path, listen) in [("tls.control_listen", tls.control_listen), ("tls.gateway_listen", tls.gateway_listen)] {
        let Some(listen) = listen else { continue };
        if let Some((other, _)) = taken.iter().find(|(_, other)| *other == listen && listen.port() != 0) {
            return objection(path, format!("is the same as {other}"));
        }
        taken.push((path, listen));
    }
    match (tls.client_certificates, &tls.client_ca) {
        (ClientCertificates::None, Some(_)) => {
            objection("tls.client_ca", "client_certificates = \"optional\" or \"required\" is missing")
        }
        (ClientCertificates::Optional | ClientCertificates::Required, None) => {
            objection("tls.client_certificates", "expected client_ca beside it: who may have signed them")
        }
        _ => within("tls.sessions_max", tls.sessions_max as u64, 1..=SESSIONS_MAX as u64),
    }
}

fn check_certificates(config: &Config) -> Check {
    let are_asked_for = config.tls.as_ref().is_some_and(|tls| tls.client_certificates != ClientCertificates::None);
    let mut names = HashSet::new();
    for (index, account) in config.accounts.iter().enumerate() {
        let path = format!("accounts.{index}.certificates");
        within(&path, account.certificates.len() as u64, 0..=ACCOUNT_CERTIFICATES_MAX as u64)?;
        if !account.certificates.is_empty() && !are_asked_for {
            return objection(&path, "nobody is asked for one: see tls.client_certificates");
        }
        for (number, name) in account.certificates.iter().enumerate() {
            let path = format!("{path}.{number}");
            if name.is_empty() {
                return objection(&path, "expected a name in a certificate");
            }
            if !names.insert(name) {
                return objection(&path, format!("\"{}\" stands for an account already", name.escape_default()));
            }
        }
    }
    Ok(())
}

fn check_log(gateway: &Gateway) -> Check {
    let (segment, retention) = (gateway.segment_size, gateway.retention_size);
    within("gateway.segment_size", segment, SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX)?;
    if !segment.is_multiple_of(4_096) {
        return objection("gateway.segment_size", format!("{segment}: expected a multiple of 4096"));
    }
    if retention < 2 * segment {
        let least = 2 * segment;
        return objection("gateway.retention_size", format!("{retention}: expected two segments ({least}) or more"));
    }
    lasts("gateway.retention_time", gateway.retention_time, RETENTION_TIME_MIN..=RETENTION_TIME_MAX)
}

fn check_clients(config: &Config) -> Check {
    let clients = &config.clients;
    lasts("clients.login_deadline", clients.login_deadline, 1..=WAIT_MAX)?;
    lasts("clients.half_packet_deadline", clients.half_packet_deadline, 1..=WAIT_MAX)?;
    lasts("clients.silence_deadline", clients.silence_deadline, SOUP_SILENCE_MIN..=SOUP_SILENCE_MAX)?;
    within("clients.sessions_per_address_max", clients.sessions_per_address_max as u64, 0..=SESSIONS_MAX as u64)
}

/// A config with passwords is read by more people than are meant to come in from elsewhere.
fn check_passwords(config: &Config) -> Check {
    let tls = config.tls.as_ref().map_or([None, None], |tls| [tls.control_listen, tls.gateway_listen]);
    let mut ports = [config.control.listen, config.gateway.listen].into_iter().chain(tls.into_iter().flatten());
    if ports.all(|port| port.ip().is_loopback()) || config.clients.allow_plain_passwords {
        return Ok(());
    }
    for (index, account) in config.accounts.iter().enumerate() {
        if let Some(login) = account.logins.iter().position(Login::is_plain) {
            return objection(
                &format!("accounts.{index}.logins.{login}.password"),
                "a plain password serves on loopback only: put a password_hash in its place (`hairtrigger account hash`), or \
                 write allow_plain_passwords = true in [clients]",
            );
        }
    }
    Ok(())
}

fn check_accounts(accounts: &[Account]) -> Check {
    within("accounts", accounts.len() as u64, 1..=ACCOUNTS_MAX as u64)?;
    let logins = accounts.iter().map(|account| account.logins.len()).sum::<usize>();
    within("accounts", logins as u64, 0..=LOGINS_MAX as u64)?;
    let (mut names, mut users) = (HashSet::new(), HashSet::new());
    for (index, account) in accounts.iter().enumerate() {
        let path = |key: &str| format!("accounts.{index}.{key}");
        let letters = account.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !letters || !(1..=6).contains(&account.name.len()) {
            return objection(&path("name"), "expected 1 to 6 of a-z and 0-9");
        }
        if !names.insert(&account.name) {
            return objection(&path("name"), format!("there is an account \"{}\" already", account.name));
        }
        if account.logins.is_empty() {
            return objection(&path("logins"), "expected a login or more");
        }
        if let Some(login) = account.logins.iter().position(|login| !users.insert(login.user)) {
            return objection(&path(&format!("logins.{login}.user")), "there is a login with this name already");
        }
    }
    Ok(())
}

fn check_limits(config: &Config) -> Check {
    let limits = &config.limits;
    within("limits.rules_max", limits.rules_max.into(), 1..=RULES_MAX)?;
    within("limits.account_rules_max", limits.account_rules_max.into(), 0..=limits.rules_max.into())?;
    within("limits.symbols_max", limits.symbols_max.into(), 1..=SYMBOLS_MAX)?;
    within("limits.orders_max", limits.orders_max.into(), 1..=ORDERS_MAX)?;
    within("limits.levels_max", limits.levels_max.into(), 1..=ORDERS_MAX)?;
    within("limits.policies_max", limits.policies_max.into(), 1..=POLICIES_MAX)?;
    within("limits.accounts_spare", limits.accounts_spare as u64, 0..=ACCOUNTS_SPARE_MAX as u64)?;
    for (index, account) in config.accounts.iter().enumerate() {
        let own = account.rules_max.unwrap_or(0);
        within(&format!("accounts.{index}.rules_max"), own.into(), 0..=limits.rules_max.into())?;
    }
    Ok(())
}
