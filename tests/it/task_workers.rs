//! The queue of tasks on a real log: each task is claimed by one worker, and a worker that dies delays its tasks only.

mod queue_fixture;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::{
    task::{TaskCommand, TaskKind, TaskNote, WorkerName},
    value::TenantId,
};
use task_workers::{ClaimRequest, ClaimState};
use tests::eventually;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use self::queue_fixture::{LEASE, QueueFixture, TENANT, TestHandler, claim_request};

#[tokio::test]
async fn each_task_is_claimed_once_the_oldest_first_and_of_one_tenant_if_asked() {
    let fixture = QueueFixture::create().await;
    let (first, second) = (fixture.request(TENANT).await, fixture.request("other").await);
    fixture.deliver().await;
    let of_tenant = ClaimRequest { tenant_id: Some(TenantId::try_new("third").unwrap()), ..claim_request("w") };
    assert_eq!(fixture.queue.claim_task(&of_tenant).await.unwrap(), None);
    let (one, other) = tokio::join!(fixture.claim("w1"), fixture.claim("w2"));
    let mut claimed = [one.unwrap().task_id, other.unwrap().task_id];
    claimed.sort();
    let mut expected = [first, second];
    expected.sort();
    assert_eq!(claimed, expected);
    assert_eq!(fixture.claim("w3").await, None);
    // Events that are delivered again leave the claims as they are.
    fixture.deliver().await;
    assert_eq!(fixture.claim("w3").await, None);
}

#[tokio::test]
async fn one_generation_of_each_tenant_is_claimed_at_a_time() {
    let fixture = QueueFixture::create().await;
    let (first, second) = (
        fixture.request_generation(TENANT, "generation_id").await,
        fixture.request_generation(TENANT, "generation_id").await,
    );
    let other = fixture.request_generation("other", "generation_id").await;
    fixture.deliver().await;
    let claim = async |worker: &str| {
        let request = ClaimRequest { kinds: vec![TaskKind::GenerateProposal], ..claim_request(worker) };
        fixture.queue.claim_task(&request).await.unwrap().map(|task| task.task_id)
    };
    assert_eq!(claim("a").await, Some(first.clone()));
    assert_eq!(claim("b").await, Some(other));
    assert_eq!(claim("c").await, None, "the tenant has a running generation");
    let (tenant, worker) = (TenantId::try_new(TENANT).unwrap(), WorkerName::try_new("a").unwrap());
    fixture.queue.release_claim(&tenant, &first, &worker).await.unwrap();
    let next = claim("c").await;
    assert!(next == Some(first) || next == Some(second), "{next:?}");
}

#[tokio::test]
async fn claims_at_the_same_instant_take_one_generation_of_a_tenant() {
    const TENANTS: usize = 10;
    let fixture = QueueFixture::create().await;
    for tenant in 0..TENANTS {
        for _ in 0..2 {
            fixture.request_generation(&format!("tenant-{tenant}"), "generation_id").await;
        }
    }
    fixture.deliver().await;
    let claim = async |worker: usize| {
        let worker = format!("w{worker}");
        let request = ClaimRequest { kinds: vec![TaskKind::GenerateProposal], ..claim_request(&worker) };
        fixture.queue.claim_task(&request).await.unwrap().map(|task| task.tenant_id)
    };
    let claimed: Vec<_> = futures::future::join_all((0..2 * TENANTS).map(claim)).await.into_iter().flatten().collect();
    let tenants: std::collections::BTreeSet<_> = claimed.iter().map(ToString::to_string).collect();
    assert_eq!((claimed.len(), tenants.len()), (TENANTS, TENANTS), "{claimed:?}");
}

#[tokio::test]
async fn tasks_for_tenants_own_workers_and_tasks_of_generations_are_separate() {
    let fixture = QueueFixture::create().await;
    let own = fixture.request_generation(TENANT, "tone").await;
    fixture.deliver().await;
    let product = ClaimRequest { kinds: vec![TaskKind::GenerateProposal], ..claim_request("a") };
    let tenant = ClaimRequest { tenant_id: Some(TenantId::try_new(TENANT).unwrap()), ..product.clone() };
    assert_eq!(fixture.queue.claim_task(&product).await.unwrap(), None);
    let generation = fixture.request_generation(TENANT, "generation_id").await;
    fixture.deliver().await;
    assert_eq!(fixture.queue.claim_task(&tenant).await.unwrap().unwrap().task_id, own);
    assert_eq!(fixture.queue.claim_task(&tenant).await.unwrap(), None);
    assert_eq!(fixture.queue.claim_task(&product).await.unwrap().unwrap().task_id, generation);
}

