//! Redis: detail views, counters and leaderboards that move together, exactly once.

mod apply_script;
mod engagement;
mod rejected_writes;
mod state_cache;
mod verify;

use std::collections::BTreeMap;

use domain::envelope::RawEnvelope;
use projections::{
    opportunity_views::{KeyShard, OpportunityCounters, OpportunityView, OpportunityViewStatus, OpportunityViews},
    runtime::{Projection, ProjectionError},
    storage::redis::RedisConfig,
};
use redis::{FromRedisValue, aio::MultiplexedConnection};

pub(super) use self::engagement::engagement;
use super::{apply, apply_live, apply_with_repetitions, id};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history};

/// A generation whose keys the test can lay hands on.
struct ViewsFixture {
    views: OpportunityViews,
    config: RedisConfig,
    connection: MultiplexedConnection,
}

impl ViewsFixture {
    async fn new() -> Self {
        let config = tests::views_config().await;
        let views = OpportunityViews::new(&config).unwrap();
        views.prepare().await.unwrap();
        let client = redis::Client::open(config.url.as_str()).unwrap();
        Self { views, config, connection: client.get_multiplexed_async_connection().await.unwrap() }
    }

    /// A second worker on the same keys, with a memory of its own.
    fn other(&self) -> OpportunityViews {
        OpportunityViews::new(&self.config).unwrap()
    }

    fn key(&self, name: &str) -> String {
        format!("{}g1:{name}", self.config.key_prefix)
    }

    /// Runs a command on one key of the generation.
    async fn on<T: FromRedisValue>(&self, command: &str, name: &str, arguments: &[&str]) -> T {
        let mut command = redis::cmd(command);
        command.arg(self.key(name)).arg(arguments);
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        let pattern = format!("{}*", self.config.key_prefix);
        redis::cmd("KEYS").arg(pattern).query_async(&mut self.connection.clone()).await.unwrap()
    }

    /// What a server does that is started anew without its data.
    async fn lose_everything(&self) {
        let keys = self.keys().await;
        redis::cmd("DEL").arg(keys).exec_async(&mut self.connection.clone()).await.unwrap();
    }
}

/// The name of a key in the shard of an opportunity, a visit or a user.
fn in_shard(id: &str, name: &str) -> String {
    format!("{{{}}}:{name}", KeyShard::for_id(id))
}

/// The name of a stream's key.
fn stream_key(kind: &str, id: &str) -> String {
    in_shard(id, &format!("{kind}:{id}"))
}

/// Tries to apply events as one batch.
async fn attempt(views: &OpportunityViews, events: &[RawEnvelope]) -> Result<(), ProjectionError> {
    let changes: Vec<_> = events.iter().flat_map(|event| OpportunityViews::project(event).unwrap()).collect();
    views.apply(&changes).await
}

/// Everything a reader can see.
async fn seen(views: &OpportunityViews) -> (u64, OpportunityCounters, Vec<Option<OpportunityView>>) {
    let mut details = vec![];
    for opportunity in [WHEELCHAIRS, SHIP, VALVES] {
        details.push(views.get(&id(opportunity)).await.unwrap());
    }
    (views.count_views().await.unwrap(), views.counters().await.unwrap(), details)
}

#[tokio::test]
async fn twice_the_same_events_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) = (tests::views().await, tests::views().await, tests::views().await);
    let events = history();
    apply_live(&live, &events).await;
    apply_with_repetitions(&repeated, &events).await;
    apply(&replayed, &events).await;

    let expected = seen(&live).await;

    assert_eq!(seen(&repeated).await, expected);
    assert_eq!(seen(&replayed).await, expected);
    let counted = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(
        (expected.0, expected.1),
        (
            3,
            OpportunityCounters {
                total: 3,
                by_agency: counted(&[("036", 1), ("070", 1), ("097", 1)]),
                by_type: counted(&[("Solicitation", 3)]),
                by_status: counted(&[("awarded", 2), ("open", 1)]),
            }
        )
    );
}

#[tokio::test]
async fn a_view_shows_what_is_on_record() {
    let views = tests::views().await;
    assert_eq!((views.get(&id(WHEELCHAIRS)).await.unwrap(), views.count_views().await.unwrap()), (None, 0));
    let events = history();
    apply(&views, &events).await;

    let view = views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap();

    let last = events.iter().filter(|event| event.aggregate_id == WHEELCHAIRS).count() as u64;
    assert_eq!((view.version, view.status, view.notice_count), (last, OpportunityViewStatus::Awarded, 4));
    assert_eq!((view.details.title.as_str(), view.awarded_cents), ("6530--Wheelchairs and lifts", Some(111)));
}

#[tokio::test]
async fn workers_that_overlap_count_every_event_once() {
    let views = tests::views().await;
    let events = history();
    // Every event makes its own race: four workers, all with the same batch.
    for event in &events {
        let batch = std::slice::from_ref(event);
        tokio::join!(apply(&views, batch), apply(&views, batch), apply(&views, batch), apply(&views, batch));
    }
    let replayed = tests::views().await;
    apply(&replayed, &events).await;

    assert_eq!(seen(&views).await, seen(&replayed).await);
}

#[tokio::test]
async fn a_missing_event_is_never_glossed_over() {
    let views = tests::views().await;
    let events = history();
    apply(&views, &events[..1]).await;
    let later: Vec<_> = events.iter().filter(|event| event.aggregate_id == WHEELCHAIRS && event.sequence > 2).collect();
    let changes: Vec<_> = later.iter().flat_map(|event| OpportunityViews::project(event).unwrap()).collect();

    let outcome = views.apply(&changes).await;

    assert!(matches!(outcome, Err(ProjectionError::Poison(_))), "{outcome:?}");
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, 1);
}
