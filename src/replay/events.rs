//! The events file: one row for each thing that happened, in order, and the rows of expiries at the end.

use std::collections::HashMap;
use std::io::{Result, Write};

use super::told::Told;
use crate::model::{Alert, AlertKind, Nanos, Price, Reason, Refusal, flag};
use crate::rules_csv::{Op, RulesFile};

const HEADER: &str =
    "sequence,ts_event,event,reason,last,account,user,symbol,slot,version,tag,signal,when,threshold,price";

/// Writes the rows, and keeps what later rows need: alerts that a broken trade may name, and expiries.
pub struct EventsWriter<'r, W> {
    out: W,
    rules: &'r RulesFile,
    /// Alerts by the print that caused them: (locate, match number).
    by_print: HashMap<(u16, u64), Vec<Alert>>,
    expired: Vec<Alert>,
    alerts: u64,
    /// What all times are written less of.
    midnight: Nanos,
}

impl<'r, W: Write> EventsWriter<'r, W> {
    /// Writes the header. `rules` has the accounts' names, and the rows that commands came from. Times are written as those since
    /// `midnight`.
    /// # Errors
    /// Those of writing.
    pub fn new(mut out: W, rules: &'r RulesFile, midnight: Nanos) -> Result<EventsWriter<'r, W>> {
        writeln!(out, "{HEADER}")?;
        Ok(EventsWriter { out, rules, by_print: HashMap::new(), expired: vec![], alerts: 0, midnight })
    }

    /// Writes what was told, which is sorted.
    /// # Errors
    /// Those of writing.
    pub fn write(&mut self, told: &[Told]) -> Result<()> {
        told.iter().try_for_each(|told| match told {
            Told::Alert(alert) => self.alert(alert),
            Told::Refused { ordinal, refusal, feed_time, .. } => self.refusal(*ordinal, *refusal, *feed_time),
            Told::Done { .. } => Ok(()),
        })
    }

    /// Writes the expiries, and returns the number of alerts written.
    /// # Errors
    /// Those of writing.
    pub fn finish(&mut self) -> Result<u64> {
        let mut expired = std::mem::take(&mut self.expired);
        let account = |alert: &Alert| &self.rules.accounts[usize::from(alert.key.account)];
        expired.sort_by_key(|alert| {
            let key = alert.key;
            (alert.ts_event, account(alert), key.user, key.symbol, key.slot, alert.version)
        });
        expired.iter().try_for_each(|alert| self.row("ended", "expired", alert, None))?;
        self.out.flush()?;
        Ok(self.alerts)
    }

    fn alert(&mut self, alert: &Alert) -> Result<()> {
        match alert.kind {
            AlertKind::Alert => {
                self.alerts += 1;
                if alert.is(flag::BY_PRINT) {
                    self.by_print.entry((alert.locate, alert.match_number)).or_default().push(*alert);
                }
                self.row("alert", alert.reason.name(), alert, Some(alert.price))
            }
            AlertKind::Ended if alert.reason == Reason::Expired => {
                self.expired.push(*alert);
                Ok(())
            }
            AlertKind::Ended => self.row("ended", alert.reason.name(), alert, None),
            AlertKind::Broken => {
                let busted = self.by_print.remove(&(alert.locate, alert.match_number)).unwrap_or_default();
                let Alert { sequence, ts_event, .. } = *alert;
                busted.iter().try_for_each(|fired| {
                    let busted = Alert { sequence, ts_event, ordinal: 0, flags: 0, ..*fired };
                    self.row("busted", "broken_trade", &busted, Some(fired.price))
                })
            }
            _ => Ok(()),
        }
    }

    fn row(&mut self, event: &str, reason: &str, alert: &Alert, price: Option<Price>) -> Result<()> {
        let key = &alert.key;
        // The sequence of a command is its row's, as written: the shard knows only between which messages it came.
        let command = usize::try_from(alert.ordinal).ok().and_then(|ordinal| ordinal.checked_sub(1));
        let sequence = command.map_or(alert.sequence, |row| self.rules.rows[row].at);
        let last = u8::from(alert.is(flag::LAST));
        let account = &self.rules.accounts[usize::from(key.account)];
        let ts_event = alert.ts_event.saturating_sub(self.midnight);
        write!(self.out, "{sequence},{ts_event},{event},{reason},{last},{account},")?;
        write!(self.out, "{},{},{},{},{},", key.user, key.symbol, key.slot, alert.version, alert.tag)?;
        write!(self.out, "{},{},{},", alert.signal.name(), alert.comparison.name(), alert.threshold)?;
        price.map_or(Ok(()), |price| write!(self.out, "{price}"))?;
        writeln!(self.out)
    }

    fn refusal(&mut self, ordinal: u64, refusal: Refusal, feed_time: u64) -> Result<()> {
        let row = &self.rules.rows[ordinal as usize - 1];
        let account = &self.rules.accounts[usize::from(row.account)];
        let feed_time = feed_time.saturating_sub(self.midnight);
        write!(self.out, "{},{feed_time},rejected,{refusal},0,{account},", row.at)?;
        write!(self.out, "{},{},{},0,", row.user, row.symbol, row.slot)?;
        match row.op {
            Op::Set(spec) => {
                writeln!(self.out, "{},{},{},{},", spec.tag, spec.signal.name(), spec.comparison.name(), spec.threshold)
            }
            Op::Remove { tag } => writeln!(self.out, "{tag},,,,"),
        }
    }
}
