//! One test for each row of the automatic table, bearing its name, and one for each refusal.

use super::*;

/// A machine of `cores` cores with these numbers isolated.
fn machine(cores: usize, isolated: &[usize], quota_millicores: Option<u64>) -> Machine {
    let core = |id| Core { id, isolated: isolated.contains(&id), physical: id, node: 0 };
    Machine { cores: (0..cores).map(core).collect(), quota_millicores }
}

/// Cores 2n and 2n + 1 are threads of one physical core.
fn multithreaded(cores: usize) -> Machine {
    let core = |id| Core { id, isolated: false, physical: id / 2 * 2, node: 0 };
    Machine { cores: (0..cores).map(core).collect(), quota_millicores: None }
}

/// `core idle agents` for each thread.
fn lines(machine: &Machine, wish: &Topology) -> Vec<String> {
    let plan = Plan::new(machine, wish).unwrap();
    let core = |thread: &PlannedThread| thread.core.map_or("any".into(), |core| core.id.to_string());
    plan.threads.iter().map(|thread| format!("{} {} {}", core(thread), thread.idle.name(), thread.name())).collect()
}

fn automatic(machine: &Machine) -> Vec<String> {
    lines(machine, &Topology::default())
}

fn explicit(feed: usize, matchers: &[usize], gateway: usize, control: usize) -> Topology {
    let (feed, gateway, control) = (Some(feed), Some(gateway), Some(control));
    Topology { feed, matchers: Some(matchers.to_vec()), gateway, control, ..Topology::default() }
}

#[test]
fn one_core() {
    let all = ["any park feed+matcher-0+gateway+control+journal"];
    assert_eq!(automatic(&machine(1, &[], None)), all);
    assert_eq!(automatic(&machine(8, &[], Some(1_999))), all);
    assert_eq!(automatic(&machine(8, &[], Some(0))), all);
    assert_eq!(automatic(&machine(1, &[0], None)), all);
}

#[test]
fn quota() {
    let two = ["any park feed+matcher-0", "any park gateway+control+journal"];
    assert_eq!(automatic(&machine(8, &[], Some(2_000))), two);
    assert_eq!(automatic(&machine(8, &[4, 5, 6, 7], Some(3_500))), two);
    assert_eq!(automatic(&machine(8, &[], Some(5_000))).len(), 4);
}

#[test]
fn isolated() {
    let plan = automatic(&machine(8, &[2, 3, 5, 6, 7], None));
    assert_eq!(
        plan,
        ["2 spin feed", "3 spin matcher-0", "5 spin matcher-1", "6 spin gateway", "7 spin control+journal"]
    );
    assert_eq!(automatic(&machine(4, &[2, 3], None)), ["2 spin feed+matcher-0", "3 spin gateway+control+journal"]);
}

#[test]
fn few_cores() {
    let two = ["any park feed+matcher-0", "any park gateway+control+journal"];
    assert_eq!(automatic(&machine(2, &[], None)), two);
    assert_eq!(automatic(&machine(3, &[2], None)), two);
    assert_eq!(automatic(&multithreaded(2)), two);
    assert_eq!(automatic(&multithreaded(4)), two);
}

#[test]
fn many_cores() {
    let three = ["1 yield feed", "2 yield matcher-0", "3 yield gateway+control+journal"];
    assert_eq!(automatic(&machine(4, &[], None)), three);
    let five = ["1 yield feed", "2 yield matcher-0", "3 yield gateway", "4 yield control+journal"];
    assert_eq!(automatic(&machine(5, &[], None)), five);
    let smt = ["2 yield feed", "4 yield matcher-0", "6 yield gateway+control+journal"];
    assert_eq!(automatic(&multithreaded(8)), smt);
    assert_eq!(automatic(&machine(64, &[], None)).len(), 3 + crate::limits::SHARDS_AUTO_MAX);
}

#[test]
fn isolated_siblings_do_not_count_as_cores_of_ones_own() {
    let mut machine = multithreaded(2);
    machine.cores.iter_mut().for_each(|core| core.isolated = true);
    assert_eq!(automatic(&machine), ["any park feed+matcher-0", "any park gateway+control+journal"]);
}

#[test]
fn shards_and_idle_of_the_config_override_the_table() {
    let wish = Topology { shards: Some(3), idle: Some(Idle::Park), feed_idle: Some(Idle::Spin), ..Topology::default() };
    let plan = lines(&machine(6, &[], None), &wish);
    let expected =
        ["1 spin feed", "2 park matcher-0+matcher-2", "3 park matcher-1", "4 park gateway", "5 park control+journal"];
    assert_eq!(plan, expected);
}

#[test]
fn cores_of_the_config_are_taken_and_agents_on_one_core_share_a_thread() {
    let plan = Plan::new(&machine(8, &[2, 3, 4], None), &explicit(2, &[3, 4], 6, 6)).unwrap();
    assert_eq!((plan.shards, plan.thread_of(Role::Matcher(1)), plan.thread_of(Role::Control)), (2, Some(2), Some(3)));
    let table = "topology: 4 threads, 2 shards (as configured)\n  \
        core             idle   agents\n  \
        2 isolated       spin   feed\n  \
        3 isolated       spin   matcher-0\n  \
        4 isolated       spin   matcher-1\n  \
        6                yield  gateway+control+journal";
    assert_eq!(plan.to_string(), table);
    let under_quota = lines(&machine(8, &[], Some(4_000)), &explicit(2, &[2], 2, 3));
    assert_eq!(under_quota, ["2 park feed+matcher-0+gateway", "3 park control+journal"]);
}

