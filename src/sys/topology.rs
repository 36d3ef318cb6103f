//! The machine's cores as this process may use them, read from `/sys` and `/proc` under a root that is an argument.
//!
//! | what | where |
//! |---|---|
//! | allowed cores | the affinity mask, [`affinity::allowed`]: it contains the cpuset already |
//! | quota | `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` (v1) of the process's group and each group above it |
//! | isolated cores | `/sys/devices/system/cpu/isolated` |
//! | threads of a core | `/sys/devices/system/cpu/cpuN/topology/thread_siblings_list` |
//! | NUMA node | `/sys/devices/system/node/nodeN/cpulist` |
//!
//! A file that is absent or cannot be read says nothing: no quota, not isolated, no siblings, node 0. What a wrong guess
//! costs is a plan that is less than best, and the plan is printed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::affinity;

/// What a process may use of its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores of the affinity mask, ascending by number.
    pub cores: Vec<Core>,
    /// CPU time that the cgroup may use, in thousandths of a core. `None`: as much as there is.
    pub quota_millicores: Option<u64>,
}

/// A core, as the kernel numbers them: with simultaneous multithreading, one thread of a physical core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// The kernel's number.
    pub id: usize,
    /// True when the scheduler puts nothing on it by itself (`isolcpus`).
    pub isolated: bool,
    /// The lowest number among the threads of its physical core: equal for siblings.
    pub physical: usize,
    /// Its NUMA node.
    pub node: usize,
}

impl Machine {
    /// This machine, as the calling thread sees it: to be read before any thread is pinned.
    ///
    /// # Errors
    /// When the affinity mask cannot be read.
    pub fn this() -> io::Result<Machine> {
        Ok(Machine::read(Path::new("/"), &affinity::allowed()?))
    }

    /// The machine whose files stand under `root`, with `allowed` as affinity mask.
    pub fn read(root: &Path, allowed: &[usize]) -> Machine {
        let cpus = root.join("sys/devices/system/cpu");
        let isolated = list_at(&cpus.join("isolated"));
        let nodes = nodes(&root.join("sys/devices/system/node"));
        let core = |&id: &usize| {
            let siblings = list_at(&cpus.join(format!("cpu{id}/topology/thread_siblings_list")));
            Core {
                id,
                isolated: isolated.contains(&id),
                physical: siblings.into_iter().min().unwrap_or(id),
                node: nodes.iter().find(|(_, cores)| cores.contains(&id)).map_or(0, |(node, _)| *node),
            }
        };
        Machine { cores: allowed.iter().map(core).collect(), quota_millicores: quota(root) }
    }

    /// The core with this number, when the process may use it.
    pub fn core(&self, id: usize) -> Option<&Core> {
        self.cores.iter().find(|core| core.id == id)
    }
}

fn list_at(path: &Path) -> Vec<usize> {
    parse_list(&fs::read_to_string(path).unwrap_or_default())
}

/// Numbers in the kernel's list format, `0-3,8`. Parts that are no numbers are left out, so is a range beyond reason.
pub fn parse_list(text: &str) -> Vec<usize> {
    text.trim().split(',').filter_map(range).flatten().collect()
}

fn range(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    // A damaged file must not become an endless list.
    (last < 1 << 16).then_some(first..=last)
}

fn nodes(folder: &Path) -> Vec<(usize, Vec<usize>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let node = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        Some((number, list_at(&entry.path().join("cpulist"))))
    };
    entries.filter_map(node).collect()
}

/// The tightest quota of the process's cgroup and the groups above it.
fn quota(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    groups.lines().filter_map(|line| group_quota(&mount, line)).min()
}

/// The quota that one line of `/proc/self/cgroup` (`number:controllers:/path`) leads to.
fn group_quota(mount: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, group) = (fields.next()?, fields.next()?);
    if controllers.is_empty() {
        return tightest(mount.to_path_buf(), group, quota_v2);
    }
    if !controllers.split(',').any(|controller| controller == "cpu") {
        return None;
    }
    // The folder bears the names of all controllers of the hierarchy; `cpu` is then a link to it, mostly.
    let folders = [mount.join(controllers), mount.join("cpu")];
    let folder = folders.into_iter().find(|folder| folder.is_dir())?;
    tightest(folder, group, quota_v1)
}

