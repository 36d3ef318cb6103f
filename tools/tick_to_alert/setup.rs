//! What all modes share: the options, the cores, the engine under test.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairtrigger::sys::affinity;
use serde_json::Value;

use crate::drive::Cores;
use crate::engine::{Engine, Layout, Settings};
use crate::feed::Feed;
use crate::machine::{self, Jitter};
use crate::rules;

/// How long spinning threads watch the cores before each run.
const JITTER_TIME: Duration = Duration::from_millis(200);
/// Time for the engine to read what waited for it.
pub const SETTLE: Duration = Duration::from_millis(50);
/// Bytes of receive buffer that the engine and the relay ask for.
pub const RECEIVE_BUFFER: usize = 8 << 20;

/// Options of every mode.
#[derive(clap::Args)]
pub struct Common {
    /// Symbols of the feed
    #[arg(long, global = true, default_value_t = 1_000)]
    pub symbols: usize,
    /// Seconds of each run
    #[arg(long, global = true, default_value_t = 2.0)]
    pub seconds: f64,
    /// Runs of each
    #[arg(long, global = true, default_value_t = 3)]
    pub rounds: usize,
    /// Cores: sender and reader, then the engine's, or sender, reader, feed, matchers, gateway, control
    #[arg(long, global = true, value_delimiter = ',')]
    pub cores: Option<Vec<usize>>,
    /// The engine's idle strategy
    #[arg(long, global = true, default_value = "spin")]
    pub idle: String,
    /// Another value of a key of the engine's config, as TOML: `feed.receive_buffer="1MiB"`; may be given several times
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The engine's command; default: `hairtrigger` beside this one
    #[arg(long, global = true)]
    pub engine: Option<PathBuf>,
    /// Folder of the engine's files
    #[arg(long, global = true, default_value = "/dev/shm/tick-to-alert")]
    pub folder: PathBuf,
    /// Folder for summary.json, table.txt, .hgrm files and plots
    #[arg(long, global = true)]
    pub out: Option<PathBuf>,
}

/// What the options come to on this machine.
pub struct Setup {
    /// The options.
    pub common: Common,
    /// Of the sender and the reader.
    pub cores: Cores,
    /// Of the engine.
    pub layout: Layout,
    /// For every record.
    pub machine: Value,
}

impl Setup {
    /// Looks at the machine.
    pub fn new(common: Common) -> Result<Setup, Box<dyn Error>> {
        // One symbol more than asked for is a storm's, and locates are from 1.
        if common.symbols == 0 || common.symbols >= 65_534 || common.rounds == 0 {
            return Err("expected 1 to 65533 symbols, and a round".into());
        }
        let (cores, layout) = layout(&common)?;
        let machine = machine::describe(&cores);
        let reader = if cores.len() == 2 { cores[0] } else { cores[1] };
        Ok(Setup { common, cores: Cores { sender: cores[0], reader }, layout, machine })
    }

    /// Starts an engine that has room for so many rules beside those that fire.
    pub fn engine(&self, rules: u64, journal: Option<&Path>) -> Result<Running, Box<dyn Error>> {
        let command = self.common.engine.clone().map_or_else(beside_this, Ok)?;
        let folder = self.common.folder.join(std::process::id().to_string());
        let settings = Settings {
            command: &command,
            folder: &folder,
            journal: journal.map_or_else(|| folder.join("journal"), Path::to_path_buf),
            layout: &self.layout,
            rules_max: rules + 2 * self.common.symbols as u64,
            receive_buffer: RECEIVE_BUFFER,
            overrides: &self.common.set,
        };
        Ok(Running { engine: Engine::start(&settings)?, folder })
    }

    /// An engine with these rules, whose feed has opened.
    pub fn loaded(&self, rules: u64, mix: u64) -> Result<(Running, Feed), Box<dyn Error>> {
        let running = self.engine(rules, None)?;
        let loaded = rules::load(running.engine.control, self.common.symbols, rules)?;
        eprintln!("{} rules set and answered in {:.2} s", rules + 2 * self.common.symbols as u64, loaded.as_secs_f64());
        let feed = self.opened(&running.engine, mix)?;
        Ok((running, feed))
    }

    /// The feed of an engine, opened.
    pub fn opened(&self, engine: &Engine, mix: u64) -> Result<Feed, Box<dyn Error>> {
        let mut feed = Feed::new(self.common.symbols, mix)?;
        feed.connect(engine.feed)?;
        feed.open()?;
        std::thread::sleep(SETTLE);
        Ok(feed)
    }

    /// The cores whose jitter and steal count.
    pub fn used(&self) -> Vec<usize> {
        let mut used = vec![self.cores.sender, self.cores.reader];
        used.extend(self.layout.cores());
        used.sort_unstable();
        used.dedup();
        used
    }

    /// What threads see now that spin on the cores used.
    pub fn jitter(&self) -> Jitter {
        Jitter::of(&self.used(), JITTER_TIME)
    }
}

/// An engine whose files go when it ends.
pub struct Running {
    /// The engine.
    pub engine: Engine,
    folder: PathBuf,
}

impl Running {
    /// Its counters and histograms.
    pub fn stats(&self) -> PathBuf {
        self.folder.join("stats")
    }

    /// Ends it and removes its files.
    pub fn end(self) -> std::io::Result<()> {
        let Running { engine, folder } = self;
        drop(engine);
        fs::remove_dir_all(folder)
    }
}

/// The cores used, and which of them are the engine's.
fn layout(common: &Common) -> Result<(Vec<usize>, Layout), Box<dyn Error>> {
    let allowed = affinity::allowed()?;
    let cores = common.cores.clone().unwrap_or_else(|| match allowed.len() {
        ..6 => allowed.iter().copied().take(2).collect(),
        // The first core has the machine's own work where there is another.
        count => allowed.iter().copied().skip(usize::from(count > 6)).take(6).collect(),
    });
    let idle = common.idle.clone();
    let layout = match cores[..] {
        [_, all] => Layout { feed: all, matchers: vec![all], gateway: all, control: all, idle },
        [_, _, feed, ref matchers @ .., gateway, control] if !matchers.is_empty() => {
            Layout { feed, matchers: matchers.to_vec(), gateway, control, idle }
        }
        _ => return Err(format!("expected 2 cores, or 6 or more, not {cores:?}").into()),
    };
    Ok((cores, layout))
}

fn beside_this() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("hairtrigger"))
}
