//! The config through its door: text in, a config or a line and a reason out.

use proptest::prelude::*;

use super::*;

const LEAST: &str = "feed.line_a = { address = \"127.0.0.1:0\" }\n\
    [[accounts]]\nname = \"demo\"\nlogins = [{ user = \"demo\", password = \"secret\" }]\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("x.toml")).map_err(|error| error.to_string())
}

/// The example with its first occurrence of a text replaced.
fn with(from: &str, to: &str) -> Result<Config, String> {
    assert!(Config::example().contains(from), "{from}");
    parse(&Config::example().replacen(from, to, 1))
}

/// A message about the line on which a text first stands in the example.
fn at(text: &str, message: &str) -> String {
    let before = Config::example().split(text).next().unwrap();
    format!("x.toml:{}: {message}", before.matches('\n').count() + 1)
}

#[test]
fn the_example_shows_the_defaults() {
    let mut example = parse(Config::example()).unwrap();
    let least = parse(LEAST).unwrap();
    assert_eq!((example.accounts.len(), example.accounts[1].drop_copy), (2, true));
    example.accounts.truncate(1);
    example.feed = Feed { line_a: least.feed.line_a.clone(), line_b: None, rerequest: vec![], ..example.feed };
    assert_eq!(example, least);
}

/// An unknown key makes the reader name all known ones: each of them must stand in the example.
#[test]
fn every_key_stands_in_the_example() {
    let places = [
        ("x = 1\n", "", 12),
        ("[feed]\nx = 1\n", "feed", 16),
        ("[feed.line_a]\nx = 1\n", "feed", 3),
        ("[control]\nx = 1\n", "control", 6),
        ("[gateway]\nx = 1\n", "gateway", 7),
        ("[journal]\nx = 1\n", "journal", 5),
        ("[tls]\nx = 1\n", "tls", 7),
        ("[clients]\nx = 1\n", "clients", 5),
        ("[[accounts]]\nx = 1\n", "accounts", 5),
        ("[limits]\nx = 1\n", "limits", 7),
        ("[topology]\nx = 1\n", "topology", 14),
        ("[memory]\nx = 1\n", "memory", 1),
        ("[watchdog]\nx = 1\n", "watchdog", 2),
        ("[stats]\nx = 1\n", "stats", 1),
    ];
    for (text, section, count) in places {
        let error = parse(text).unwrap_err();
        let line = text.lines().position(|line| line == "x = 1").unwrap() + 1;
        assert!(error.starts_with(&format!("x.toml:{line}: unknown field `x`, expected")), "{error}");
        let keys: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(keys.len(), count, "{error}");
        let example = Config::example();
        let from = example.find(&format!("[{section}]")).unwrap_or(0);
        for key in keys {
            let key = if section.is_empty() { format!("[{key}]") } else { format!("{key} = ") };
            assert!(example[from..].contains(&key), "{section}: {key}");
        }
    }
}

#[test]
fn values_are_read() {
    let config = with("join = \"first\"", "join = 7\nsession = \"A\"\ndate = \"2026-01-30\"").unwrap();
    assert_eq!((config.feed.join, config.feed.session), (Join::At(7), Some(*b"A         ")));
    assert_eq!(config.feed.date, Some(jiff::civil::date(2026, 1, 30)));
    assert_eq!(config.feed.rerequest, ["127.0.0.1:26479".parse::<std::net::SocketAddrV4>().unwrap()]);
    assert_eq!(with("\"64MiB\"", "65536").unwrap().gateway.segment_size, 65_536);
    assert_eq!(with("\"15s\"", "\"20s\"").unwrap().clients.deadlines().silence, 20_000_000_000);
    let multicast = "{ address = \"239.1.1.1:26477\", interface = \"127.0.0.1\", source = \"10.0.0.1\" }";
    let config = with("{ address = \"127.0.0.1:26477\" }", multicast).unwrap();
    assert_eq!(config.feed.line_a.unwrap().source, Some("10.0.0.1".parse().unwrap()));
}

