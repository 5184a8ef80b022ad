//! No event is lost, reordered or repeated without a reason even when any process crashes; and this suite can fail.
//!
//! `docs/faults.md` says what is injected and compared. `FAULTS_SEED=N` repeats a run.

mod completed_prefix;

use std::time::Duration;
use tests::{
    EnvironmentVariables, TestStack, engines,
    faults::{
        self,
        fault_plan::{FaultPlan, RelayFault},
        fault_report::FaultReport,
        run_seed,
    },
};

/// The seed that these tests always use, beside a random one.
const FIXED_SEED: u64 = 42;
const CRASH_FAULTS: [RelayFault; 3] = [RelayFault::KillLeader, RelayFault::KillBroker, RelayFault::KillPostgres];

/// The seed of `FAULTS_SEED`, or the fixed seed and a random one.
fn choose_seeds() -> Vec<u64> {
    run_seed::read_seed().unwrap().map_or_else(|| vec![FIXED_SEED, run_seed::draw_seed()], |seed| vec![seed])
}

/// A Postgres and a Kafka that may be killed.
async fn start_killable_engines() -> TestStack {
    TestStack::start_with(&["--only", "postgres,registry,kafka"], EnvironmentVariables::new()).await
}

async fn run_plan(plan: &FaultPlan, stack: &TestStack) -> FaultReport {
    let report = faults::run_plan(plan, stack).await.unwrap();
    assert!(report.events > 100, "too few events for a load: {}", report.summary());
    report
}

#[tokio::test]
async fn kill_9_of_relay_broker_and_postgres_under_load_loses_and_reorders_nothing() {
    let report = run_plan(
        &FaultPlan::short(run_seed::read_or_draw_seed().unwrap(), 8, &CRASH_FAULTS),
        &start_killable_engines().await,
    )
    .await;
    assert!(report.ok, "{}", report.summary());
    assert_eq!((report.lost, report.reordered, report.duplicates), (0, 0, 0));
    assert_eq!(report.faults.len(), CRASH_FAULTS.len(), "{:?}", report.faults);
}

#[tokio::test]
async fn through_a_pooler_that_shares_sessions_one_relay_leads_and_nothing_is_lost_or_repeated() {
    let faults = [RelayFault::KillLeader, RelayFault::PauseLeader(Duration::from_secs(4)), RelayFault::KillPostgres];
    let plan = FaultPlan::short(run_seed::read_or_draw_seed().unwrap(), 4, &faults).through_pooler();
    let report = run_plan(&plan, &start_killable_engines().await).await;
    assert!(report.ok, "{}", report.summary());
    assert_eq!((report.lost, report.reordered, report.duplicates), (0, 0, 0));
}

#[tokio::test]
async fn a_broker_that_is_unavailable_for_30_s_loses_no_event() {
    let stack = start_killable_engines().await;
    let report = run_plan(
        &FaultPlan::short(
            run_seed::read_or_draw_seed().unwrap(),
            4,
            &[RelayFault::BrokerAway(Duration::from_secs(30))],
        ),
        &stack,
    )
    .await;
    assert!(report.ok, "{}", report.summary());
    assert!(report.faults[0].recovered_s > 30.0, "{:?}", report.faults);
}

#[tokio::test]
async fn a_relay_without_the_fence_loses_events_and_the_audit_finds_them() {
    let plan =
        FaultPlan::without_faults(run_seed::read_or_draw_seed().unwrap(), 8, Duration::from_secs(4)).without_fence();
    let report = run_plan(&plan, engines().await).await;
    assert!(report.lost > 0, "{}", report.summary());
    assert!(!report.ok);
}

#[tokio::test]
async fn the_same_writers_with_the_fence_lose_nothing() {
    let report = run_plan(
        &FaultPlan::without_faults(run_seed::read_or_draw_seed().unwrap(), 8, Duration::from_secs(4)),
        engines().await,
    )
    .await;
    assert!(report.ok, "{}", report.summary());
    assert_eq!(report.explained_duplicates, 0, "no disturbance could explain a duplicate");
}
