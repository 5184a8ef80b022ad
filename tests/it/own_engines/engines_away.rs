//! Health and remaining functions of a service while an engine is paused: connections stay open and get no answers.

use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, ProposalEditor, SignedInUser, TestStack, error_code, eventually,
    faults::engine_faults::EngineFaults, python, run_to_end,
};

/// Python's own client of the health service.
const PACKAGES: [&str; 2] = ["grpcio==1.85.1", "grpcio-health-checking==1.85.1"];

/// Waits until the gRPC health service says that of the server and of tasks.
async fn health_is(stack: &TestStack, server: bool, tasks: bool) {
    let word = |serving| if serving { "SERVING" } else { "NOT_SERVING" }.to_owned();
    let arguments = [stack.variable("MEDHUB__GRPC__LISTEN").to_owned(), word(server), word(tasks)];
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/own_engines/health.py");
    let said = tokio::task::spawn_blocking(move || run_to_end(python(&PACKAGES).arg(script).args(arguments)));
    assert!(said.await.unwrap().contains("as it should be"));
}

async fn ready(stack: &TestStack) -> Value {
    let asked = reqwest::get(format!("{}/ready", stack.http())).await.unwrap();
    asked.json().await.unwrap()
}

#[tokio::test]
async fn a_worker_that_gets_nothing_is_named_and_ready_again_once_it_moves() {
    let environment = EnvironmentVariables::from([("MEDHUB__SERVE__STUCK_AFTER_MS".into(), "3000".into())]);
    let stack = TestStack::with(&[], environment).await;
    assert_eq!(ready(&stack).await["ready"], true);
    let standing = EngineFaults(&stack).stand_still("kafka").unwrap();
    // Founding a company leaves something to do that no worker hears of.
    SignedInUser::found(&stack, "ada", "acme").await;
    eventually(async || {
        let report = ready(&stack).await;
        let state = &report["parts"]["workspace"]["state"];
        anyhow::ensure!(report["ready"] == false && state == "stuck", "{report}");
        anyhow::Ok(())
    })
    .await;
    health_is(&stack, false, true).await;
    drop(standing);
    health_is(&stack, true, true).await;
    eventually(async || {
        let report = ready(&stack).await;
        anyhow::ensure!(report["ready"] == true, "{report}");
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_people_come_in_write_together_and_are_told_what_cannot_be_done() {
    let stack = TestStack::start().await;
    let ann = SignedInUser::found(&stack, "ann", "acme").await;
    let draft = "draftProposal(input: { opportunityId: \"036:X\", title: \"Beds\" })";
    let drafted = ann.change(draft, json!({})).await;
    let protocols = format!("medhub-together, bearer.{}", ann.token);
    let open = async || ProposalEditor::open(stack.http(), &drafted.id, &protocols).await.unwrap();
    let (mut one, mut two) = (open().await, open().await);
    let standing = EngineFaults(&stack).stand_still("redis").unwrap();
    let out = ann.ask("mutation { signOut }", json!({})).await;
    assert_eq!(error_code(&out), "UNAVAILABLE", "its owner is told to try again");
    let me = ann.ask("{ me { user } }", json!({})).await;
    assert_eq!(me["data"]["me"]["user"], "ann", "{me}");
    one.write("approach", "Written without Redis.").await.unwrap();
    two.until(|editor| editor.shows("approach").is_ok_and(|text| text == "Written without Redis.")).await.unwrap();
    assert_eq!(ready(&stack).await["engines"]["Redis"], false);
    health_is(&stack, false, false).await;
    drop(standing);
    eventually(async || {
        let out = ann.ask("mutation { signOut }", json!({})).await;
        // The first request may have been carried out after all, once the engine continued.
        let is_out = out["data"]["signOut"] == true || out["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED";
        anyhow::ensure!(is_out, "{out}");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(error_code(&ann.ask("{ me { user } }", json!({})).await), "UNAUTHENTICATED");
}
