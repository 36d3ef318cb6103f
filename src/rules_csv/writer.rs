//! Rows as a rules file has them: what is written here is read back as it was.

use std::io::{self, Write};

use super::{COLUMNS, Op, Row};
use crate::model::{NEVER, Nanos, Price};

/// Writes the header, with every column.
/// # Errors
/// Those of writing.
pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

/// Writes a row. Expiries are times of day, below 24 hours, or [`NEVER`].
/// # Errors
/// Those of writing.
pub fn write_row(out: &mut impl Write, row: &Row, account: &str) -> io::Result<()> {
    let symbol = row.symbol.bytes();
    let op = if matches!(row.op, Op::Set(_)) { "set" } else { "remove" };
    write!(out, "{},{op},{account},{},", row.at, row.user)?;
    // Not as it is shown: there some signs are escaped.
    out.write_all(symbol.trim_ascii_end())?;
    write!(out, ",{},", row.slot)?;
    let spec = match row.op {
        Op::Set(spec) => spec,
        Op::Remove { tag } => return writeln!(out, ",,,,,,,,,{}", unless(tag, 0)),
    };
    write!(out, "{},{},{},", spec.signal.name(), spec.comparison.name(), spec.threshold)?;
    write!(out, "{},{},", spec.fire.name(), spec.on_set.name())?;
    let rearm = if spec.rearm == Price(0) { String::new() } else { spec.rearm.to_string() };
    write!(out, "{rearm},{},{},", unless(spec.cooldown, 0), unless(spec.max_fires.into(), 0))?;
    let expires_at = if spec.expires_at == NEVER { String::new() } else { time_of_day(spec.expires_at) };
    writeln!(out, "{expires_at},{}", unless(spec.tag, 0))
}

/// A number; nothing for the default.
fn unless(number: u64, default: u64) -> String {
    if number == default { String::new() } else { number.to_string() }
}

/// `HH:MM:SS`, with a fraction where there is one.
fn time_of_day(ts: Nanos) -> String {
    let (seconds, fraction) = (ts / 1_000_000_000, ts % 1_000_000_000);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{fraction:09}");
    time + fraction.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{Comparison, Fire, OnSet, RuleSpec, Signal};
    use crate::rules_csv::parse;

    #[test]
    fn what_is_written_is_read_back() {
        let plain = RuleSpec::new(Signal::Last, Comparison::Below, Price(1));
        let mut specs = vec![plain, RuleSpec { threshold: Price(i64::MAX), tag: u64::MAX, ..plain }];
        for (signal, comparison) in Signal::ALL.into_iter().zip(Comparison::ALL) {
            let repeat = RuleSpec { rearm: Price(10_500_000), cooldown: 1, max_fires: u32::MAX, ..plain };
            specs.push(RuleSpec { signal, comparison, fire: Fire::Repeat, on_set: OnSet::Wait, ..repeat });
        }
        for expires_at in [0, 1, 34_200_000_000_000, 86_399_999_999_999, 3_600_100_000_000] {
            specs.push(RuleSpec { expires_at, on_set: OnSet::Reject, ..plain });
        }
        let mut ops: Vec<Op> = specs.into_iter().map(Op::Set).collect();
        ops.extend([Op::Remove { tag: 0 }, Op::Remove { tag: 7 }]);
        let symbols = ["A", "BRK.A", "it's\\", "12345678"];
        let row = |(at, op): (u64, &Op)| {
            let symbol = symbols[at as usize % symbols.len()].parse().unwrap();
            Row { at, user: at << 40, symbol, slot: at as u32, account: at as u16 % 2, op: *op }
        };
        let rows: Vec<Row> = (0..).zip(&ops).map(row).collect();
        let mut text = vec![];
        write_header(&mut text).unwrap();
        rows.iter().for_each(|row| write_row(&mut text, row, ["demo", "a1"][usize::from(row.account)]).unwrap());
        let file = parse(&text, Path::new("rules.csv")).unwrap();
        assert_eq!((file.accounts, file.rows), (vec!["demo".into(), "a1".into()], rows));
    }
}
