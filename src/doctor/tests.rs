//! Each check on a host that is well, one that is not, and one that does not tell.

use std::fs;

use super::*;
use State::{Costs, Unseen, Well};

const CPU: &str = "sys/devices/system/cpu";

/// What a check says of a host with these files, whose engine runs on cores 2 and 3. A path that ends in `/` is a folder.
fn seen(check: &str, files: &[(&str, &str)]) -> Finding {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let host = Host::new(root.path(), &[2, 3], 8 << 20);
    examine(&host).into_iter().find(|finding| finding.check == check).unwrap()
}

fn state(check: &str, files: &[(&str, &str)]) -> State {
    seen(check, files).state
}

/// The same for one file.
fn of(check: &str, file: &str, text: &str) -> State {
    state(check, &[(file, text)])
}

#[test]
fn on_an_empty_host_nothing_is_seen_and_nothing_is_called_well() {
    let root = tempfile::tempdir().unwrap();
    let findings = examine(&Host::new(root.path(), &[2, 3], 1));
    assert_eq!(findings.len(), 20);
    let seen: Vec<_> = findings.iter().filter(|finding| finding.state != Unseen).collect();
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn isolated() {
    let file = format!("{CPU}/isolated");
    assert_eq!(of("isolated", &file, "2-5\n"), Well);
    let finding = seen("isolated", &[(&file, "3\n")]);
    assert_eq!((finding.state, finding.found.as_str()), (Costs, "not isolated: 2"));
    assert!(finding.command.ends_with("domain,2-3"), "{}", finding.command);
    assert_eq!(of("isolated", &file, "\n"), Costs);
}

#[test]
fn nohz_full() {
    let file = format!("{CPU}/nohz_full");
    assert_eq!(of("nohz_full", &file, "2,3\n"), Well);
    assert_eq!(of("nohz_full", &file, " (null)\n"), Costs);
    assert_eq!(of("nohz_full", &format!("{CPU}/online"), "0-3\n"), Costs);
}

#[test]
fn rcu_nocbs() {
    let file = "proc/cmdline";
    assert_eq!(of("rcu_nocbs", file, "quiet rcu_nocbs=2 nohz_full=3 x=1\n"), Well);
    assert_eq!(of("rcu_nocbs", file, "quiet rcu_nocbs\n"), Well);
    assert_eq!(of("rcu_nocbs", file, "rcu_nocbs=all\n"), Well);
    assert_eq!(of("rcu_nocbs", file, "quiet rcu_nocbs=2\n"), Costs);
}

#[test]
fn quota() {
    let group = ("proc/self/cgroup", "0::/\n");
    assert_eq!(state("quota", &[group, ("sys/fs/cgroup/cpu.max", "max 100000\n")]), Well);
    let finding = seen("quota", &[group, ("sys/fs/cgroup/cpu.max", "150000 100000\n")]);
    assert_eq!((finding.state, finding.found.as_str()), (Costs, "1.500 cores"));
}

#[test]
fn siblings() {
    let files = |third: &'static str| {
        let of = |core| format!("{CPU}/cpu{core}/topology/thread_siblings_list");
        state("siblings", &[(&of(2), "2\n"), (&of(3), third)])
    };
    assert_eq!((files("3\n"), files("3,7\n")), (Well, Costs));
}

#[test]
fn interrupts() {
    let nic = ("proc/irq/40/eth0-rx-0/", "");
    assert_eq!(state("interrupts", &[nic, ("proc/irq/40/effective_affinity_list", "1\n")]), Well);
    let finding = seen("interrupts", &[nic, ("proc/irq/40/effective_affinity_list", "2\n")]);
    assert_eq!((finding.state, finding.found.as_str()), (Costs, "40 eth0-rx-0"));
    let wide = [nic, ("proc/irq/40/effective_affinity_list", "\n"), ("proc/irq/40/smp_affinity_list", "0-7\n")];
    assert_eq!(state("interrupts", &wide), Costs);
    // No device uses it.
    assert_eq!(of("interrupts", "proc/irq/9/smp_affinity_list", "0-7\n"), Well);
}

#[test]
fn timer_migration() {
    let (file, tickless) = ("proc/sys/kernel/timer_migration", format!("{CPU}/nohz_full"));
    let with = |on, cores| state("timer_migration", &[(file, on), (&tickless, cores)]);
    assert_eq!((with("1\n", "2-3\n"), with("0\n", "2-3\n")), (Well, Costs));
    assert_eq!((with("1\n", "\n"), with("0\n", "\n")), (Costs, Well));
}

#[test]
fn nmi_watchdog() {
    let file = "proc/sys/kernel/nmi_watchdog";
    assert_eq!((of("nmi_watchdog", file, "0\n"), of("nmi_watchdog", file, "1\n")), (Well, Costs));
}

#[test]
fn steal_counts_the_engines_cores_only() {
    let others = "cpu  9 9 9 9 9 9 9 999 0 0\ncpu0 0 0 0 10 0 0 0 990 0 0\n";
    let of = |steal: u64| {
        let text = format!("{others}cpu2 100 0 0 {} 0 0 0 0 50 0\ncpu3 0 0 0 0 0 0 0 {steal} 0 0\n", 999_900 - steal);
        seen("steal", &[("proc/stat", &text)])
    };
    assert_eq!((of(100).state, of(101).state), (Well, Costs));
    assert_eq!(of(20_000).found, "2.0000 %");
}

