//! The process runner: shares of the tenants, rows that cannot be read, states of newer releases, streams that many
//! commands go to.

use std::collections::BTreeMap;

use commands::precondition::CommandPreconditions;
use domain::{document::Document, value::UserId};
use processes::{InstanceQuery, InstanceStatus, ProcessCommand, ProcessRunner};
use serde_json::Value;
use uuid::Uuid;

use super::document_fixture::{DocumentFixture, TENANT, program_sender, upload_command};

/// Commands that one claim takes at most.
const CLAIM_LIMIT: i64 = 64;

/// Adds `count` instances to each of these tenants, each with the command of the only instance that is there, for its
/// own task.
async fn add_due_commands(fixture: &DocumentFixture, tenants: &str, count: u32) {
    fixture
        .execute(&format!(
            "with added as (
                 insert into process_instances (process, tenant_id, instance_id, status, state, correlation_id)
                 select i.process, tenant, gen_random_uuid()::text, 'waiting', i.state, i.correlation_id
                 from (select * from process_instances limit 1) i, {tenants} as tenant, generate_series(1, {count})
                 returning process, tenant_id, instance_id
             )
             insert into process_commands
                 (process, tenant_id, instance_id, idempotency_key, command, correlation_id, causation_id, due_at)
             select c.process, a.tenant_id, a.instance_id, a.instance_id,
                    jsonb_set(c.command, '{{task_id}}', to_jsonb(gen_random_uuid()::text)),
                    c.correlation_id, c.causation_id, now() - interval '1 minute'
             from (select * from process_commands limit 1) c, added a"
        ))
        .await;
}

async fn requested_by_tenant(fixture: &DocumentFixture) -> BTreeMap<String, i64> {
    let query = "select tenant_id, count(*) from events where event_type = 'task.requested' group by 1";
    sqlx::query_as(query).fetch_all(&fixture.pool).await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn many_commands_of_one_tenant_delay_those_of_another_by_no_batch() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    add_due_commands(&fixture, "unnest(array['acme'])", 500).await;
    let (id, sender) = (Uuid::new_v4(), program_sender("other"));
    let command = upload_command(&fixture.dispatcher, &sender, "other/file");
    let none = CommandPreconditions::default();
    fixture.dispatcher.dispatch::<Document>(&sender, &id.to_string(), &none, command).await.unwrap();
    fixture.deliver(&fixture.events().await).await;

    // The other tenant's command is the newest of all.
    assert_eq!(fixture.runner().run_once().await.unwrap(), 33);
    let requested = requested_by_tenant(&fixture).await;
    assert_eq!(requested, BTreeMap::from([("acme".to_owned(), CLAIM_LIMIT / 2), ("other".to_owned(), 1)]));
    assert_eq!(fixture.runner().run_once().await.unwrap(), 64, "a tenant alone has the whole claim");
}

#[tokio::test]
async fn more_tenants_than_one_claim_takes_have_their_turns() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    add_due_commands(&fixture, "unnest(array(select 't' || n from generate_series(100, 199) n))", 2).await;
    fixture.execute("delete from process_commands where tenant_id = 'acme'").await;

    let runner = fixture.runner();
    let mut claimed = vec![];
    for _ in 0..4 {
        claimed.push(runner.run_once().await.unwrap());
    }
    assert_eq!(claimed, [64 * 2, 36 * 2, 0, 0], "each of 64 tenants has some, and a turn ends with the last one");
    let requested = requested_by_tenant(&fixture).await;
    assert_eq!((requested.len(), requested.values().filter(|count| **count == 2).count()), (100, 100));
    assert_eq!(runner.run_once().await.unwrap(), 0);
}

#[tokio::test]
async fn tenants_whose_commands_all_wait_hold_up_none_that_follow() {
    let fixture = DocumentFixture::create().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    add_due_commands(&fixture, "unnest(array(select 't' || n from generate_series(100, 229) n))", 3).await;
    fixture.execute("delete from process_commands where tenant_id = 'acme'").await;
    // Each command of these 64 tenants is due behind one of its instance that is in a pause.
    fixture
        .execute(
            "with paused as (
                 update process_commands set due_at = now() + interval '1 hour' where tenant_id between 't164' and 't227'
                 returning *
             )
             insert into process_commands
                 (process, tenant_id, instance_id, idempotency_key, command, correlation_id, causation_id)
             select process, tenant_id, instance_id, idempotency_key || ' next', command, correlation_id, causation_id
             from paused",
        )
        .await;

    let runner = fixture.runner();
    assert_eq!(runner.run_once().await.unwrap(), 64 * 3);
    assert_eq!(runner.run_once().await.unwrap(), 6, "all of the last two tenants");
    let resume = "update process_commands set due_at = now() where tenant_id = 't164' and due_at > now()";
    fixture.execute(resume).await;
    assert_eq!(runner.run_once().await.unwrap(), 3, "then the first ones again");
}