#[test]
fn the_journal_has_a_core_of_its_own_or_that_of_control() {
    let own = Topology { journal: Some(7), ..explicit(2, &[3], 4, 5) };
    assert_eq!(lines(&machine(8, &[], None), &own)[3..], ["5 yield control", "7 yield journal"]);
    assert_eq!(lines(&machine(8, &[], None), &explicit(2, &[3], 4, 5))[3..], ["5 yield control+journal"]);
}

fn refused(machine: &Machine, wish: &Topology) -> PlanError {
    Plan::new(machine, wish).unwrap_err()
}

#[test]
fn a_number_of_shards_outside_the_limits_is_refused() {
    for shards in [0, SHARDS_MAX + 1] {
        let wish = Topology { shards: Some(shards), ..Topology::default() };
        assert_eq!(refused(&machine(2, &[], None), &wish), PlanError::Shards { shards });
        let wish = explicit(0, &vec![1; shards], 1, 1);
        assert_eq!(refused(&machine(2, &[], None), &wish), PlanError::Shards { shards });
    }
    let wish = Topology { shards: Some(3), ..explicit(0, &[1, 1], 1, 1) };
    assert_eq!(refused(&machine(2, &[], None), &wish), PlanError::Matchers { shards: 3, matchers: 2 });
}

#[test]
fn cores_for_some_agents_only_are_refused() {
    let whole = explicit(0, &[0], 0, 0);
    let partial = [
        (Topology { feed: None, ..whole.clone() }, "feed"),
        (Topology { matchers: None, ..whole.clone() }, "matchers"),
        (Topology { gateway: None, ..whole.clone() }, "gateway"),
        (Topology { control: None, ..whole }, "control"),
        (Topology { journal: Some(0), ..Topology::default() }, "feed"),
    ];
    for (wish, missing) in partial {
        assert_eq!(refused(&machine(2, &[], None), &wish), PlanError::Partial { missing });
    }
}

#[test]
fn a_core_outside_the_mask_is_refused_and_the_allowed_ones_are_named() {
    let error = refused(&machine(2, &[], None), &explicit(0, &[7], 1, 1));
    let text = "topology.matchers: core 7 is not among the cores that this process may use: [0, 1]";
    assert_eq!(error.to_string(), text);
}

#[test]
fn two_idle_strategies_on_one_thread_are_refused() {
    let wish = Topology { feed_idle: Some(Idle::Spin), gateway_idle: Some(Idle::Park), ..explicit(0, &[1], 0, 1) };
    let text = "topology: feed and gateway share a thread and need one idle strategy, not spin and park";
    assert_eq!(refused(&machine(2, &[], None), &wish).to_string(), text);
}

#[test]
fn two_spinning_threads_on_one_physical_core_are_refused() {
    let wish = Topology { idle: Some(Idle::Spin), ..explicit(0, &[1], 2, 2) };
    assert_eq!(refused(&multithreaded(4), &wish), PlanError::Siblings { first: 0, second: 1 });
    assert_eq!(lines(&machine(4, &[], None), &wish).len(), 3);
}

#[test]
fn as_many_spinning_threads_as_the_quota_has_cores_are_refused() {
    let wish = Topology { idle: Some(Idle::Spin), ..explicit(0, &[1], 1, 1) };
    let error = refused(&machine(4, &[], Some(2_000)), &wish);
    assert_eq!(error, PlanError::Quota { spinning: 2, quota_millicores: 2_000 });
    assert!(error.to_string().contains("2.000 cores"));
    assert_eq!(lines(&machine(4, &[], Some(2_001)), &wish).len(), 2);
}

#[test]
fn more_spinning_threads_than_physical_cores_are_refused() {
    let wish = Topology { idle: Some(Idle::Spin), ..Topology::default() };
    assert_eq!(refused(&multithreaded(2), &wish), PlanError::Cores { spinning: 2, cores: 1 });
    assert_eq!(lines(&machine(2, &[], None), &wish).len(), 2);
}

#[test]
fn tls_has_a_thread_of_its_own_that_parks_whatever_the_others_do() {
    let with_tls = |machine: &Machine, wish: &Topology| Plan::new(machine, wish).unwrap().with_tls(machine, wish);
    let last = |wish: &Topology| {
        let plan = with_tls(&machine(4, &[], None), wish).unwrap();
        let thread = plan.threads.last().unwrap().clone();
        (thread.core.map(|core| core.id), thread.idle, thread.name())
    };
    assert_eq!(last(&Topology::default()), (None, Idle::Park, "tls".into()));
    let spinning = Topology { idle: Some(Idle::Spin), ..explicit(0, &[1], 2, 2) };
    assert_eq!(last(&spinning), (None, Idle::Park, "tls".into()));
    assert_eq!(last(&Topology { tls: Some(3), ..spinning.clone() }), (Some(3), Idle::Park, "tls".into()));
    let shared = Topology { tls: Some(2), ..spinning.clone() };
    assert_eq!(last(&shared), (Some(2), Idle::Spin, "gateway+control+journal+tls".into()));
    let refused = |wish: Topology| with_tls(&machine(4, &[], None), &wish).unwrap_err().to_string();
    let contrary = refused(Topology { tls_idle: Some(Idle::Park), ..shared });
    assert!(contrary.contains("gateway and tls share a thread and need one idle strategy, not spin and park"));
    assert!(refused(Topology { tls: Some(9), ..spinning }).contains("topology.tls: core 9 is not among"));
    let all = with_tls(&machine(1, &[], None), &Topology::default()).unwrap();
    assert_eq!(all.threads.len(), 2);
}
