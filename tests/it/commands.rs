//! Guarantees of every command, on a real log: once per idempotency key, and only on the expected version.

mod dispatcher;

use std::sync::Arc;

use commands::{
    caller::Caller,
    error::CommandError,
    opportunity::{OpportunityAmendment, OpportunityCommandOutcome, OpportunityService},
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    clock::SystemClock,
    opportunity::{Opportunity, OpportunityError, OpportunityId},
    value::{TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;

use tests::{database, opportunity_history::notice};

type OpportunityDispatcher = OpportunityService<PgEventStore<Opportunity>>;
type DispatchResult = Result<OpportunityCommandOutcome, CommandError<OpportunityError>>;

fn commands(pool: &PgPool) -> Arc<OpportunityDispatcher> {
    Arc::new(OpportunityDispatcher::new(
        PgEventStore::new(pool.clone(), &PostgresConfig::default()),
        Arc::new(SystemClock),
    ))
}

fn caller(tenant: &str) -> Caller {
    Caller::new(UserId::try_new("ann").unwrap(), TenantId::try_new(tenant).unwrap())
}

fn once(key: &str, asked: &str) -> CommandPreconditions {
    CommandPreconditions {
        idempotency_key: Some(IdempotencyKey::try_new(key, asked).unwrap()),
        ..CommandPreconditions::default()
    }
}

fn seen(version: u64) -> CommandPreconditions {
    CommandPreconditions::with_version(Some(version))
}

async fn discovered(commands: &OpportunityDispatcher) -> OpportunityId {
    let notice = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "Wheelchairs", "6530", 3);
    commands.discover_opportunity(&caller("public"), notice, &CommandPreconditions::default()).await.unwrap().id
}

async fn retitle(
    commands: &OpportunityDispatcher,
    tenant: &str,
    id: &OpportunityId,
    title: &str,
    conditions: CommandPreconditions,
) -> DispatchResult {
    let amendment = OpportunityAmendment { title: Some(title.to_owned()), ..OpportunityAmendment::default() };
    commands.amend_opportunity(&caller(tenant), id, amendment, &conditions).await
}

async fn events(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_command_that_is_sent_again_is_answered_as_it_was_and_not_carried_out_again() {
    let pool = database().await;
    let commands = commands(&pool);
    let id = discovered(&commands).await;
    let first = retitle(&commands, "public", &id, "Wheelchairs and lifts", once("k1", "lifts")).await.unwrap();
    let later = retitle(&commands, "public", &id, "Something else", once("k2", "else")).await.unwrap();
    let before = events(&pool).await;

    let again = retitle(&commands, "public", &id, "Wheelchairs and lifts", once("k1", "lifts")).await.unwrap();

    assert_eq!(again, first);
    assert!(later.version > first.version);
    assert_eq!(events(&pool).await, before);
}

#[tokio::test]
async fn a_key_belongs_to_one_command_of_one_tenant() {
    let pool = database().await;
    let commands = commands(&pool);
    let id = discovered(&commands).await;
    retitle(&commands, "public", &id, "One", once("k", "one")).await.unwrap();

    let other = retitle(&commands, "public", &id, "Two", once("k", "two")).await;
    let elsewhere = retitle(&commands, "acme", &id, "Three", once("k", "three")).await;

    assert!(matches!(other, Err(CommandError::KeyReused)), "{other:?}");
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
}

#[tokio::test]
async fn a_command_sent_many_times_at_once_is_carried_out_once() {
    let pool = database().await;
    let commands = commands(&pool);
    let id = discovered(&commands).await;
    let before = events(&pool).await;

    let sent = (0..20).map(|_| {
        let (commands, id) = (Arc::clone(&commands), id.clone());
        tokio::spawn(async move { retitle(&commands, "public", &id, "Lifts", once("k", "lifts")).await.unwrap() })
    });
    let answers: Vec<_> = futures::future::join_all(sent).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(events(&pool).await, before + 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_command_on_another_version_than_the_current_one_is_told_the_current_one() {
    let pool = database().await;
    let commands = commands(&pool);
    let id = discovered(&commands).await;

    let current = retitle(&commands, "public", &id, "Lifts", seen(1)).await.unwrap();
    let outdated = retitle(&commands, "public", &id, "Ramps", seen(1)).await;
    let early = retitle(&commands, "public", &id, "Ramps", seen(9)).await;

    assert_eq!(current.version, 2);
    for refused in [outdated, early] {
        assert!(matches!(refused, Err(CommandError::Outdated { current: 2 })), "{refused:?}");
    }
    assert!(retitle(&commands, "public", &id, "Ramps", seen(2)).await.is_ok());
}