#[tokio::test]
async fn a_command_of_another_release_waits_for_its_runners_and_then_stalls() {
    let fixture = DocumentFixture::create().await;
    let bad = fixture.upload().await;
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    let replace =
        format!("update process_commands set command = '{{\"type\": \"juggle\"}}' where instance_id = '{bad}'");
    fixture.execute(&replace).await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 2);
    let query = "select attempts, last_error from process_commands";
    let (attempts, reason): (i32, String) = sqlx::query_as(query).fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(attempts, 0, "the attempt does not count");
    assert!(reason.starts_with("this release does not know the command: unknown variant `juggle`"), "{reason}");
    assert_eq!(fixture.runner().run_once().await.unwrap(), 0, "it is offered after a pause");

    let wait = "update process_commands set unreadable_since = now() - interval '61 minutes', due_at = now()";
    fixture.execute(wait).await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 1);
    let query = InstanceQuery { statuses: vec![InstanceStatus::Stalled], limit: 10, ..InstanceQuery::default() };
    let stalled = fixture.store.list_instances(&query).await.unwrap();
    assert_eq!(stalled.iter().map(|row| &row.key.instance_id).collect::<Vec<_>>(), [&bad.to_string()]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_parked_with_its_reason_and_delays_no_other() {
    let fixture = DocumentFixture::create().await;
    let (bad, good) = (fixture.upload().await, fixture.upload().await);
    fixture.deliver(&fixture.events().await).await;
    // A number that Postgres stores and this program cannot read.
    let overflow = |table: &str, column: &str| {
        format!("update {table} set {column} = {column} || '{{\"x\": 1e400}}' where instance_id = '{bad}'")
    };
    fixture.execute(&overflow("process_commands", "command")).await;
    assert_eq!(fixture.runner().run_once().await.unwrap(), 2);
    let query = InstanceQuery { statuses: vec![InstanceStatus::Stalled], limit: 10, ..InstanceQuery::default() };
    let stalled = fixture.store.list_instances(&query).await.unwrap();
    let shown: Vec<_> = stalled.iter().map(|row| (row.key.instance_id.clone(), row.last_error.as_str())).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0].0, bad.to_string());
    assert!(shown[0].1.starts_with("the command cannot be read: number out of range"), "{shown:?}");
    assert_eq!(fixture.runner().run_once().await.unwrap(), 0, "it is not claimed again");
    assert_eq!(fixture.effects().await, ["task.requested"]);

    // The same of a state: the timers of others fire.
    fixture.execute(&overflow("process_instances", "state")).await;
    let stalled = fixture.store.list_instances(&query).await.unwrap();
    let reason = stalled[0].unreadable_because.as_str();
    assert!(reason.starts_with("number out of range"), "{reason}");
    fixture.execute("update process_timers set due_at = now()").await;
    fixture.runner().run_once().await.unwrap();
    let finished = InstanceQuery { statuses: vec![InstanceStatus::Finished], limit: 10, ..InstanceQuery::default() };
    let finished = fixture.store.list_instances(&finished).await.unwrap();
    let finished: Vec<_> = finished.iter().map(|row| (&row.key.instance_id, row.unreadable_because.as_str())).collect();
    assert_eq!(finished, [(&good.to_string(), "")]);
}

#[tokio::test]
async fn fields_that_a_newer_release_has_added_to_a_state_stay_there() {
    let fixture = DocumentFixture::create().await;
    let id = fixture.upload().await;
    fixture.run_until_idle().await;
    fixture
        .execute(
            "update process_instances set state = jsonb_set(state, '{document,language}', '\"de\"') || '{\"priority\": 7}'",
        )
        .await;
    fixture.record_stage(&id, 0).await;
    fixture.run_until_idle().await;
    let state: Value =
        sqlx::query_scalar("select state from process_instances").fetch_one(&fixture.pool).await.unwrap();
    let shown = (&state["stage"], &state["priority"], &state["document"]["language"], &state["document"]["file_name"]);
    let expected = (&Value::from("requirements"), &Value::from(7), &Value::from("de"), &Value::from("rfp.pdf"));
    assert_eq!(shown, expected, "{state}");
}

