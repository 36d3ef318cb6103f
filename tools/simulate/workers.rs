//! The processes that run seeds: the words of a run come in on a line, the numbers of its report go out on one. One that ends has failed.

use std::io::{BufRead, BufReader, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hairtrigger::sys::affinity;

use super::simulated::{Knobs, Report, run};

/// A process, for the one who has it run seeds.
pub struct Worker {
    child: Child,
    runs: ChildStdin,
    reports: BufReader<ChildStdout>,
    folder: PathBuf,
}

/// Where a process runs its seeds.
fn folder(root: &Path, process: u32) -> PathBuf {
    root.join(format!("hairtrigger-simulate-{process}"))
}

impl Worker {
    /// Has it run by the worker that is there, or by a new one. `None`: it failed.
    pub fn run(worker: &mut Option<Worker>, core: usize, root: &Path, knobs: &Knobs) -> Option<Report> {
        let here = worker.get_or_insert_with(|| Worker::begin(core, root));
        let report = here.ask(knobs);
        if report.is_none() {
            *worker = None;
        }
        report
    }

    /// With this one's own arguments.
    fn begin(core: usize, root: &Path) -> Worker {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(std::env::args_os().skip(1)).arg(format!("--core={core}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let (runs, reports) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Worker { folder: folder(root, child.id()), child, runs, reports: BufReader::new(reports) }
    }

    fn ask(&mut self, knobs: &Knobs) -> Option<Report> {
        writeln!(self.runs, "{}", knobs.words()).ok()?;
        let mut line = String::new();
        self.reports.read_line(&mut line).ok()?;
        Report::of_line(line.trim_end())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It waits for a run, or has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What such a process does: runs what it is given, on one core, each in a folder that is there for it alone.
pub fn run_given(core: usize, root: &Path) {
    affinity::pin_current(core).expect("a core of the mask");
    let folder = folder(root, std::process::id());
    for line in stdin().lines() {
        let line = line.expect("a pipe");
        let words = line.split(' ').filter_map(|word| word.split_once('='));
        let words: Vec<(&str, u64)> = words.map(|(name, value)| (name, value.parse().expect(name))).collect();
        let knobs = Knobs::read(0, |name| words.iter().find(|(of, _)| *of == name).map(|(_, value)| *value));
        std::fs::create_dir_all(&folder).expect("a folder of our own");
        let report = run(knobs, &folder);
        std::fs::remove_dir_all(&folder).expect("a folder of our own");
        println!("{}", report.line());
    }
}
