//! The rules file of `replay` and of `rules load`: CSV after RFC 4180 with a header, columns in any order.
//!
//! Every value is checked, also in columns that a `remove` does not use; the first one that cannot be read ends it, and
//! the error names file, line, column and what was expected.

mod writer;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use csv::ByteRecord;

use crate::model::{AccountId, Comparison, Fire, NEVER, Nanos, OnSet, Price, RuleSpec, Signal, Symbol};

pub use writer::{write_header, write_row};

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a rule. `expires_at` is nanoseconds since midnight of the feed's day.
    Set(RuleSpec),
    /// Removes one.
    Remove {
        /// Handed back when there is none.
        tag: u64,
    },
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Feed sequence of the message before which it takes effect.
    pub at: u64,
    /// The user.
    pub user: u64,
    /// The symbol.
    pub symbol: Symbol,
    /// The user's slot.
    pub slot: u32,
    /// Position of its account in [`RulesFile::accounts`].
    pub account: AccountId,
    /// What it does.
    pub op: Op,
}

/// A rules file, read and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesFile {
    /// Account names, small letters, in the order in which they first occur.
    pub accounts: Vec<String>,
    /// The rows in order; `at` never goes back.
    pub rows: Vec<Row>,
}

/// Why a rules file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The system's reason.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}: line {line}{}: expected {expected}", column.as_ref().map(|c| format!(", column {c}")).unwrap_or_default())]
    Bad {
        /// The file.
        path: PathBuf,
        /// From 1, where the row begins.
        line: u64,
        /// The column's name, where one is to blame.
        column: Option<String>,
        /// What should stand there.
        expected: String,
    },
}

/// Letters of a field that a message shows.
const FOUND_SHOWN: usize = 64;
const COLUMNS: [&str; 16] = [
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

/// What is wrong, before it is known in which file.
#[derive(Debug)]
struct Fault {
    /// 0 until the row is known.
    line: u64,
    column: Option<String>,
    expected: String,
}

/// Reads a rules file.
/// # Errors
/// [`CsvError`]: it cannot be read, or something in it is wrong.
pub fn read(path: &Path) -> Result<RulesFile, CsvError> {
    let text = std::fs::read(path).map_err(|source| CsvError::Io { path: path.into(), source })?;
    parse(&text, path)
}

/// Reads a rules file's text. `path` is only for messages.
/// # Errors
/// [`CsvError::Bad`].
pub fn parse(text: &[u8], path: &Path) -> Result<RulesFile, CsvError> {
    let bad = |Fault { line, column, expected }| CsvError::Bad { path: path.into(), line, column, expected };
    parse_text(text).map_err(bad)
}

fn parse_text(text: &[u8]) -> Result<RulesFile, Fault> {
    let fault = |line, expected: &str| Fault { line, column: None, expected: expected.into() };
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(fault(1, "a header, found a byte order mark"));
    }
    check_form(text)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut record = ByteRecord::new();
    // The reader's own line numbers leave out blank lines before a record; its byte positions lead to the right one.
    let line_of = |record: &ByteRecord| line_at(text, record.position().map_or(0, csv::Position::byte));
    if !reader.read_byte_record(&mut record).unwrap_or(false) {
        return Err(fault(1, "a header, found an empty file"));
    }
    let header = Header::read(&record, line_of(&record))?;
    let mut file = RulesFile::default();
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        let fields = Fields { header: &header, record: &record };
        fields.row(&mut file).map_err(|fault| Fault { line: line_of(&record), ..fault })?;
    }
    Ok(file)
}

/// Refuses what the reader would let pass: text behind a closing quote, a quote that is never closed, and a carriage
/// return that ends no line.
fn check_form(text: &[u8]) -> Result<(), Fault> {
    let fault = |at: usize, expected: &str| {
        Err(Fault { line: line_at(text, at as u64), column: None, expected: expected.into() })
    };
    let (mut at, mut opened) = (0, None);
    while at < text.len() {
        let (byte, next) = (text[at], text.get(at + 1));
        let begins_field = at == 0 || matches!(text[at - 1], b',' | b'\n');
        match (opened, byte) {
            (None, b'"') if begins_field => opened = Some(at),
            (None, b'\r') if next != Some(&b'\n') => return fault(at, "LF or CRLF at the end of a line"),
            (Some(_), b'"') if next == Some(&b'"') => at += 1,
            (Some(_), b'"') => match next {
                None | Some(b',' | b'\n' | b'\r') => opened = None,
                Some(_) => return fault(at, "a comma or the end of the line behind a closing quote"),
            },
            _ => (),
        }
        at += 1;
    }
    opened.map_or(Ok(()), |at| fault(at, "a closing quote"))
}

