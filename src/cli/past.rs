//! Which day of a journal is meant, and where what belongs to it lies.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hairtrigger::archive::{Archive, Day, session_name};
use hairtrigger::config::{midnight_utc, today};
use hairtrigger::model::Nanos;
use jiff::civil::Date;

/// Arguments of commands that read a journal.
#[derive(clap::Args)]
pub struct PastArgs {
    /// Folder of the alert log, which says what rules have fired; default: the one that the journal's folder lies in
    #[arg(long)]
    alerts: Option<PathBuf>,
    /// Session of the feed; default: that of the capture, else the last one that the journal names
    #[arg(long)]
    session: Option<String>,
    /// Date that times of day belong to; default: that of the journal's feed times
    #[arg(long)]
    date: Option<Date>,
    /// Zone of the feed's time of day
    #[arg(long, default_value = "America/New_York")]
    zone: String,
}

impl PastArgs {
    /// Reads the journal and the alert log.
    pub fn read(&self, journal: &Path) -> Result<Archive, Box<dyn Error>> {
        let parent = || journal.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        let alerts = self.alerts.clone().or_else(parent).unwrap_or_default();
        let archive = Archive::read(journal, &alerts)?;
        if archive.logs == 0 {
            eprintln!("note: no alert log in {}: which rules have fired is not known (--alerts)", alerts.display());
        } else if !archive.is_whole {
            eprintln!("note: the alert log in {} is not whole: firings may be missing", alerts.display());
        }
        Ok(archive)
    }

    /// The day that is meant, `recorded` being the session of the feed where that is known.
    pub fn day(&self, archive: &Archive, recorded: Option<[u8; 10]>) -> Result<Day, Box<dyn Error>> {
        let mut wanted = recorded;
        if let Some(text) = &self.session {
            let mut id = [b' '; 10];
            let place = id.get_mut(..text.len()).ok_or("--session: expected 1 to 10 characters")?;
            place.copy_from_slice(text.as_bytes());
            wanted = Some(id);
        }
        let day = archive.day(wanted);
        let names: Vec<String> = day.sessions.iter().map(session_name).collect();
        if wanted.is_some() && self.may_be_gone(archive, &day)? {
            return Err(format!(
                "the journal begins with record {}, and names no session {}, only {}: if that was before, its changes are gone \
                 (journal.history_size says how much is kept); if it came after all that the journal has, say its --date",
                archive.first,
                session_name(&day.session),
                if names.is_empty() { "nothing".into() } else { names.join(", ") }
            )
            .into());
        }
        if names.is_empty() {
            eprintln!("note: the journal names no session of the feed: all of it is taken to come before the feed");
        } else if !day.sessions.contains(&day.session) {
            let (wanted, names) = (session_name(&day.session), names.join(", "));
            eprintln!(
                "note: the journal names no session {wanted}, only {names}: all that it has is taken to be earlier"
            );
        } else if names.len() > 1 {
            eprintln!("note: session {} of {}", session_name(&day.session), names.join(", "));
        }
        if day.is_cut() {
            eprintln!("note: the journal is kept from within this session on: what happened before is not given again");
        }
        Ok(day)
    }

    /// True when the journal was kept from some place on, and nothing says that the day does not lie before that.
    fn may_be_gone(&self, archive: &Archive, day: &Day) -> Result<bool, Box<dyn Error>> {
        let begins_within = day.is_cut() && day.sessions.is_empty();
        if archive.first == 1 || day.sessions.contains(&day.session) || begins_within {
            return Ok(false);
        }
        let Some(date) = self.date else { return Ok(true) };
        let midnight = midnight_utc(date, &self.zone)?;
        Ok(archive.feed_time().is_some_and(|latest| latest > midnight))
    }

    /// The date that is meant and its midnight, `feed_time` being a moment of it where one is known.
    pub fn midnight(&self, feed_time: Option<Nanos>) -> Result<(Date, Nanos), Box<dyn Error>> {
        let date = match (self.date, feed_time) {
            (Some(date), _) => date,
            (None, Some(time)) => today(time, &self.zone)?,
            (None, None) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as Nanos;
                eprintln!("note: neither journal nor alert log has a feed time: today's date is taken (--date)");
                today(now, &self.zone)?
            }
        };
        Ok((date, midnight_utc(date, &self.zone)?))
    }

    /// The zone, for messages.
    pub fn zone(&self) -> &str {
        &self.zone
    }
}
