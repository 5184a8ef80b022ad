//! Health and remaining functions of the service while an engine is paused: connections stay open and get no answers.

use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, ProposalEditor, SignedInUser, TestStack, error_code, eventually,
    faults::engine_faults::EngineFaults, python_command, run_program,
};

/// Python's own client of the health service.
const PACKAGES: [&str; 2] = ["grpcio==1.85.1", "grpcio-health-checking==1.85.1"];

/// Waits until the gRPC health service reports these states for the server and for the tasks service.
async fn wait_for_health(stack: &TestStack, server: bool, tasks: bool) {
    let status = |serving| if serving { "SERVING" } else { "NOT_SERVING" }.to_owned();
    let arguments = [stack.variable("MEDHUB__GRPC__LISTEN").to_owned(), status(server), status(tasks)];
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/dedicated_engines/health.py");
    let output =
        tokio::task::spawn_blocking(move || run_program(python_command(&PACKAGES).arg(script).args(arguments)));
    assert!(output.await.unwrap().contains("statuses as expected"));
}

async fn fetch_readiness(stack: &TestStack) -> Value {
    let response = reqwest::get(format!("{}/ready", stack.http())).await.unwrap();
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_worker_that_receives_nothing_is_reported_as_stuck_until_it_makes_progress() {
    let environment = EnvironmentVariables::from([("MEDHUB__SERVE__STUCK_AFTER_MS".into(), "3000".into())]);
    let stack = TestStack::start_with(&[], environment).await;
    assert_eq!(fetch_readiness(&stack).await["ready"], true);
    let paused = EngineFaults(&stack).pause_engine("kafka").unwrap();
    // Registering a company appends events that no worker receives.
    SignedInUser::register_company(&stack, "ada", "acme").await;
    eventually(async || {
        let report = fetch_readiness(&stack).await;
        let state = &report["parts"]["workspace"]["state"];
        anyhow::ensure!(report["ready"] == false && state == "stuck", "{report}");
        anyhow::Ok(())
    })
    .await;
    wait_for_health(&stack, false, true).await;
    drop(paused);
    wait_for_health(&stack, true, true).await;
    eventually(async || {
        let report = fetch_readiness(&stack).await;
        anyhow::ensure!(report["ready"] == true, "{report}");
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_users_can_query_and_edit_and_a_sign_out_is_refused() {
    let stack = TestStack::start().await;
    let ann = SignedInUser::register_company(&stack, "ann", "acme").await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Beds\" })";
    let proposal = ann.apply_change(draft, json!({})).await;
    let protocols = format!("medhub-together, bearer.{}", ann.token);
    let open = async || ProposalEditor::open(stack.http(), &proposal.id, &protocols).await.unwrap();
    let (mut first, mut second) = (open().await, open().await);
    let paused = EngineFaults(&stack).pause_engine("redis").unwrap();
    let out = ann.send_document("mutation { signOut }", json!({})).await;
    assert_eq!(error_code(&out), "UNAVAILABLE", "the client may try again");
    let me = ann.send_document("{ me { user } }", json!({})).await;
    assert_eq!(me["data"]["me"]["user"], "ann", "{me}");
    let list = ann.send_document("{ opportunities(first: 1) { totalCount } }", json!({})).await;
    assert_eq!(list["data"]["opportunities"]["totalCount"], 0, "the store of the lists is asked: {list}");
    first.write_section("approach", "Written without Redis.").await.unwrap();
    second
        .receive_until(|editor| editor.section_text("approach").is_ok_and(|text| text == "Written without Redis."))
        .await
        .unwrap();
    assert_eq!(fetch_readiness(&stack).await["engines"]["Redis"], false);
    wait_for_health(&stack, false, false).await;
    drop(paused);
    eventually(async || {
        let out = ann.send_document("mutation { signOut }", json!({})).await;
        // The first request may have been carried out after all, once the engine continued.
        let is_signed_out =
            out["data"]["signOut"] == true || out["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED";
        anyhow::ensure!(is_signed_out, "{out}");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(error_code(&ann.send_document("{ me { user } }", json!({})).await), "UNAUTHENTICATED");
}