/// What is replaced in the example, by what, and how the error must begin behind file and line. The line is that of the change.
const REFUSED: &[(&str, &str, &str)] = &[
    ("[stats]", "[stat]", "unknown field `stat`, expected one of `feed`"),
    ("sessions_max = 1024", "sessions_max = \"many\"", "invalid type: string \"many\", expected usize"),
    ("sessions_max = 1024", "sessions_max = 0", "control.sessions_max: 0: expected 1 to 32768"),
    ("allow_plaintext = false", "allow_plaintext = 1", "invalid type: integer `1`, expected a boolean"),
    ("= \"2ms\"", "= \"2 fortnights\"", "\"2 fortnights\": expected a duration such as \"2ms\""),
    ("= \"2ms\"", "= 2", "expected a duration such as \"2ms\""),
    ("= \"2ms\"", "= \"99999999999999h\"", "\"99999999999999h\": expected a duration"),
    ("= \"2ms\"", "= \"51ms\"", "feed.other_line_wait: 51ms: expected 0s to 50ms"),
    ("\"1s\"", "\"49 ms\"", "feed.gap_hold_max: 49ms: expected 50ms to 24h"),
    ("\"8MiB\"", "-1", "-1: expected a size in bytes"),
    ("\"8MiB\"", "\"8Mb\"", "\"8Mb\": expected a size in bytes"),
    ("\"8MiB\"", "true", "invalid type: boolean `true`, expected a size in bytes"),
    ("join = \"first\"", "join = 0", "0: expected \"first\", or a sequence number from 1"),
    ("join = \"first\"", "join = \"last\"", "\"last\": expected \"first\""),
    ("\"America/New_York\"", "\"Mars/Olympus\"", "feed.zone: expected a zone of the IANA database"),
    ("# date = \"2026-01-30\"", "date = \"2026-02-30\"", "\"2026-02-30\": expected a date such as"),
    ("# date = \"2026-01-30\"", "date = \"1969-12-31\"", "feed.date: expected a date from 1970"),
    ("# session = \"0000000001\"", "session = \"12345678901\"", "\"12345678901\": expected a session"),
    ("# session = \"0000000001\"", "session = \"\"", "\"\": expected a session: 1 to 10"),
    ("\"127.0.0.1:26477\"", "\"localhost\"", "\"localhost\": expected an IPv4 address and a port"),
    ("\"127.0.0.1:26478\"", "\"127.0.0.1:26477\"", "feed.line_b: is the same as line_a"),
    ("\"127.0.0.1:26477\"", "\"239.1.1.1:0\"", "feed.line_a.address: expected a port from 1"),
    ("\"127.0.0.1:26477\" }", "\"127.0.0.1:1\", source = \"1.1.1.1\" }", "feed.line_a.source: only a multicast"),
    ("[\"127.0.0.1:26479\"]", "[\"127.0.0.1:1\", \"239.1.1.1:1\"]", "feed.rerequest.1: expected a unicast"),
    ("\"127.0.0.1:7401\"", "\"0.0.0.0:7401\"", "control.listen: plain TCP is served on loopback only"),
    ("\"127.0.0.1:7402\"", "\"[::]:7402\"", "gateway.listen: plain TCP is served on loopback only"),
    ("\"127.0.0.1:7402\"", "\"127.0.0.1:7401\"", "gateway.listen: is the same as control.listen"),
    ("in_flight_max = 65536", "in_flight_max = 65537", "control.requests_in_flight_max: 65537: expected 1 to 65536"),
    ("\"64MiB\"", "65537", "gateway.segment_size: 65537: expected a multiple of 4096"),
    ("\"sync\"\n", "\"fast\"\n", "unknown variant `fast`, expected one of `sync`, `process`, `none`"),
    ("\"1GiB\"", "\"127MiB\"", "gateway.retention_size: 133169152: expected two segments (134217728) or more"),
    ("\"7d\"", "\"1ms\"", "gateway.retention_time: 1ms: expected 1s to 87600h"),
    ("\"15s\"", "\"1s\"", "clients.silence_deadline: 1s: expected 2s"),
    ("\"demo\"", "\"Demo\"", "accounts.0.name: expected 1 to 6 of a-z and 0-9"),
    ("name = \"audit\"", "name = \"demo\"", "accounts.1.name: there is an account \"demo\" already"),
    ("user = \"audit\"", "user = \"DEMO\"", "accounts.1.logins.0.user: there is a login"),
    ("password = \"secret\"", "password = \"much too long\"", "expected a user of 1 to 6 and a password"),
    ("logins = [{ user = \"demo\", password = \"secret\" }]", "logins = []", "accounts.0.logins: expected a login"),
    ("address_max = 256", "address_max = 32769", "clients.sessions_per_address_max: 32769: expected 0 to 32768"),
    ("accounts_spare = 64", "accounts_spare = 4097", "limits.accounts_spare: 4097: expected 0 to 4096"),
    ("symbols_max = 65536", "symbols_max = 1048577", "limits.symbols_max: 1048577: expected 1 to 1048576"),
    ("# rules_max = 100000", "rules_max = 1048577", "accounts.0.rules_max: 1048577: expected 0 to 1048576"),
    ("# idle = \"spin\"", "idle = \"nap\"", "unknown variant `nap`, expected one of `spin`, `yield`, `park`"),
];

