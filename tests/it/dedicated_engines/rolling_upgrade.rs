//! The short form of `medhub-chaos --roll`: every process is killed or replaced while clients send commands and queries, and
//! nothing is lost.

use tests::{
    TestStack,
    rolling_upgrade::{self, RollingUpgradePlan},
};

#[tokio::test]
async fn processes_of_every_role_are_killed_added_and_replaced_under_load_and_nothing_is_lost() {
    let stack = TestStack::start_engines().await;
    let plan = RollingUpgradePlan { older_program: None, clients: 4, rounds: 1 };

    let report = rolling_upgrade::run_rolling_upgrade(&plan, &stack).await.unwrap();

    assert!(report.ok, "{report:#?}");
    assert_eq!((report.kills, report.replaced), (6, 7), "{report:?}");
    assert!(report.documents >= 4 && report.queries > 0 && report.expanded_tables > 20, "{report:?}");
    assert!(report.commands as u64 > report.queries && report.calls > 0, "{report:?}");
    // Each process that is told to stop closes its subscriptions, and a client opens them again.
    assert!(report.closed_subscriptions > 0 && report.newer_streams == 3, "{report:?}");
    println!("{}", serde_json::to_string(&report).unwrap());
}