/// Lets the only pending commands be this many notifications of one user.
async fn add_notifications(fixture: &DocumentFixture, count: u32) {
    fixture.upload().await;
    fixture.deliver(&fixture.events().await).await;
    add_due_commands(fixture, "unnest(array['acme'])", count).await;
    for command in notifications(count) {
        let change = "update process_commands set command = $1, attempts = 0
                      where id = (select id from process_commands where command ->> 'type' = 'request_task' limit 1)";
        sqlx::query(change).bind(command).execute(&fixture.pool).await.unwrap();
    }
    fixture.execute("delete from process_commands where command ->> 'type' = 'request_task'").await;
}

#[tokio::test]
async fn commands_that_take_too_long_together_are_sent_in_smaller_batches() {
    const NOTIFICATIONS: u32 = 16;
    let fixture = DocumentFixture::create().await;
    add_notifications(&fixture, NOTIFICATIONS).await;
    // More than four in a transaction end as a statement does that takes too long.
    for statement in [
        "create function end_long_statement() returns trigger language plpgsql as $$
         declare appended constant int := coalesce(nullif(current_setting('test.appended', true), ''), '0')::int + 1;
         begin
             perform set_config('test.appended', appended::text, true);
             if appended > 4 then raise exception 'planted' using errcode = 'query_canceled'; end if;
             return new;
         end $$",
        "create trigger end_long_statement before insert on events for each row
         when (new.event_type = 'inbox.notified') execute function end_long_statement()",
    ] {
        fixture.execute(statement).await;
    }
    let runner = fixture.runner();
    let pending = "select count(*) from process_commands";
    while sqlx::query_scalar::<_, i64>(pending).fetch_one(&fixture.pool).await.unwrap() > 0 {
        // Without the pauses between attempts. Commands of a stalled instance would not be sent any more.
        fixture.execute("update process_commands set due_at = now() where due_at < 'infinity'").await;
        assert!(runner.run_once().await.unwrap() > 0, "the instances are stalled");
    }
    assert_eq!(fixture.effects().await, vec!["inbox.notified"; NOTIFICATIONS as usize]);
}

#[tokio::test]
async fn two_runners_that_send_many_commands_to_one_stream_repeat_none() {
    const NOTIFICATIONS: u32 = 150;
    let fixture = DocumentFixture::create().await;
    add_notifications(&fixture, NOTIFICATIONS).await;

    let (one, other) = (fixture.runner(), fixture.runner());
    let drain = async |runner: &ProcessRunner<_>| {
        tests::eventually(async || {
            runner.run_once().await.unwrap();
            let pending = "select count(*) from process_commands";
            match sqlx::query_scalar::<_, i64>(pending).fetch_one(&fixture.pool).await.unwrap() {
                0 => Ok(()),
                count => Err(format!("{count} commands are pending")),
            }
        })
        .await;
    };
    tokio::join!(drain(&one), drain(&other));
    let events = fixture.events().await;
    let notified: Vec<_> = events.iter().filter(|event| event.event_type == "inbox.notified").collect();
    assert_eq!(notified.len(), NOTIFICATIONS as usize);
    let appends: i64 =
        sqlx::query_scalar("select count(distinct transaction_id) from events where event_type = 'inbox.notified'")
            .fetch_one(&fixture.pool)
            .await
            .unwrap();
    assert!(appends <= i64::from(NOTIFICATIONS) / 5, "{appends} appends: commands of a claim are appended together");
    let keys: std::collections::BTreeSet<_> = notified.iter().map(|event| &event.metadata.idempotency_key).collect();
    assert_eq!(keys.len(), NOTIFICATIONS as usize, "each event has the key of its command");
    assert_eq!(notified[0].tenant_id, TENANT);
}

/// Commands that notify one user, each of something else.
fn notifications(count: u32) -> Vec<Value> {
    use domain::inbox::{
        Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle, NotificationTopic,
    };
    let notification = |number: u32| Notification {
        about: NotificationTopic::try_new(&format!("document:{number}")).ok(),
        ..Notification::new(
            NotificationId::new(Uuid::from_u128(u128::from(number))),
            NotificationKind::DocumentAnalysed,
            NotificationTitle::try_new("Analysed").unwrap(),
            NotificationBody::try_new(&format!("Document {number}.")).unwrap(),
        )
    };
    let user = UserId::try_new("ann").unwrap();
    let command = |number| ProcessCommand::NotifyUser { user: user.clone(), notification: notification(number) };
    (0..count).map(|number| serde_json::to_value(command(number)).unwrap()).collect()
}
