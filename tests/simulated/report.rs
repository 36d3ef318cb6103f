//! How large a run is, and what it came to.

use std::fmt;

use hairtrigger::journal::storage::simulated::Crash;

/// How large a run is. What is not given comes from the seed.
#[derive(Debug, Clone, Copy)]
pub struct Knobs {
    pub seed: u64,
    pub messages: u64,
    pub asks: u64,
    /// Starts of the engine.
    pub lives: Option<u64>,
    pub shards: Option<u64>,
    /// The first of two lives ends so, at this operation of the journal's disk.
    pub crash: Option<(Crash, usize)>,
}

impl Knobs {
    pub fn of(seed: u64) -> Knobs {
        Knobs { seed, messages: 250, asks: 90, lives: None, shards: None, crash: None }
    }

    /// The words that reproduce a run.
    pub fn words(&self) -> String {
        let Knobs { seed, messages, asks, lives, shards, crash } = self;
        let given = |name: &str, value: Option<u64>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        let crash = crash.map(|(crash, at)| (if crash == Crash::Kill { "KILL" } else { "POWER" }, Some(at as u64)));
        let crash = crash.map_or(String::new(), |(how, at)| given(how, at));
        format!(
            "SEED={seed} MESSAGES={messages} ASKS={asks}{}{}{crash}",
            given("LIVES", *lives),
            given("SHARDS", *shards)
        )
    }

    /// Reads them. `word` gives the value of a name.
    pub fn read(seed: u64, word: impl Fn(&str) -> Option<u64>) -> Knobs {
        let Knobs { messages, asks, .. } = Knobs::of(seed);
        let crash = |name, how| word(name).map(|at| (how, at as usize));
        Knobs {
            seed: word("SEED").unwrap_or(seed),
            messages: word("MESSAGES").unwrap_or(messages),
            asks: word("ASKS").unwrap_or(asks),
            lives: word("LIVES"),
            shards: word("SHARDS"),
            crash: crash("KILL", Crash::Kill).or(crash("POWER", Crash::Power)),
        }
    }
}

macro_rules! report {
    ($($(#[$meta:meta])* $field:ident: $words:literal),* $(,)?) => {
        /// What a run came to.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Report {
            $($(#[$meta])* pub $field: u64,)*
            /// Of all that was done, in its order, and of all that was told: equal for equal seeds.
            pub digest: u64,
        }

        impl Report {
            /// Adds up.
            pub fn add(&mut self, other: &Report) {
                $(self.$field += other.$field;)*
            }

            /// Its numbers, in one line.
            pub fn line(&self) -> String {
                [$(self.$field,)* self.digest].map(|number| number.to_string()).join(" ")
            }

            /// Reads such a line.
            pub fn of_line(line: &str) -> Option<Report> {
                let mut numbers = line.split(' ').map(str::parse);
                Some(Report { $($field: numbers.next()?.ok()?,)* digest: numbers.next()?.ok()? })
            }
        }

        impl fmt::Display for Report {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let all = [$(format!(concat!("{} ", $words), self.$field)),*];
                f.write_str(&all.join(", "))
            }
        }
    };
}

report! {
    steps: "steps",
    lives: "starts",
    kills: "kills",
    power_cuts: "power cuts",
    session_changes: "changes of the feed's session",
    /// Of them.
    changes_away: "of them while the engine was away",
    gaps: "gaps that nobody filled",
    without_server: "lives without a re-request server",
    unserved: "messages that such engines missed",
    disk_failures: "failures of the disk",
    lost: "alerts lost in power cuts",
    snapshots: "snapshots",
    pruned: "files removed behind them",
    /// In the first life.
    operations: "operations of the journal's disk in first lives",
    acknowledged: "answers",
    rows: "events compared",
    keys_left_out: "keys left out",
    reconnects: "connections",
}

impl Report {
    /// Takes what was done into the digest.
    pub fn note(&mut self, what: u64) {
        self.digest = (self.digest ^ what).wrapping_mul(0x100_0000_01b3).rotate_left(29);
    }

    /// The same for bytes.
    pub fn note_bytes(&mut self, bytes: &[u8]) {
        self.note(u64::from(crc32c::crc32c(bytes)) << 32 | bytes.len() as u64);
    }
}
