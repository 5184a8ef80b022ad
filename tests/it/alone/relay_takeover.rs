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

#[tokio::test]
async fn a_standby_takes_over_in_less_than_5_s_from_a_killed_and_from_a_stopped_leader() {
    let injected = [
        RelayFault::KillLeader,
        RelayFault::StopLeader,
        RelayFault::KillLeader,
        RelayFault::PauseLeader(Duration::from_secs(2)),
    ];
    run_alone();
    let plan = FaultPlan::short(run_seed::read_or_draw_seed().unwrap(), 4, &injected);
    let report = faults::run_plan(&plan, engines().await).await.unwrap();
    assert!(report.events > 100, "too few events for a load: {}", report.summary());
    assert!(report.ok, "{}", report.summary());
    let takeovers: Vec<_> = report.faults.iter().filter_map(|fault| fault.takeover_ms).collect();
    assert_eq!(takeovers.len(), 3, "{:?}", report.faults);
    assert!(takeovers.iter().all(|ms| *ms < TAKEOVER_LIMIT_MS), "{takeovers:?} ms");
}
