//! The feed's day: its stamps count from midnight in a zone, the engine's from 1970 in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::Nanos;

/// Why a date in a zone has no midnight that the engine can count from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// The zone database does not have it.
    #[error("expected a zone of the IANA database such as \"America/New_York\"")]
    Zone,
    /// Before 1970, or too late for 64 bits of nanoseconds.
    #[error("expected a date from 1970-01-02 to 2500-01-01")]
    Date,
}

/// UTC nanoseconds since 1970 of the first moment of `date` in `zone`.
///
/// # Errors
/// [`DayError`].
pub fn midnight_utc(date: Date, zone: &str) -> Result<Nanos, DayError> {
    if !(Date::constant(1970, 1, 2)..=Date::constant(2500, 1, 1)).contains(&date) {
        return Err(DayError::Date);
    }
    let midnight: Zoned = date.to_zoned(time_zone(zone)?).map_err(|_| DayError::Date)?;
    Nanos::try_from(midnight.timestamp().as_nanosecond()).map_err(|_| DayError::Date)
}

/// The date in `zone` at a moment, in UTC nanoseconds since 1970.
///
/// # Errors
/// [`DayError`].
pub fn today(now: Nanos, zone: &str) -> Result<Date, DayError> {
    let now = Timestamp::from_nanosecond(now.into()).map_err(|_| DayError::Date)?;
    Ok(now.to_zoned(time_zone(zone)?).date())
}

fn time_zone(zone: &str) -> Result<TimeZone, DayError> {
    TimeZone::get(zone).map_err(|_| DayError::Zone)
}
