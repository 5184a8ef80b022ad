//! Effects of document analysis on the log, with deliveries repeated, interrupted and concurrent.

use std::{collections::BTreeSet, time::Duration};

use commands::precondition::CommandPreconditions;
use domain::{
    document::DocumentCommand,
    task::{RetryDecision, Task, TaskCommand, TaskNote, WorkerName},
};
use processes::{
    AnyProcess, InstanceKey, InstanceQuery, InstanceStatus, InstanceStoreError, ProcessRunnerConfig, all_processes,
};
use std::sync::Arc;
use uuid::Uuid;

use super::document_fixture::{DocumentFixture, TENANT, program_sender};

fn key(id: &Uuid) -> InstanceKey {
    InstanceKey { tenant_id: TENANT.to_owned(), instance_id: id.to_string() }
}

fn document_analysis() -> Arc<dyn AnyProcess> {
    all_processes().into_iter().find(|process| process.name() == "document-analysis").unwrap()
}

async fn statuses(fixture: &DocumentFixture) -> Vec<(InstanceStatus, String)> {
    let query = InstanceQuery { statuses: InstanceStatus::ALL.to_vec(), limit: 10, ..InstanceQuery::default() };
    let rows = fixture.store.list_instances(&query).await.unwrap();
    rows.into_iter().map(|row| (row.status, row.waits_for)).collect()
}

#[tokio::test]
async fn a_document_is_led_through_all_stages_and_its_uploader_is_notified_once() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.run_until_idle().await;
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Waiting, "the text".to_owned())]);
    for stage in 0..3 {
        fixture.record_stage(&id, stage).await;
        fixture.run_until_idle().await;
    }

    let effects = ["task.requested", "task.requested", "task.requested", "inbox.notified"];
    assert_eq!(fixture.effects().await, effects);
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Finished, String::new())]);
    // Everything is delivered again, to a process that has finished.
    fixture.deliver(&fixture.events().await).await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 0);
    assert_eq!(fixture.effects().await, effects);
    let timers: i64 = sqlx::query_scalar("select count(*) from process_timers").fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(timers, 0, "a finished instance has no timers");
}

#[tokio::test]
async fn effects_have_the_correlation_of_their_request_and_the_event_as_their_cause() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.run_until_idle().await;
    let events = fixture.events().await;
    let (uploaded, requested) = (&events[0], &events[1]);
    assert_eq!(requested.event_type, "task.requested");
    assert_eq!(requested.metadata.correlation_id, uploaded.metadata.correlation_id);
    assert_eq!(requested.metadata.causation_id, uploaded.event_id.to_string());
    assert_eq!(requested.tenant_id, TENANT);
}

#[tokio::test]
async fn a_crash_between_sending_and_removing_a_command_repeats_no_effect() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    // What a crash leaves behind: the command was executed, and is still pending.
    fixture.execute("create table pending as select * from process_commands").await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 1);
    fixture.execute("insert into process_commands overriding system value select * from pending").await;

    assert_eq!(fixture.runner().run_once().await.unwrap(), 1);
    assert_eq!(fixture.effects().await, ["task.requested"]);
    fixture.record_stage(&id, 0).await;
    fixture.run_until_idle().await;
    assert_eq!(fixture.effects().await, ["task.requested", "task.requested"]);
}

#[tokio::test]
async fn two_programs_that_run_at_the_same_time_act_once() {
    let fixture = DocumentFixture::create().await;
    let mut ids = vec![];
    for _ in 0..20 {
        ids.push(fixture.upload().await);
    }
    for stage in 0..3 {
        let events = fixture.events().await;
        let (one, other) = (fixture.runner(), fixture.runner());
        let drain = async |runner: &processes::ProcessRunner<_>| while runner.run_once().await.unwrap() > 0 {};
        tokio::join!(fixture.deliver(&events), fixture.deliver(&events), drain(&one), drain(&other));
        tokio::join!(drain(&one), drain(&other));
        for id in &ids {
            fixture.record_stage(id, stage).await;
        }
    }
    fixture.run_until_idle().await;

    let effects = fixture.effects().await;
    let count = |kind: &str| effects.iter().filter(|effect| *effect == kind).count();
    assert_eq!((count("task.requested"), count("inbox.notified"), effects.len()), (60, 20, 80));
}