/// The line, from 1, of the first byte from `start` on that does not end a line.
fn line_at(text: &[u8], start: u64) -> u64 {
    let start = usize::try_from(start).unwrap_or(text.len()).min(text.len());
    let blank = text[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    1 + text[..start + blank].iter().filter(|b| **b == b'\n').count() as u64
}

struct Header {
    names: Vec<&'static str>,
}

impl Header {
    fn read(record: &ByteRecord, line: u64) -> Result<Header, Fault> {
        let mut names: Vec<&'static str> = vec![];
        for field in record {
            let known = COLUMNS.iter().find(|name| name.as_bytes() == field);
            let bad = |expected: String| Fault { line, column: Some(field.escape_ascii().to_string()), expected };
            let name = known.ok_or_else(|| bad(format!("one of the columns {}", COLUMNS.join(", "))))?;
            if names.contains(name) {
                return Err(bad("each column once".into()));
            }
            names.push(name);
        }
        Ok(Header { names })
    }
}

/// One row's fields by column.
struct Fields<'r> {
    header: &'r Header,
    record: &'r ByteRecord,
}

impl Fields<'_> {
    fn row(&self, file: &mut RulesFile) -> Result<(), Fault> {
        let (columns, found) = (self.header.names.len(), self.record.len());
        if found != columns {
            return Err(Fault { line: 0, column: None, expected: format!("{columns} fields, found {found}") });
        }
        let at = self.number("at")?.unwrap_or(0);
        if file.rows.last().is_some_and(|last| last.at > at) {
            return Err(self.fault("at", "a sequence that is not below that of the row before"));
        }
        let is_remove = self.name("op", &["set", "remove"])? == Some(1);
        let account = self.account(file)?;
        let user = self.number("user")?.ok_or_else(|| self.fault("user", "a user: an integer from 0 to 2^64 - 1"))?;
        let symbol = self.parsed::<Symbol>("symbol")?;
        let symbol = symbol.ok_or_else(|| self.fault("symbol", "a symbol of 1 to 8 characters"))?;
        let slot = self.small_number("slot")?.unwrap_or(0);
        let spec = self.spec(is_remove)?;
        let op = if is_remove { Op::Remove { tag: spec.tag } } else { Op::Set(spec) };
        file.rows.push(Row { at, user, symbol, slot, account, op });
        Ok(())
    }

    fn spec(&self, is_remove: bool) -> Result<RuleSpec, Fault> {
        let signal = self.name("signal", &Signal::ALL.map(Signal::name))?;
        let comparison = self.name("when", &Comparison::ALL.map(Comparison::name))?;
        let threshold = self.parsed::<Price>("threshold")?;
        if !is_remove && comparison.is_none() {
            return Err(self.fault("when", "below, above, at_or_below or at_or_above"));
        }
        if !is_remove && threshold.is_none() {
            return Err(self.fault("threshold", "a price such as 99.95"));
        }
        let fire = [Fire::Once, Fire::Repeat];
        let on_set = [OnSet::Fire, OnSet::Wait, OnSet::Reject];
        Ok(RuleSpec {
            threshold: threshold.unwrap_or_default(),
            rearm: self.parsed::<Price>("rearm")?.unwrap_or_default(),
            cooldown: self.number("cooldown_ns")?.unwrap_or(0),
            expires_at: self.time_of_day("expires_at")?.unwrap_or(NEVER),
            tag: self.number("tag")?.unwrap_or(0),
            max_fires: self.small_number("max_fires")?.unwrap_or(0),
            signal: Signal::ALL[signal.unwrap_or(0)],
            comparison: Comparison::ALL[comparison.unwrap_or(0)],
            fire: fire[self.name("fire", &fire.map(Fire::name))?.unwrap_or(0)],
            on_set: on_set[self.name("on_set", &on_set.map(OnSet::name))?.unwrap_or(0)],
        })
    }

    fn fault(&self, column: &str, expected: impl Into<String>) -> Fault {
        Fault { line: 0, column: Some(column.into()), expected: expected.into() }
    }

    /// The field's text; `None` when the column is absent or the field empty.
    fn text(&self, column: &str) -> Result<Option<&str>, Fault> {
        let Some(at) = self.header.names.iter().position(|name| *name == column) else { return Ok(None) };
        let field = &self.record[at];
        let text = std::str::from_utf8(field).map_err(|_| self.wrong(column, "text", &field.escape_ascii()))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn wrong(&self, column: &str, expected: &str, found: &dyn std::fmt::Display) -> Fault {
        let (found, mut shown) = (found.to_string(), String::new());
        for letter in found.chars().take(FOUND_SHOWN) {
            if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
        }
        let rest = if found.chars().nth(FOUND_SHOWN).is_some() { " ..." } else { "" };
        self.fault(column, format!("{expected}, found '{shown}'{rest}"))
    }

    fn name(&self, column: &str, names: &[&str]) -> Result<Option<usize>, Fault> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let at = names.iter().position(|name| *name == text);
        at.map(Some).ok_or_else(|| self.wrong(column, &format!("one of {}", names.join(", ")), &text))
    }

    fn number(&self, column: &str) -> Result<Option<u64>, Fault> {
        self.integer(column, "an integer from 0 to 2^64 - 1")
    }

    fn small_number(&self, column: &str) -> Result<Option<u32>, Fault> {
        self.integer(column, "an integer from 0 to 2^32 - 1")
    }

    fn integer<N: FromStr>(&self, column: &str, expected: &str) -> Result<Option<N>, Fault> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Some).ok_or_else(|| self.wrong(column, expected, &text))
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| {
            let sentence = format!("{error}");
            self.wrong(column, sentence.trim_start_matches("expected "), &text)
        })
    }

    fn time_of_day(&self, column: &str) -> Result<Option<Nanos>, Fault> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let time = time_of_day(text);
        time.map(Some)
            .ok_or_else(|| self.wrong(column, "HH:MM:SS[.fraction] from 00:00:00 to 23:59:59.999999999", &text))
    }

    fn account(&self, file: &mut RulesFile) -> Result<AccountId, Fault> {
        let name = self.text("account")?.unwrap_or("demo");
        if name.len() > 6 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(self.wrong("account", "an account of 1 to 6 characters a-z, 0-9", &name));
        }
        let name = name.to_ascii_lowercase();
        let at = file.accounts.iter().position(|known| *known == name).unwrap_or_else(|| {
            file.accounts.push(name);
            file.accounts.len() - 1
        });
        AccountId::try_from(at).map_err(|_| self.fault("account", "at most 65,536 different accounts"))
    }
}

