//! The files of a host, under a root. What is absent or cannot be read is `None`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::topology::{Machine, parse_list};

/// A host to be examined.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    cores: Vec<usize>,
    receive_buffer: u64,
}

impl Host {
    /// The host whose files stand under `root`; the engine runs on `cores`, or on all that the process may use when there
    /// are none, and asks for `receive_buffer` bytes for each line.
    pub fn new(root: &Path, cores: &[usize], receive_buffer: u64) -> Host {
        let mut host = Host { root: root.to_path_buf(), cores: cores.to_vec(), receive_buffer };
        if host.cores.is_empty() {
            host.cores = host.allowed();
        }
        host
    }

    /// The cores that the process may use: its mask, or else all that are online.
    pub fn allowed(&self) -> Vec<usize> {
        let mask = self.field("proc/self/status", "Cpus_allowed_list:").map(|list| parse_list(&list));
        let online = || self.list("sys/devices/system/cpu/online").unwrap_or_default();
        mask.filter(|mask| !mask.is_empty()).unwrap_or_else(online)
    }

    /// The engine's cores.
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// Bytes of receive buffer that the engine asks for.
    pub(super) fn receive_buffer(&self) -> u64 {
        self.receive_buffer
    }

    /// Its cores and quota, as the engine reads them.
    pub(super) fn machine(&self) -> Machine {
        Machine::read(&self.root, &self.cores)
    }

    /// A file's text without space around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_string())
    }

    /// A file's number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A file in the kernel's list format, `0-3,8`.
    pub(super) fn list(&self, path: &str) -> Option<Vec<usize>> {
        self.text(path).map(|text| parse_list(&text))
    }

    /// What follows `name` at the start of a line, without space around it.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        self.text(path)?.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_string())
    }

    /// The names in a folder, sorted; those that are numbers by their value.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_by_key(|name| (name.parse().unwrap_or(u64::MAX), name.clone()));
        names
    }

    /// True when it is there, whatever it is.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// True when it is a folder.
    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.root.join(path).is_dir()
    }

    /// A file of each core of the engine that has it.
    pub(super) fn of_cores(&self, file: &str) -> Vec<(usize, String)> {
        let of = |&core: &usize| Some((core, self.text(&format!("sys/devices/system/cpu/cpu{core}/{file}"))?));
        self.cores.iter().filter_map(of).collect()
    }

    /// The engine's cores that are not among `others`.
    pub(super) fn cores_outside(&self, others: &[usize]) -> Vec<usize> {
        self.cores.iter().copied().filter(|core| !others.contains(core)).collect()
    }
}

/// Cores in the kernel's list format.
pub(super) fn list(cores: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = vec![];
    for &core in cores {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == core => *last = core,
            _ => ranges.push((core, core)),
        }
    }
    let text = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_the_kernel_writes_it() {
        assert_eq!(list(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!((list(&[]), list(&[3])), (String::new(), "3".to_string()));
    }
}