#[tokio::test]
async fn a_stage_that_times_out_is_cancelled_recorded_and_reported_once() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.run_until_idle().await;
    fixture.execute("update process_timers set due_at = now()").await;

    let (one, other) = (fixture.runner(), fixture.runner());
    let (first, second) = tokio::join!(one.run_once(), other.run_once());
    assert!(first.unwrap() + second.unwrap() >= 1);
    fixture.run_until_idle().await;
    let effects = fixture.effects().await;
    assert_eq!(effects, ["task.requested", "task.cancelled", "document.failed", "inbox.notified"]);
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Finished, String::new())]);
    let events = fixture.events().await;
    for effect in &events[1..] {
        let origin = (&effect.metadata.correlation_id, &effect.metadata.causation_id);
        // The upload is why the timer was set.
        let expected = (&events[0].metadata.correlation_id, &events[0].event_id.to_string());
        assert_eq!(origin, expected, "{}", effect.event_type);
    }
}

#[tokio::test]
async fn what_a_timer_causes_continues_the_trace_of_the_event_that_set_it() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    for statement in [
        "create table command_traces (traceparent text)",
        "create function keep_trace() returns trigger language plpgsql as
             $$ begin insert into command_traces values (new.traceparent); return new; end $$",
        "create trigger keep_trace after insert on process_commands for each row execute function keep_trace()",
    ] {
        fixture.execute(statement).await;
    }
    let traces = async || {
        let traces = sqlx::query_scalar::<_, String>("select traceparent from command_traces");
        traces.fetch_all(&fixture.pool).await.unwrap()
    };
    let mut events = fixture.events().await;
    traceparent.clone_into(&mut events[0].metadata.traceparent);
    fixture.deliver(&events).await;
    assert_eq!(traces().await, [traceparent], "the request of the first task");

    fixture.execute("update process_timers set due_at = now()").await;
    while fixture.runner().run_once().await.unwrap() > 0 {}
    let traces = traces().await;
    assert!(traces.len() > 1 && traces.iter().all(|trace| trace == traceparent), "{traces:?}");
}

#[tokio::test]
async fn a_task_that_fails_for_good_ends_the_process_with_its_reason() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.run_until_idle().await;
    let task = fixture.events().await.pop().unwrap();
    let (sender, none) = (program_sender(TENANT), CommandPreconditions::default());
    let stamp = || fixture.dispatcher.stamp(&sender);
    let worker = WorkerName::try_new("w").unwrap();
    let fail = TaskCommand::Fail {
        worker: worker.clone(),
        reason: TaskNote::try_new("the file is encrypted").unwrap(),
        retry: RetryDecision::Never,
        stamp: stamp(),
    };
    for command in [TaskCommand::Start { worker, stamp: stamp() }, fail] {
        fixture.dispatcher.dispatch::<Task>(&sender, task.local_id(), &none, command).await.unwrap();
    }
    fixture.run_until_idle().await;

    let reason: Option<String> =
        sqlx::query_scalar("select payload ->> 'reason' from events where event_type = 'document.failed'")
            .fetch_optional(&fixture.pool)
            .await
            .unwrap();
    assert_eq!(reason.as_deref(), Some("the file is encrypted"));
    assert_eq!(fixture.effects().await, ["task.requested", "document.failed", "inbox.notified"]);
}

