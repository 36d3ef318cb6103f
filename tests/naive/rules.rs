//! The rules file: CSV after RFC 4180, read byte by byte.

use super::NaiveError;
use super::decimal::{self, digits};

/// All columns.
pub const COLUMNS: [&str; 16] = [
    "at",
    "op",
    "account",
    "user",
    "symbol",
    "slot",
    "signal",
    "when",
    "threshold",
    "fire",
    "on_set",
    "rearm",
    "cooldown_ns",
    "max_fires",
    "expires_at",
    "tag",
];

/// Which price of the symbol a rule looks at, in the order in which they are evaluated within a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    Last,
    Bid,
    Ask,
    Mid,
}

/// The comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Below,
    Above,
    AtOrBelow,
    AtOrAbove,
}

/// What a `set` does when its condition holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSet {
    Fire,
    Wait,
    Reject,
}

/// What names a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub account: String,
    pub user: u64,
    pub symbol: String,
    pub slot: u64,
}

/// What a `set` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub signal: Signal,
    pub when: When,
    pub threshold: i128,
    pub repeat: bool,
    pub on_set: OnSet,
    pub rearm: i128,
    pub cooldown_ns: u64,
    pub max_fires: u64,
    pub expires_at: Option<u64>,
}

/// A row; `set` is `None` for a `remove`.
#[derive(Debug, Clone)]
pub struct Command {
    pub at: u64,
    pub key: Key,
    pub tag: u64,
    pub set: Option<Spec>,
}

impl Key {
    /// The symbol as it stands in messages: padded on the right with spaces.
    pub fn padded(&self) -> [u8; 8] {
        let mut padded = [b' '; 8];
        padded[..self.symbol.len()].copy_from_slice(self.symbol.as_bytes());
        padded
    }
}

impl Signal {
    pub fn name(self) -> &'static str {
        ["last", "bid", "ask", "mid"][self as usize]
    }
}

impl When {
    pub fn name(self) -> &'static str {
        ["below", "above", "at_or_below", "at_or_above"][self as usize]
    }
}

/// Reads the whole file, or says where it is wrong.
pub fn read(text: &[u8]) -> Result<Vec<Command>, NaiveError> {
    let mut records = records(text)?.into_iter();
    // "an empty file is an error"
    let Some((header_line, header)) = records.next() else { return Err(wrong(1, None)) };
    // "Unknown or repeated columns [...] a byte order mark": a mark makes the first name an unknown one.
    for (i, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) || header[..i].contains(name) {
            return Err(wrong(header_line, None));
        }
    }
    let mut commands: Vec<Command> = Vec::new();
    for (line, fields) in records {
        // "a wrong number of fields"
        if fields.len() != header.len() {
            return Err(wrong(line, None));
        }
        // "absent or empty = default"
        let field = |name: &str| header.iter().position(|h| h == name).map_or("", |i| fields[i].as_str());
        let command = command(&field).map_err(|column| wrong(line, Some(column)))?;
        // "an `at` that goes back"
        if commands.last().is_some_and(|before| before.at > command.at) {
            return Err(wrong(line, Some("at")));
        }
        commands.push(command);
    }
    Ok(commands)
}

fn wrong(line: usize, column: Option<&'static str>) -> NaiveError {
    NaiveError::Rules { line, column }
}

/// The values of one row; an error names the column. "(also in a column that a `remove` does not use)"
fn command<'a>(field: &dyn Fn(&str) -> &'a str) -> Result<Command, &'static str> {
    let at = unsigned(field("at"), u64::MAX, "at")?;
    let set = *one_of(field("op"), &[("", true), ("set", true), ("remove", false)], "op")?;
    let key = key(field)?;
    let signals =
        [("", Signal::Last), ("last", Signal::Last), ("bid", Signal::Bid), ("ask", Signal::Ask), ("mid", Signal::Mid)];
    let signal = *one_of(field("signal"), &signals, "signal")?;
    let whens = [
        ("below", When::Below),
        ("above", When::Above),
        ("at_or_below", When::AtOrBelow),
        ("at_or_above", When::AtOrAbove),
    ];
    let when = match field("when") {
        "" if !set => None,
        text => Some(*one_of(text, &whens, "when")?),
    };
    let threshold = match field("threshold") {
        "" if !set => None,
        text => Some(decimal::parse(text).ok_or("threshold")?),
    };
    let repeat = *one_of(field("fire"), &[("", false), ("once", false), ("repeat", true)], "fire")?;
    let sets = [("", OnSet::Fire), ("fire", OnSet::Fire), ("wait", OnSet::Wait), ("reject", OnSet::Reject)];
    let on_set = *one_of(field("on_set"), &sets, "on_set")?;
    let rearm = match field("rearm") {
        "" => 0,
        text => decimal::parse(text).ok_or("rearm")?,
    };
    let cooldown_ns = unsigned(field("cooldown_ns"), u64::MAX, "cooldown_ns")?;
    let max_fires = unsigned(field("max_fires"), u32::MAX.into(), "max_fires")?;
    let expires_at = match field("expires_at") {
        "" => None,
        text => Some(time_of_day(text).ok_or("expires_at")?),
    };
    let tag = unsigned(field("tag"), u64::MAX, "tag")?;
    // `when` and `threshold` are "required for `set`", so both are there where they are used.
    let set = match (set, when, threshold) {
        (true, Some(when), Some(threshold)) => {
            Some(Spec { signal, when, threshold, repeat, on_set, rearm, cooldown_ns, max_fires, expires_at })
        }
        _ => None,
    };
    Ok(Command { at, key, tag, set })
}

