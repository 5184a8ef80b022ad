//! The short form of `medhub-chaos`: workers and stores die while events come in, and every row is as the log says.

use tests::{
    EnvironmentVariables, TestStack,
    chaos::{self, ChaosPlan, StorageFault},
    faults::run_seed,
};

#[tokio::test]
async fn whatever_dies_every_read_model_is_what_the_log_says() {
    let stack = TestStack::with(&["--engines-only"], EnvironmentVariables::new()).await;
    let seed = run_seed::read_or_draw().unwrap();
    let plan = ChaosPlan { seed, events: 4_000, faults: StorageFault::ALL.len(), max_pause_ms: 1_000 };

    let report = chaos::run(&plan, &stack).await.unwrap();

    assert!(report.ok, "{:#?}", report.violations);
    assert!(report.events >= plan.events && report.rows > report.events, "{report:?}");
    assert_eq!(report.faults.len(), StorageFault::ALL.len());
    println!("{}", serde_json::to_string(&report).unwrap());
}