#[test]
fn wrong_values_are_refused_with_their_line_and_what_is_allowed() {
    for (from, to, expected) in REFUSED {
        let error = with(from, to).expect_err(to);
        let expected = at(from, expected);
        assert!(error.starts_with(&expected), "{to}\n   got {error}\n  want {expected}");
        assert!(!error.contains('\n') && !error.contains("much too long"), "{error}");
    }
}

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn beyond_loopback_passwords_are_hashed_or_it_is_written_down_that_they_are_not() {
    let open = |text: &str| text.replacen("\"127.0.0.1:7402\"", "\"0.0.0.0:7402\"", 1);
    let open = open(Config::example()).replace("allow_plaintext = false", "allow_plaintext = true");
    let error = parse(&open).unwrap_err();
    assert!(error.contains("accounts.0.logins.0.password: a plain password serves on loopback only"), "{error}");
    let hashed = open.replace("password = \"secret\"", &format!("password_hash = \"{HASH}\""));
    let config = parse(&hashed).unwrap();
    assert!(config.accounts.iter().all(|account| !account.logins[0].is_plain()));
    assert!(parse(&open.replace("allow_plain_passwords = false", "allow_plain_passwords = true")).is_ok());
    for (from, to, expected) in [
        (HASH, "secret", "expected a hash such as `hairtrigger account hash` prints"),
        ("m=8,", "m=8000000,", "this hash costs too much to check"),
        ("password_hash = ", "password = \"x\", password_hash = ", "expected either password or password_hash"),
    ] {
        let error = parse(&hashed.replace(from, to)).unwrap_err();
        assert!(error.contains(expected) && !error.contains("AAAA"), "{error}");
    }
}

#[test]
fn a_feed_without_lines_and_a_config_without_accounts_are_refused() {
    assert_eq!(parse("[feed]").unwrap_err(), "x.toml:1: feed: expected line_a, line_b or both");
    assert_eq!(parse("\n").unwrap_err(), "x.toml:1: missing field `feed`");
    assert_eq!(
        parse("feed.line_b = { address = \"127.0.0.1:1\" }").unwrap_err(),
        "x.toml:1: accounts: 0: expected 1 to 4096"
    );
    assert!(with("allow_plaintext = false", "allow_plaintext = true").is_ok());
}