#[tokio::test]
async fn tasks_of_others_and_of_other_tenants_reach_no_instance() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.run_until_idle().await;
    // The same task id in another tenant: a stream that the process did not ask for.
    let task = fixture.events().await.pop().unwrap();
    let (sender, none) = (program_sender("other"), CommandPreconditions::default());
    let stamp = || fixture.dispatcher.stamp(&sender);
    let request: domain::task::TaskEvent = task.decode().unwrap();
    let domain::task::TaskEvent::Requested { spec, .. } = request else { panic!("{task:?}") };
    let cancel = TaskCommand::Cancel { reason: TaskNote::try_new("no").unwrap(), stamp: stamp() };
    for command in [TaskCommand::Request { spec, stamp: stamp() }, cancel] {
        fixture.dispatcher.dispatch::<Task>(&sender, task.local_id(), &none, command).await.unwrap();
    }
    fixture.run_until_idle().await;
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Waiting, "the text".to_owned())]);
}

#[tokio::test]
async fn an_operator_cancels_an_instance_and_what_it_began_is_undone() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.run_until_idle().await;
    let process = document_analysis();
    fixture.store.cancel_instance(process.as_ref(), &key(&id), "a duplicate").await.unwrap();
    fixture.run_until_idle().await;

    assert_eq!(fixture.effects().await, ["task.requested", "task.cancelled", "document.failed", "inbox.notified"]);
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Cancelled, String::new())]);
    let events = fixture.events().await;
    let correlations: BTreeSet<_> = events.iter().map(|event| &event.metadata.correlation_id).collect();
    assert_eq!(correlations.len(), 1, "what undoes the analysis belongs to its request");
    let again = fixture.store.cancel_instance(process.as_ref(), &key(&id), "again").await;
    assert!(matches!(again, Err(InstanceStoreError::NotOpen { status: "cancelled", .. })), "{again:?}");
    let unknown = fixture.store.resume_instance(process.name(), &key(&Uuid::new_v4())).await;
    assert!(matches!(unknown, Err(InstanceStoreError::NoInstance { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_command_that_keeps_failing_stalls_its_instance_until_it_is_resumed() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    // A command that cannot be sent.
    let corrupt = format!("update process_commands set idempotency_key = 'not a key' where instance_id = '{id}'");
    fixture.execute("create table saved as select * from process_commands").await;
    fixture.execute(&corrupt).await;
    let runner = fixture.runner_with(ProcessRunnerConfig { max_attempts: 2, ..ProcessRunnerConfig::default() });
    runner.run_once().await.unwrap();
    fixture.execute("update process_commands set due_at = now()").await;
    runner.run_once().await.unwrap();

    let query = InstanceQuery { statuses: vec![InstanceStatus::Stalled], limit: 10, ..InstanceQuery::default() };
    let stalled = fixture.store.list_instances(&query).await.unwrap();
    assert_eq!(stalled.iter().map(|row| &row.key).collect::<Vec<_>>(), [&key(&id)]);
    assert!(stalled[0].last_error.contains("idempotency key"), "{stalled:?}");
    assert_eq!(runner.run_once().await.unwrap(), 0, "it is not tried again");
    let restore = "update process_commands c set idempotency_key = s.idempotency_key from saved s where s.id = c.id";
    fixture.execute(restore).await;
    fixture.store.resume_instance("document-analysis", &key(&id)).await.unwrap();
    fixture.run_until_idle().await;
    assert_eq!(fixture.effects().await, ["task.requested", "task.requested"]);
    assert_eq!(statuses(&fixture).await, vec![(InstanceStatus::Waiting, "the text".to_owned()); 2]);
}

#[tokio::test]
async fn a_claim_of_a_runner_that_died_ends_after_its_lease() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    fixture.execute("update process_commands set due_at = now() + interval '1 hour', attempts = 1").await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 0, "another runner sends it");
    fixture.execute("update process_commands set due_at = now()").await;
    let config = ProcessRunnerConfig { claim_lease: Duration::from_secs(1), ..ProcessRunnerConfig::default() };
    assert_eq!(fixture.runner_with(config).run_once().await.unwrap(), 1);
    assert_eq!(fixture.effects().await, ["task.requested"]);
}

#[tokio::test]
async fn a_deleted_document_needs_no_worker_any_more() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.run_until_idle().await;
    let sender = program_sender(TENANT);
    fixture.dispatch(&id, DocumentCommand::Delete { stamp: fixture.dispatcher.stamp(&sender) }).await;
    fixture.run_until_idle().await;
    assert_eq!(fixture.effects().await, ["task.requested", "task.cancelled"]);
}

