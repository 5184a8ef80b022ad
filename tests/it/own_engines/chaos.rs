//! The short form of `medhub-chaos`: workers and stores die while events come in, and every row is as the log says.

use tests::{
    Environment, Stack,
    chaos::{self, Fault, Plan},
    faults::seed,
};

#[tokio::test]
async fn whatever_dies_every_read_model_is_what_the_log_says() {
    let stack = Stack::with(&["--engines-only"], Environment::new()).await;
    let seed = seed::read_or_draw().unwrap();
    let plan = Plan { seed, events: 4_000, faults: Fault::ALL.len(), longest_pause_ms: 1_000 };

    let report = chaos::run(&plan, &stack).await.unwrap();

    assert!(report.ok, "{:#?}", report.violations);
    assert!(report.events >= plan.events && report.rows > report.events, "{report:?}");
    assert_eq!(report.faults.len(), Fault::ALL.len());
    println!("{}", serde_json::to_string(&report).unwrap());
}