/// `HH:MM:SS` with at most 9 digits of a fraction, as nanoseconds since midnight.
fn time_of_day(text: &str) -> Option<Nanos> {
    let (time, fraction) = match text.split_once('.') {
        Some((time, fraction)) if (1..=9).contains(&fraction.len()) => (time, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let bytes: &[u8; 8] = time.as_bytes().try_into().ok()?;
    let two = |at: usize, below: u64| {
        let digit = |b: u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
        Some(digit(bytes[at])? * 10 + digit(bytes[at + 1])?).filter(|value| *value < below)
    };
    if bytes[2] != b':' || bytes[5] != b':' || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = two(0, 24)? * 3_600 + two(3, 60)? * 60 + two(6, 60)?;
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some(seconds * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let fault = parse_text(text.as_bytes()).expect_err("it was taken");
        format!("{}:{}:{}", fault.line, fault.column.unwrap_or_default(), fault.expected)
    }

    #[test]
    fn reads_columns_in_any_order_with_defaults() {
        let file =
            parse_text(b"\n\r\nthreshold,user,symbol,when,account\r\n\"1.5\",7,AAPL,below,Bob\n\n2,8,X,above,\n")
                .ok()
                .unwrap();
        assert_eq!(file.accounts, ["bob", "demo"]);
        let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(1_500_000_000));
        let row = Row { at: 0, user: 7, symbol: "AAPL".parse().unwrap(), slot: 0, account: 0, op: Op::Set(spec) };
        assert_eq!(file.rows[0], row);
        assert_eq!(file.rows[1].account, 1);
        assert_eq!(parse_text(b"user\n").ok().unwrap().rows, []);
    }

    #[test]
    fn names_line_column_and_what_was_expected() {
        for (text, begins) in [
            ("", "1::a header"),
            ("\u{feff}user\n", "1::a header, found a byte order mark"),
            ("user,users\n", "1:users:one of the columns"),
            ("user,symbol\n\"1\"2,A\n", "2::a comma or the end of the line"),
            ("user,symbol\n1,\"A\n", "2::a closing quote"),
            ("user,symbol\n1,A\r2,B\n", "2::LF or CRLF"),
            ("user,user\n", "1:user:each column once"),
            ("user,symbol\n1\n", "2::2 fields, found 1"),
            ("user,symbol\n1,A\n", "2:when:below"),
            ("user,symbol,when,threshold\n\n,A,below,1\n", "3:user:a user"),
            ("user,symbol,when,threshold\n+1,A,below,1\n", "2:user:an integer"),
            ("user,symbol,when,threshold\n1,A B,below,1\n", "2:symbol:a symbol"),
            ("user,symbol,when,threshold\n1,A,Below,1\n", "2:when:one of below"),
            ("user,symbol,when,threshold\n1,A,below,-1\n", "2:threshold:a decimal"),
            ("op,user,symbol,rearm\nremove,1,A,x\n", "2:rearm:a decimal"),
            ("op,user,symbol,expires_at\nremove,1,A,24:00:00\n", "2:expires_at:HH:MM:SS"),
            ("op,user,symbol,account\nremove,1,A,toolong\n", "2:account:an account"),
            ("op,user,symbol,at\nremove,1,A,5\nremove,1,A,4\n", "3:at:a sequence that is not below"),
            ("op,user,symbol,slot\nremove,1,A,4294967296\n", "2:slot:an integer from 0 to 2^32"),
        ] {
            assert!(error(text).starts_with(begins), "{text:?}: {}", error(text));
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day("00:00:00"), Some(0));
        assert_eq!(time_of_day("23:59:59.999999999"), Some(86_399_999_999_999));
        assert_eq!(time_of_day("09:30:00.5"), Some(34_200_500_000_000));
        for text in
            ["9:30:00", "09:30", "24:00:00", "09:60:00", "09:30:60", "09:30:00.", "09:30:00.0000000000", "+9:30:00"]
        {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }
}