#[tokio::test]
async fn a_task_whose_row_cannot_be_read_is_set_aside_with_its_reason() {
    let fixture = QueueFixture::create().await;
    let (bad, good) = (fixture.request(TENANT).await, fixture.request(TENANT).await);
    fixture.deliver().await;
    let damage = "update task_queue set job = job || '{\"kind\": \"juggle\", \"x\": 1e400}' where task_id = $1";
    sqlx::query(damage).bind(&bad).execute(&fixture.pool).await.unwrap();

    assert_eq!(fixture.claim("a").await.unwrap().task_id, good, "it delays no other");
    assert_eq!(fixture.claim("b").await, None, "it is not claimed again");
    let parked = fixture.queue.list_unreadable(10).await.unwrap();
    assert_eq!(parked.iter().map(|row| row.task_id.as_str()).collect::<Vec<_>>(), [&bad]);
    assert!(parked[0].reason.contains("juggle") || parked[0].reason.contains("number out of range"), "{parked:?}");
    // It is offered again after a minute, and after twice that time if it still cannot be read.
    let pause = async || {
        let query = "select extract(epoch from claimable_at - changed_at)::bigint from task_queue where task_id = $1";
        sqlx::query_scalar::<_, i64>(query).bind(&bad).fetch_one(&fixture.pool).await.unwrap()
    };
    assert_eq!(pause().await, 60);
    let offer = "update task_queue set claimable_at = now() where task_id = $1";
    sqlx::query(offer).bind(&bad).execute(&fixture.pool).await.unwrap();
    assert_eq!(fixture.claim("b").await, None);
    assert_eq!(pause().await, 120);
    // A release that can read it gets it after the pause.
    let repair = "update task_queue set job = (select job from task_queue where task_id = $2), claimable_at = now()
                  where task_id = $1";
    sqlx::query(repair).bind(&bad).bind(&good).execute(&fixture.pool).await.unwrap();
    assert_eq!(fixture.claim("b").await.unwrap().task_id, bad);
    assert_eq!(fixture.queue.list_unreadable(10).await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_pool_completes_all_tasks_with_its_concurrency() {
    let mut fixture = QueueFixture::create().await;
    let mut ids = vec![];
    for _ in 0..12 {
        ids.push(fixture.request(TENANT).await);
    }
    fixture.deliver_continuously();
    let handler = Arc::new(TestHandler { group: Some(Barrier::new(3)), ..TestHandler::default() });
    let (pool, stop) = fixture.pool_of("w", &handler);
    for id in &ids {
        fixture.wait_for_history(id, &["task.requested", "task.started w", "task.completed done"]).await;
    }
    stop.cancel();
    pool.await.unwrap();
    assert_eq!(handler.most_running.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_another() {
    let mut fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver_continuously();
    let handler = Arc::new(TestHandler { fails_until: 1, ..TestHandler::default() });
    let (pool, stop) = fixture.pool_of("w", &handler);
    let history = ["task.requested", "task.started w", "task.failed later", "task.started w", "task.completed done"];
    fixture.wait_for_history(&id, &history).await;
    stop.cancel();
    pool.await.unwrap();
}

#[tokio::test]
async fn the_task_of_a_worker_that_died_is_taken_over_after_its_lease() {
    let mut fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver_continuously();
    let held = Arc::new(TestHandler { holds: true, ..TestHandler::default() });
    let (dying, _stop) = fixture.pool_of("w1", &held);
    fixture.wait_for_history(&id, &["task.requested", "task.started w1"]).await;
    // All its tasks end at once and nothing is recorded, as by kill -9.
    dying.abort();
    let (pool, stop) = fixture.pool_of("w2", &Arc::new(TestHandler::default()));
    let history = ["task.requested", "task.started w1", "task.failed later", "task.started w2", "task.completed done"];
    fixture.wait_for_history(&id, &history).await;
    stop.cancel();
    pool.await.unwrap();
}

#[tokio::test]
async fn a_cancelled_task_is_interrupted() {
    let mut fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver_continuously();
    let handler = Arc::new(TestHandler { holds: true, ..TestHandler::default() });
    let (pool, stop) = fixture.pool_of("w", &handler);
    fixture.wait_for_history(&id, &["task.requested", "task.started w"]).await;
    let stamp = fixture.dispatcher.stamp(&QueueFixture::sender(TENANT));
    let cancel = TaskCommand::Cancel { reason: TaskNote::try_new("not needed").unwrap(), stamp };
    fixture.send(&id, cancel, TENANT).await;
    eventually(async || match handler.cancelled.load(Ordering::SeqCst) {
        1 => Ok(()),
        other => Err(format!("{other} cancelled")),
    })
    .await;
    stop.cancel();
    pool.await.unwrap();
    assert_eq!(fixture.history(&id).await, ["task.requested", "task.started w", "task.cancelled"]);
}

#[tokio::test]
async fn a_pool_that_stops_ends_the_tasks_that_it_works_on_and_claims_no_more() {
    let mut fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver_continuously();
    let handler = Arc::new(TestHandler { holds: true, ..TestHandler::default() });
    let (pool, stop) = fixture.pool_of("w", &handler);
    fixture.wait_for_history(&id, &["task.requested", "task.started w"]).await;
    stop.cancel();
    let later = fixture.request(TENANT).await;
    handler.may_end.notify_waiters();
    pool.await.unwrap();
    assert_eq!(fixture.history(&id).await.last().map(String::as_str), Some("task.completed done"));
    assert_eq!(fixture.history(&later).await, ["task.requested"]);
}

/// The queue stops before the pool when a service does.
#[tokio::test]
async fn a_pool_whose_queue_has_stopped_ends() {
    let fixture = QueueFixture::create().await;
    let stop_queue = CancellationToken::new();
    let queue = tokio::spawn(fixture.queue.clone().run(stop_queue.clone()));
    let (pool, _stop) = fixture.pool_of("w", &Arc::new(TestHandler::default()));
    stop_queue.cancel();
    queue.await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), pool).await.unwrap().unwrap();
    let later = fixture.request(TENANT).await;
    assert_eq!(fixture.history(&later).await, ["task.requested"]);
}

#[tokio::test]
async fn a_lease_is_renewed_by_its_worker_only_and_not_after_the_end() {
    let fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver().await;
    fixture.claim("w1").await.unwrap();
    let tenant = TenantId::try_new(TENANT).unwrap();
    let renew = async |worker: &str| {
        fixture.queue.renew_claim(&tenant, &id, &WorkerName::try_new(worker).unwrap(), LEASE).await.unwrap()
    };
    assert_eq!((renew("w1").await, renew("w2").await), (ClaimState::Held, ClaimState::Lost));
    let stamp = fixture.dispatcher.stamp(&QueueFixture::sender(TENANT));
    let cancel = TaskCommand::Cancel { reason: TaskNote::try_new("no").unwrap(), stamp };
    fixture.send(&id, cancel, TENANT).await;
    fixture.deliver().await;
    assert_eq!(renew("w1").await, ClaimState::Lost);
    sqlx::query("update task_queue set changed_at = now() - interval '8 days'").execute(&fixture.pool).await.unwrap();
    assert_eq!(fixture.queue.remove_ended().await.unwrap(), 1);
}

#[tokio::test]
async fn two_workers_that_die_one_after_the_other_delay_a_task_and_lose_nothing() {
    let mut fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver_continuously();
    let held = Arc::new(TestHandler { holds: true, ..TestHandler::default() });
    let (first, _stop) = fixture.pool_of("w1", &held);
    fixture.wait_for_history(&id, &["task.requested", "task.started w1"]).await;
    first.abort();
    let (second, _stop) = fixture.pool_of("w2", &held);
    let history = ["task.requested", "task.started w1", "task.failed later", "task.started w2"];
    fixture.wait_for_history(&id, &history).await;
    second.abort();
    let (third, stop) = fixture.pool_of("w3", &Arc::new(TestHandler::default()));
    let rest = ["task.failed later", "task.started w3", "task.completed done"];
    fixture.wait_for_history(&id, &[&history[..], &rest].concat()).await;
    stop.cancel();
    third.await.unwrap();
}

#[tokio::test]
async fn the_worker_that_started_a_task_is_known_until_the_log_says_that_its_attempt_failed() {
    let fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    fixture.deliver().await;
    let start = |worker: &str| TaskCommand::Start {
        worker: WorkerName::try_new(worker).unwrap(),
        stamp: fixture.dispatcher.stamp(&QueueFixture::sender(TENANT)),
    };
    let expire = async || {
        let statement = "update task_queue set claimable_at = now()";
        sqlx::query(statement).execute(&fixture.pool).await.unwrap();
    };
    fixture.claim("w1").await.unwrap();
    expire().await;
    // The first worker starts after its claim has ended and another one has the task.
    assert_eq!(fixture.claim("w2").await.unwrap().previous_worker, None);
    fixture.send(&id, start("w1"), TENANT).await;
    fixture.deliver().await;
    // Two claims end before an outcome of the attempt is recorded.
    for worker in ["w3", "w4"] {
        assert_eq!(fixture.claim("w0").await, None, "the claim holds");
        expire().await;
        let claimed = fixture.claim(worker).await.unwrap();
        assert_eq!(claimed.previous_worker, Some(WorkerName::try_new("w1").unwrap()), "{worker}");
        assert_eq!(claimed.version, 2);
    }
}

#[tokio::test]
async fn a_task_that_a_worker_has_started_without_a_claim_is_never_given_to_another() {
    let fixture = QueueFixture::create().await;
    let id = fixture.request(TENANT).await;
    let stamp = fixture.dispatcher.stamp(&QueueFixture::sender(TENANT));
    fixture.send(&id, TaskCommand::Start { worker: WorkerName::try_new("own").unwrap(), stamp }, TENANT).await;
    fixture.deliver().await;
    assert_eq!(fixture.claim("w").await, None);
    let claimable: bool =
        sqlx::query_scalar("select claimable_at = 'infinity' from task_queue").fetch_one(&fixture.pool).await.unwrap();
    assert!(claimable);
}