fn key<'a>(field: &dyn Fn(&str) -> &'a str) -> Result<Key, &'static str> {
    // "1 to 6 of a-z 0-9; capitals are read as small letters", default `demo`
    let account = match field("account") {
        "" => "demo".to_string(),
        text if text.len() <= 6 && text.bytes().all(|b| b.is_ascii_alphanumeric()) => text.to_ascii_lowercase(),
        _ => return Err("account"),
    };
    // "required"
    if field("user").is_empty() {
        return Err("user");
    }
    let user = unsigned(field("user"), u64::MAX, "user")?;
    // "1 to 8 of `!` to `~` without comma and quote"
    let symbol = field("symbol");
    let fits = (1..=8).contains(&symbol.len());
    if !fits || !symbol.bytes().all(|b| (b'!'..=b'~').contains(&b) && b != b',' && b != b'"') {
        return Err("symbol");
    }
    let slot = unsigned(field("slot"), u32::MAX.into(), "slot")?;
    Ok(Key { account, user, symbol: symbol.to_string(), slot })
}

/// Empty is 0, the default of all whole numbers that have one.
fn unsigned(text: &str, max: u64, column: &'static str) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    match digits(text) {
        Some(n) if n <= i128::from(max) => Ok(n as u64),
        _ => Err(column),
    }
}

fn one_of<'t, T>(text: &str, table: &'t [(&str, T)], column: &'static str) -> Result<&'t T, &'static str> {
    table.iter().find(|(name, _)| *name == text).map(|(_, value)| value).ok_or(column)
}

/// "`HH:MM:SS[.fraction]`, 00:00:00 to 23:59:59.999999999", in nanoseconds.
fn time_of_day(text: &str) -> Option<u64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, decimal::nanos(fraction)?),
        None => (text, 0),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    if parts.len() != 3 || parts.iter().any(|p| p.len() != 2) {
        return None;
    }
    let (h, m, s) = (digits(parts[0])?, digits(parts[1])?, digits(parts[2])?);
    (h < 24 && m < 60 && s < 60).then_some((((h * 60 + m) * 60 + s) * 1_000_000_000 + fraction) as u64)
}

/// Records with the line on which each begins. "LF or CRLF, blank lines skipped (also before the header), nothing
/// trimmed".
fn records(text: &[u8]) -> Result<Vec<(usize, Vec<String>)>, NaiveError> {
    let mut out = Vec::new();
    let mut i = 0;
    let mut line = 1;
    while i < text.len() {
        if let Some(n) = line_end(&text[i..]) {
            i += n;
            line += 1;
            continue;
        }
        let begin = line;
        let mut fields = Vec::new();
        loop {
            let (field, next) = field(text, i).ok_or(wrong(begin, None))?;
            line += field.iter().filter(|b| **b == b'\n').count();
            // Bytes that are no UTF-8 cannot be a value of any column; the replacement character is none either.
            fields.push(String::from_utf8_lossy(&field).into_owned());
            i = next;
            if text.get(i) == Some(&b',') {
                i += 1;
                continue;
            }
            break;
        }
        i += line_end(&text[i..]).unwrap_or(0);
        line += 1;
        out.push((begin, fields));
    }
    Ok(out)
}

fn line_end(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"\n") {
        Some(1)
    } else if text.starts_with(b"\r\n") {
        Some(2)
    } else {
        None
    }
}

/// The field at `i` and where it ends (comma, line end or end of file); `None` when its quotes are not as RFC 4180
/// has them.
fn field(text: &[u8], mut i: usize) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let quoted = text.get(i) == Some(&b'"');
    if quoted {
        i += 1;
        loop {
            match (text.get(i)?, text.get(i + 1)) {
                (b'"', Some(b'"')) => {
                    out.push(b'"');
                    i += 2;
                }
                (b'"', _) => break,
                (b, _) => {
                    out.push(*b);
                    i += 1;
                }
            }
        }
        i += 1;
    }
    while i < text.len() && text[i] != b',' && line_end(&text[i..]).is_none() {
        if quoted {
            return None; // text behind the closing quote
        }
        out.push(text[i]);
        i += 1;
    }
    Some((out, i))
}