#[tokio::test]
async fn an_instance_whose_state_cannot_be_read_delays_no_other() {
    let fixture = DocumentFixture::create().await;
    let (unreadable, other) = (fixture.upload().await, fixture.upload().await);
    fixture.run_until_idle().await;
    let newer = format!(
        "update process_instances set state = '{{\"status\":\"of a newer release\"}}' where instance_id = '{unreadable}'"
    );
    fixture.execute(&newer).await;
    let open = InstanceQuery { limit: 10, ..InstanceQuery::default() };
    for row in fixture.store.list_instances(&open).await.unwrap() {
        let expected = if row.key == key(&unreadable) { "unknown variant `of a newer release`" } else { "" };
        assert!(row.unreadable_because.starts_with(expected), "{row:?}");
        assert_eq!(row.unreadable_because.is_empty(), row.key == key(&other), "{row:?}");
    }
    fixture.execute("update process_timers set due_at = now()").await;
    fixture.runner().run_once().await.unwrap();
    fixture.run_until_idle().await;

    let effects = fixture.effects().await;
    assert_eq!(effects[2..], ["task.cancelled", "document.failed", "inbox.notified"], "{effects:?}");
    let waiting: Vec<String> = sqlx::query_scalar("select instance_id from process_timers where due_at > now()")
        .fetch_all(&fixture.pool)
        .await
        .unwrap();
    assert_eq!(waiting, [unreadable.to_string()], "its timer fires again: not that of {other}");
}

#[tokio::test]
async fn the_last_command_of_a_finished_instance_can_be_resumed() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    for stage in 0..3 {
        fixture.run_until_idle().await;
        fixture.record_stage(&id, stage).await;
    }
    fixture.deliver(&fixture.events().await).await;
    fixture.execute("create table saved as select * from process_commands").await;
    fixture.execute("update process_commands set idempotency_key = 'not a key'").await;
    let runner = fixture.runner_with(ProcessRunnerConfig { max_attempts: 1, ..ProcessRunnerConfig::default() });
    runner.run_once().await.unwrap();

    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Stalled, String::new())]);
    let restore = "update process_commands c set idempotency_key = s.idempotency_key from saved s where s.id = c.id";
    fixture.execute(restore).await;
    fixture.store.resume_instance("document-analysis", &key(&id)).await.unwrap();
    fixture.run_until_idle().await;
    assert_eq!(fixture.effects().await.last().map(String::as_str), Some("inbox.notified"));
    assert_eq!(statuses(&fixture).await, [(InstanceStatus::Finished, String::new())]);
    let again = fixture.store.resume_instance("document-analysis", &key(&id)).await;
    assert!(matches!(again, Err(InstanceStoreError::NotOpen { status: "finished", .. })), "{again:?}");
}

#[tokio::test]
async fn a_cancellation_is_sent_after_a_command_that_is_on_its_way() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    // Another program has claimed the command, and sends it after the cancellation.
    fixture.execute("update process_commands set attempts = 1, due_at = now() + interval '1 hour'").await;
    fixture.store.cancel_instance(document_analysis().as_ref(), &key(&id), "a duplicate").await.unwrap();
    assert_eq!(fixture.runner().run_once().await.unwrap(), 0, "what undoes it waits");
    fixture.execute("update process_commands set due_at = now()").await;
    fixture.run_until_idle().await;
    assert_eq!(fixture.effects().await, ["task.requested", "task.cancelled", "document.failed", "inbox.notified"]);
}
