//! A stack that was stopped is back in time.

use std::time::{Duration, Instant};

use medhub_local::{health_probe::HealthProbe, process::ProcessIdentity, supervised_stack::PRODUCT};
use nix::sys::signal::Signal;
use tests::{
    TestStack, engine_marks, eventually, run_alone,
    stack_processes::{filter_living, find_command_lines, list_processes},
};

const WARM_START: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_stopped_stack_leaves_no_process_and_comes_back_warm_with_its_data_and_ports() {
    run_alone();
    let stack = TestStack::start_engines().await;
    engine_marks::write(&stack, "stopped").await.unwrap();
    let (before, processes) = (stack.state(), list_processes(&stack));
    let (stack, status) = stack.stop().await;
    assert!(status.success(), "{status}");
    assert_eq!(filter_living(&processes), Vec::<ProcessIdentity>::new());
    assert_eq!(find_command_lines(stack.data().to_str().unwrap()), Vec::<String>::new());
    let began = Instant::now();
    let stack = stack.restart().await;
    assert!(began.elapsed() < WARM_START, "{:?}", began.elapsed());
    assert_eq!(stack.state().ports, before.ports);
    engine_marks::find(&stack, "stopped").await.unwrap();
}

#[tokio::test]
async fn everything_starts_warm_in_time_and_a_killed_product_comes_back() {
    run_alone();
    let (stack, status) = TestStack::start().await.stop().await;
    assert!(status.success(), "{status}");
    let began = Instant::now();
    let stack = stack.restart().await;
    assert!(began.elapsed() < WARM_START, "{:?}", began.elapsed());
    let product = stack.state().processes[PRODUCT].identity.unwrap();
    product.send(Signal::SIGKILL);
    eventually(async || match stack.state().processes[PRODUCT].identity {
        Some(again) if again != product => HealthProbe::Product(stack.state().http.unwrap()).ask().await,
        Some(_) | None => Err(anyhow::anyhow!("no new process yet")),
    })
    .await;
    let answer = stack.graphql("{ opportunities(first: 1) { totalCount } }", serde_json::json!({})).await;
    assert_eq!(answer["data"]["opportunities"]["totalCount"], 0, "{answer}");
}
