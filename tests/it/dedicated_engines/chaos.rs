//! The short form of `medhub-chaos`: workers and stores crash while events arrive, and every row agrees with the log.

use tests::{
    EnvironmentVariables, TestStack,
    chaos::{self, ChaosPlan, StorageFault},
    faults::run_seed,
};

#[tokio::test]
async fn every_read_model_agrees_with_the_log_after_crashes_of_workers_and_stores() {
    let stack = TestStack::start_with(&["--engines-only"], EnvironmentVariables::new()).await;
    let seed = run_seed::read_or_draw_seed().unwrap();
    let plan = ChaosPlan { seed, events: 2_000, faults: StorageFault::ALL.len(), max_pause_ms: 1_000 };

    let report = chaos::run_plan(&plan, &stack).await.unwrap();

    assert!(report.ok, "{:#?}", report.violations);
    assert!(report.events >= plan.events && report.rows > report.events, "{report:?}");
    assert_eq!(report.faults.len(), StorageFault::ALL.len());
    println!("{}", serde_json::to_string(&report).unwrap());
}
