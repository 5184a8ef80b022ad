//! A stopped stack starts again within a promised time.

use std::time::{Duration, Instant};

use medhub_local::{health_probe::HealthProbe, process::ProcessIdentity, supervised_stack::PRODUCT};
use nix::sys::signal::Signal;
use tests::{
    TestStack, engine_marks, eventually, run_alone,
    stack_processes::{filter_running, find_command_lines, list_processes},
};

/// Limit for the start of all engines and the product.
const WARM_START_LIMIT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_stopped_stack_leaves_no_process_and_restarts_in_time_with_its_data_and_ports() {
    run_alone();
    let stack = TestStack::start().await;
    engine_marks::write_mark(&stack, "stopped").await.unwrap();
    let (before, processes) = (stack.state(), list_processes(&stack));
    let (stack, status) = stack.stop().await;
    assert!(status.success(), "{status}");
    assert_eq!(filter_running(&processes), Vec::<ProcessIdentity>::new());
    assert_eq!(find_command_lines(stack.data_folder().to_str().unwrap()), Vec::<String>::new());
    let started = Instant::now();
    let stack = stack.restart().await;
    assert!(started.elapsed() < WARM_START_LIMIT, "{:?}", started.elapsed());
    assert_eq!(stack.state().ports, before.ports);
    engine_marks::check_mark(&stack, "stopped").await.unwrap();
    a_killed_product_is_restarted(&stack).await;
}

async fn a_killed_product_is_restarted(stack: &TestStack) {
    let product = stack.state().processes[PRODUCT].identity.unwrap();
    product.send_signal(Signal::SIGKILL);
    eventually(async || match stack.state().processes[PRODUCT].identity {
        Some(restarted) if restarted != product => {
            HealthProbe::Product(stack.state().http.unwrap()).check_health().await
        }
        Some(_) | None => Err(anyhow::anyhow!("no new process yet")),
    })
    .await;
    let answer = stack.send_graphql("{ opportunities(first: 1) { totalCount } }", serde_json::json!({})).await;
    assert_eq!(answer["data"]["opportunities"]["totalCount"], 0, "{answer}");
}