/// The smallest quota from the hierarchy's `top` down to `group`. A container often sees its own group as the top while
/// the path names the one outside: folders that do not exist are passed over.
fn tightest(top: PathBuf, group: &str, quota: fn(&Path) -> Option<u64>) -> Option<u64> {
    let names = Path::new(group).components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut folder = top;
    let mut least = quota(&folder);
    for name in names {
        folder.push(name);
        least = [least, quota(&folder)].into_iter().flatten().min();
    }
    least
}

/// `cpu.max`: quota, or `max`, and period, both in microseconds.
fn quota_v2(folder: &Path) -> Option<u64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    millicores(quota, period)
}

/// `cpu.cfs_quota_us`, -1 for none, and `cpu.cfs_period_us`.
fn quota_v1(folder: &Path) -> Option<u64> {
    let read = |name| fs::read_to_string(folder.join(name)).ok();
    millicores(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
}

/// `max` and -1 are no numbers here, and so no quota.
fn millicores(quota: &str, period: &str) -> Option<u64> {
    let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    quota.checked_mul(1_000)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files under a temporary root.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn quota_of(files: &[(&str, &str)]) -> Option<u64> {
        Machine::read(tree(files).path(), &[0]).quota_millicores
    }

    #[test]
    fn reads_isolated_cores_siblings_and_nodes_for_the_allowed_cores_only() {
        let root = tree(&[
            ("sys/devices/system/cpu/isolated", "2-3,9\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n"),
            ("sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "1,5\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node1/cpulist", "4-7\n"),
            ("sys/devices/system/node/possible", "0-1\n"),
        ]);
        let machine = Machine::read(root.path(), &[1, 2, 5]);
        let core = |id, isolated, physical, node| Core { id, isolated, physical, node };
        assert_eq!(machine.cores, [core(1, false, 1, 0), core(2, true, 2, 0), core(5, false, 1, 1)]);
        assert_eq!((machine.core(5).is_some(), machine.core(3)), (true, None));
    }

    #[test]
    fn an_empty_tree_says_nothing() {
        let machine = Machine::read(tree(&[]).path(), &[0, 4]);
        assert_eq!(machine.cores[1], Core { id: 4, isolated: false, physical: 4, node: 0 });
        assert_eq!(machine.quota_millicores, None);
    }

    #[test]
    fn cgroup_v2_takes_the_tightest_of_all_levels() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let all = [own, ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"), ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")];
        assert_eq!(quota_of(&all), Some(1_500));
        assert_eq!(quota_of(&[own, ("sys/fs/cgroup/cpu.max", "50000 100000\n")]), Some(500));
        assert_eq!(quota_of(&[own, ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")]), None);
    }

    #[test]
    fn cgroup_v1_reads_quota_and_period_and_knows_none() {
        let own = ("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/box\n");
        let group = |quota| {
            let folder = "sys/fs/cgroup/cpu,cpuacct/box";
            let (quota_at, period_at) = (format!("{folder}/cpu.cfs_quota_us"), format!("{folder}/cpu.cfs_period_us"));
            quota_of(&[own, (&quota_at, quota), (&period_at, "100000\n")])
        };
        assert_eq!((group("200000\n"), group("-1\n")), (Some(2_000), None));
        let linked = [own, ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "5"), ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "0")];
        assert_eq!(quota_of(&linked), None);
    }

    #[test]
    fn damaged_lists_are_read_as_far_as_they_make_sense() {
        let root = tree(&[("list", "x,3,7-5,9-99999999999,-,1-2")]);
        assert_eq!(list_at(&root.path().join("list")), [3, 1, 2]);
    }

    #[test]
    fn this_machine_has_a_core() {
        assert!(!Machine::this().unwrap().cores.is_empty());
    }
}
