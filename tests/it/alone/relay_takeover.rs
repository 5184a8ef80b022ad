//! A standby relay publishes less than 5 s after the end of its leader, whether that was killed or stopped.

use std::time::Duration;

use tests::{
    engines,
    faults::{
        self,
        fault_plan::{FaultPlan, RelayFault},
        run_seed,
    },
    run_alone,
};

/// Limit for the time from the leader's end until an event appended afterwards is acknowledged by Kafka.
const TAKEOVER_LIMIT_MS: u128 = 5_000;

/// Carries out a plan with these faults; returns the time of each takeover.
async fn measure_takeovers(seed: u64, injected: &[RelayFault]) -> Vec<u128> {
    let plan = FaultPlan::short(seed, 2, injected);
    let report = faults::run_plan(&plan, engines().await).await.unwrap();
    assert!(report.events > 100, "too few events for a load: {}", report.summary());
    assert!(report.ok, "{}", report.summary());
    report.faults.iter().filter_map(|fault| fault.takeover_ms).collect()
}

/// Two pairs of relays at the same time, each on its own log: a takeover is mostly the wait for a lease.
#[tokio::test]
async fn a_standby_takes_over_in_less_than_5_s_from_a_killed_and_from_a_stopped_leader() {
    run_alone();
    let seed = run_seed::read_or_draw_seed().unwrap();
    let (ended, paused) = (
        [RelayFault::KillLeader, RelayFault::StopLeader],
        [RelayFault::KillLeader, RelayFault::PauseLeader(Duration::from_secs(2))],
    );
    let (ended, paused) =
        tokio::join!(measure_takeovers(seed, &ended), measure_takeovers(seed.wrapping_add(1), &paused));
    assert_eq!((ended.len(), paused.len()), (2, 1), "{ended:?} {paused:?}");
    let takeovers = [ended, paused].concat();
    assert!(takeovers.iter().all(|ms| *ms < TAKEOVER_LIMIT_MS), "{takeovers:?} ms");
}