/// A section `[tls]` with these lines, the name of a certificate in the account, and the objection; none: it is right.
const TLS: &[(&str, &str, &str)] = &[
    ("control_listen = \"0.0.0.0:7411\"", "", ""),
    ("gateway_listen = \"[::]:0\"\nclient_certificates = \"optional\"\nclient_ca = \"ca\"", "\"desk-7\"", ""),
    ("", "", "tls: expected control_listen, gateway_listen or both"),
    ("control_listen = \"127.0.0.1:7401\"", "", "tls.control_listen: is the same as control.listen"),
    ("gateway_listen = \"127.0.0.1:7402\"", "", "tls.gateway_listen: is the same as gateway.listen"),
    (
        "control_listen = \"1.1.1.1:1\"\ngateway_listen = \"1.1.1.1:1\"",
        "",
        "tls.gateway_listen: is the same as tls.control",
    ),
    ("control_listen = \"a\"", "", "\"a\": expected an address and a port such as"),
    ("control_listen = \"0.0.0.0:1\"\nsessions_max = 0", "", "tls.sessions_max: 0: expected 1 to 32768"),
    (
        "control_listen = \"0.0.0.0:1\"\nclient_certificates = \"required\"",
        "",
        "tls.client_certificates: expected client_ca",
    ),
    (
        "control_listen = \"0.0.0.0:1\"\nclient_certificates = \"some\"",
        "",
        "unknown variant `some`, expected one of `none`",
    ),
    ("control_listen = \"0.0.0.0:1\"\nclient_ca = \"ca\"", "", "tls.client_ca: client_certificates = \"optional\" or"),
    ("control_listen = \"0.0.0.0:1\"", "\"a\"", "accounts.0.certificates: nobody is asked for one"),
    (
        "control_listen = \"0.0.0.0:1\"\nclient_certificates = \"required\"\nclient_ca = \"ca\"",
        "\"a\", \"a\"",
        "accounts.0.certificates.1: \"a\" stands for an account already",
    ),
    (
        "control_listen = \"0.0.0.0:1\"\nclient_certificates = \"required\"\nclient_ca = \"ca\"",
        "\"\"",
        "accounts.0.certificates.0: expected a name in a certificate",
    ),
];

#[test]
fn tls_is_whole_or_refused() {
    for (lines, names, expected) in TLS {
        let text = format!(
            "clients.allow_plain_passwords = true\n{LEAST}certificates = [{names}]\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n{lines}\n"
        );
        match parse(&text) {
            Ok(config) => assert!(expected.is_empty() && config.tls.is_some(), "{lines}"),
            Err(error) => {
                let (_, message) = error.strip_prefix("x.toml:").unwrap().split_once(": ").unwrap();
                assert!(!expected.is_empty() && message.starts_with(expected), "{lines}: {error}");
            }
        }
    }
    assert!(parse(&format!("{LEAST}[tls]\nkey = \"k\"\n")).unwrap_err().ends_with("missing field `certificate`"));
}

#[test]
fn an_absent_file_is_named() {
    let error = Config::load(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/x.toml: "), "{error}");
}

#[test]
fn midnight_follows_the_zone_and_its_summer_time() {
    let hours = |date: &str| midnight_utc(date.parse().unwrap(), "America/New_York").unwrap() / 3_600_000_000_000 % 24;
    assert_eq!((hours("2026-01-30"), hours("2026-07-30")), (5, 4));
    assert_eq!(midnight_utc("2020-01-30".parse().unwrap(), "UTC"), Ok(1_580_342_400_000_000_000));
    assert_eq!(midnight_utc("2020-01-30".parse().unwrap(), "Nowhere"), Err(DayError::Zone));
    assert_eq!(midnight_utc("9999-12-31".parse().unwrap(), "UTC"), Err(DayError::Date));
    let late = 1_580_342_400_000_000_000;
    assert_eq!(today(late, "America/New_York"), Ok("2020-01-29".parse().unwrap()));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }

    /// Damage in the middle of a right file reaches deeper than noise does.
    #[test]
    fn no_damage_panics(at in 0usize..6_000, count in 0usize..20, put in "[\\[\\]{}\"=.,a0# \n-]{0,6}") {
        let mut characters: Vec<char> = Config::example().chars().collect();
        let at = at.min(characters.len());
        let end = (at + count).min(characters.len());
        characters.splice(at..end, put.chars());
        let _ = parse(&characters.into_iter().collect::<String>());
    }
}