#[test]
fn governor() {
    let of = |core| format!("{CPU}/cpu{core}/cpufreq/scaling_governor");
    let (second, third) = (of(2), of(3));
    assert_eq!(state("governor", &[(&second, "performance\n"), (&third, "performance\n")]), Well);
    let finding = seen("governor", &[(&second, "performance\n"), (&third, "powersave\n")]);
    assert_eq!((finding.state, finding.found.as_str()), (Costs, "powersave on 3"));
    assert_eq!(state("governor", &[(&format!("{CPU}/cpu0/cpufreq/scaling_governor"), "powersave\n")]), Unseen);
}

#[test]
fn idle_states() {
    let of = |state, file| format!("{CPU}/cpu2/cpuidle/state{state}/{file}");
    let shallow = (of(1, "latency"), "2\n");
    let deep = [(of(2, "latency"), "133\n"), (of(2, "name"), "C6\n")];
    let files = |extra: &[(String, &'static str)]| {
        let all: Vec<_> = [&shallow].into_iter().chain(extra).map(|(name, text)| (name.as_str(), *text)).collect();
        seen("idle_states", &all)
    };
    assert_eq!(files(&[]).state, Well);
    assert_eq!((files(&deep).state, files(&deep).found.as_str()), (Costs, "C6 (133 us)"));
    let [latency, name] = deep;
    assert_eq!(files(&[latency, name, (of(2, "disable"), "1\n")]).state, Well);
}

#[test]
fn clock_source() {
    let file = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    assert_eq!((of("clock_source", file, "tsc\n"), of("clock_source", file, "hpet\n")), (Well, Costs));
}

#[test]
fn huge_pages() {
    let file = "sys/kernel/mm/transparent_hugepage/enabled";
    assert_eq!(of("huge_pages", file, "always [madvise] never\n"), Well);
    assert_eq!(of("huge_pages", file, "[always] madvise never\n"), Costs);
    assert_eq!(of("huge_pages", file, "always madvise [never]\n"), Costs);
}

#[test]
fn numa_balancing() {
    let file = "proc/sys/kernel/numa_balancing";
    assert_eq!((of("numa_balancing", file, "0\n"), of("numa_balancing", file, "1\n")), (Well, Costs));
}

#[test]
fn swappiness() {
    let (none, some) = ("Filename Type\n", "Filename Type\n/dev/sda2 partition\n");
    let with = |swaps, value| state("swappiness", &[("proc/swaps", swaps), ("proc/sys/vm/swappiness", value)]);
    assert_eq!((with(none, "60\n"), with(some, "0\n"), with(some, "60\n")), (Well, Well, Costs));
}

#[test]
fn memlock() {
    let with = |soft| {
        let text = format!("Limit  Soft  Hard\nMax locked memory         {soft}   unlimited   bytes\n");
        state("memlock", &[("proc/self/limits", &text)])
    };
    assert_eq!((with("unlimited"), with("8388608")), (Well, Costs));
}

#[test]
fn receive_buffer() {
    let file = "proc/sys/net/core/rmem_max";
    assert_eq!(of("receive_buffer", file, "8388608\n"), Well);
    let finding = seen("receive_buffer", &[(file, "212992\n")]);
    assert_eq!((finding.state, finding.command.as_str()), (Costs, "sysctl net.core.rmem_max=8388608"));
}

const CARD: (&str, &str) = ("sys/class/net/eth0/device/", "");

#[test]
fn busy_poll() {
    let with = |read, poll, card: &[(&str, &str)]| {
        let sysctls = [("proc/sys/net/core/busy_read", read), ("proc/sys/net/core/busy_poll", poll)];
        state("busy_poll", &[&sysctls[..], card].concat())
    };
    assert_eq!((with("50\n", "50\n", &[CARD]), with("50\n", "0\n", &[CARD])), (Well, Costs));
    assert_eq!(with("0\n", "0\n", &[("sys/class/net/lo/mtu", "65536\n")]), Well);
}

#[test]
fn interrupt_delay() {
    let with = |timeout| seen("interrupt_delay", &[CARD, ("sys/class/net/eth0/gro_flush_timeout", timeout)]);
    assert_eq!((with("0\n").state, with("20000\n").state), (Well, Costs));
    assert_eq!(with("20000\n").found, "eth0 20000 ns");
    assert_eq!(of("interrupt_delay", "sys/class/net/lo/gro_flush_timeout", "9\n"), Unseen);
}

#[test]
fn coalescing_is_never_called_well_where_there_is_a_card() {
    assert_eq!(state("coalescing", &[CARD]), Unseen);
    assert_eq!(of("coalescing", "sys/class/net/lo/mtu", "65536\n"), Well);
}

#[test]
fn cores_are_those_given_or_those_that_may_be_used() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(CPU)).unwrap();
    fs::write(root.path().join(CPU).join("online"), "0-3\n").unwrap();
    assert_eq!(Host::new(root.path(), &[], 1).cores(), [0, 1, 2, 3]);
    fs::create_dir_all(root.path().join("proc/self")).unwrap();
    fs::write(root.path().join("proc/self/status"), "Name:\tx\nCpus_allowed_list:\t1,3\n").unwrap();
    assert_eq!(Host::new(root.path(), &[], 1).cores(), [1, 3]);
    assert_eq!(Host::new(root.path(), &[9], 1).cores(), [9]);
}
