//! What the server refuses, lost or was told to forget.

use std::error::Error;

use projections::runtime::{Projection, ProjectionError, ReadModelGeneration};

use super::{
    ViewsFixture, apply, attempt,
    engagement::{engagement, now, viewed},
    id, in_shard, stream_key,
};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history};

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| Error::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_server_that_lost_its_data_takes_in_nothing() {
    let (opened, events) = (ViewsFixture::new().await, history());
    apply(&opened.views, &events[..4]).await;
    opened.lose_everything().await;

    let lost = "redis lost generation g1 of the views; run `medhub rebuild views`";
    // A worker that remembers what it wrote, and a fresh one; events that go on where they were, known ones, first ones.
    for views in [&opened.views, &opened.other()] {
        for batch in [&events[4..], &events[..2], &events[..1], &[viewed("visit", 1, SHIP, now())]] {
            let error = attempt(views, batch).await.unwrap_err();
            assert!(matches!(error, ProjectionError::Unavailable(_)), "{}", chain(&error));
            assert!(chain(&error).contains(lost), "{}", chain(&error));
        }
    }
    assert_eq!(opened.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_generation_that_is_discarded_takes_in_nothing_more() {
    let (opened, events) = (ViewsFixture::new().await, history());
    let second = opened.views.with_generation(ReadModelGeneration::try_new(2).unwrap());
    second.prepare().await.unwrap();
    apply(&second, &events).await;
    apply(&opened.views, &events[..4]).await;
    let late = opened.other();
    apply(&late, &events[..4]).await;

    opened.views.discard().await.unwrap();

    for batch in [&events[4..5], &events[..1]] {
        let outcome = attempt(&late, batch).await;
        assert!(matches!(outcome, Err(ProjectionError::Unavailable(_))), "{outcome:?}");
    }
    assert!(opened.keys().await.iter().all(|key| key.contains(":g2:")));
    assert_eq!(second.count_views().await.unwrap(), 3);
    opened.views.discard().await.unwrap();
}

#[tokio::test]
async fn a_generation_with_the_keys_of_an_earlier_release_is_rebuilt_and_not_written() {
    let (opened, events) = (ViewsFixture::new().await, history());
    opened.lose_everything().await;
    // The marker and a view, as they were named before keys had tags.
    opened.on::<()>("SET", "generation", &["g1"]).await;
    opened.on::<u64>("HSET", &format!("opportunity:{WHEELCHAIRS}"), &["version", "4", "state", "{}"]).await;
    let before = opened.keys().await.len();

    // What `medhub migrate` does.
    opened.views.prepare().await.unwrap();

    for batch in [&events[4..], &events[..1]] {
        let error = attempt(&opened.views, batch).await.unwrap_err();
        assert!(matches!(error, ProjectionError::Unavailable(_)), "{}", chain(&error));
        let wanted = "generation g1 of the views has the keys of an earlier release; run `medhub rebuild views`";
        assert!(chain(&error).contains(wanted), "{}", chain(&error));
    }
    assert_eq!(opened.keys().await.len(), before);
    let second = opened.views.with_generation(ReadModelGeneration::try_new(2).unwrap());
    second.prepare().await.unwrap();
    apply(&second, &events).await;
    opened.views.discard().await.unwrap();
    assert!(opened.keys().await.iter().all(|key| key.contains(":g2:")));
    assert_eq!(second.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn a_lost_slot_is_a_lost_generation() {
    let (opened, events) = (ViewsFixture::new().await, history());
    apply(&opened.views, &events[..4]).await;
    let keys: Vec<_> = opened.keys().await.into_iter().filter(|key| key.contains(&in_shard(SHIP, ""))).collect();
    redis::cmd("DEL").arg(keys).exec_async(&mut opened.connection.clone()).await.unwrap();
    let of_ship: Vec<_> = events.iter().filter(|event| event.aggregate_id == SHIP).cloned().collect();

    for views in [&opened.views, &opened.other()] {
        let error = attempt(views, &of_ship[1..]).await.unwrap_err();
        assert!(chain(&error).contains("redis lost generation g1"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_refused_alone() {
    let (opened, events) = (ViewsFixture::new().await, history());
    let view = stream_key("opportunity", WHEELCHAIRS);
    opened.on::<()>("SET", &view, &["not ours"]).await;

    // With and without reading first.
    for batch in [&events[..], &events[1..]] {
        let outcome = attempt(&opened.views, batch).await;
        assert!(matches!(outcome, Err(ProjectionError::Rejected(_))), "{outcome:?}");
    }
    assert_eq!(opened.views.count_views().await.unwrap(), 2);
    assert!(opened.views.get(&id(SHIP)).await.unwrap().is_some());

    opened.on::<()>("DEL", &view, &[]).await;
    apply(&opened.views, &events).await;
    assert_eq!(opened.views.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn a_state_that_is_none_is_refused_alone() {
    let (opened, events) = (ViewsFixture::new().await, history());
    apply(&opened.other(), &events[..1]).await;
    opened.on::<()>("HSET", &stream_key("opportunity", WHEELCHAIRS), &["state", "{}"]).await;

    let outcome = attempt(&opened.views, &events[1..]).await;

    assert!(matches!(outcome, Err(ProjectionError::Rejected(_))), "{outcome:?}");
    assert!(opened.views.get(&id(SHIP)).await.unwrap().is_some());
}

#[tokio::test]
async fn figures_of_another_type_move_nothing() {
    let (opened, events) = (ViewsFixture::new().await, history());
    for opportunity in [WHEELCHAIRS, SHIP, VALVES] {
        let counters = in_shard(opportunity, "counters:opportunities");
        opened.on::<()>("HSET", &counters, &["type:Solicitation", "many"]).await;
    }

    let error = attempt(&opened.views, &events).await.unwrap_err();

    assert!(matches!(error, ProjectionError::Unavailable(_)), "{}", chain(&error));
    assert!(chain(&error).contains("damaged"), "{}", chain(&error));
    assert_eq!((opened.views.get(&id(SHIP)).await.unwrap(), opened.views.count_views().await.unwrap()), (None, 0));

    for opportunity in [WHEELCHAIRS, SHIP, VALVES] {
        opened.on::<()>("DEL", &in_shard(opportunity, "counters:opportunities"), &[]).await;
    }
    apply(&opened.views, &events).await;
    assert_eq!(opened.views.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn one_opportunitys_figures_of_another_type_are_refused_alone() {
    let (opened, events) = (ViewsFixture::new().await, engagement());
    opened.on::<()>("SET", &stream_key("engagement", SHIP), &["not ours"]).await;

    let outcome = attempt(&opened.views, &events[..1]).await;

    assert!(matches!(outcome, Err(ProjectionError::Rejected(_))), "{outcome:?}");
    assert_eq!(
        opened.on::<Vec<String>>("ZRANGE", &in_shard(SHIP, "top:viewed"), &["0", "-1"]).await,
        Vec::<String>::new()
    );
    opened.on::<()>("DEL", &stream_key("engagement", SHIP), &[]).await;
    apply(&opened.views, &events).await;
    assert_eq!(opened.on::<u64>("ZSCORE", &in_shard(SHIP, "top:viewed"), &[SHIP]).await, 3);
}

#[tokio::test]
async fn what_was_acknowledged_and_not_kept_is_noticed() {
    let (opened, events) = (ViewsFixture::new().await, history());
    apply(&opened.views, &events).await;
    let last = Projection::is_applied;
    let changes: Vec<_> = events
        .iter()
        .flat_map(|event| projections::opportunity_views::OpportunityViews::project(event).unwrap())
        .collect();
    for change in &changes {
        assert!(last(&opened.views, change).await.unwrap());
    }
    opened.on::<()>("HSET", &stream_key("opportunity", WHEELCHAIRS), &["version", "1"]).await;
    let held = changes.iter().filter(|change| change.id == WHEELCHAIRS).map(|change| last(&opened.views, change));
    let held: Vec<_> = futures::future::join_all(held).await.into_iter().map(Result::unwrap).collect();
    assert!(held[0] && held[1..].iter().all(|held| !held), "{held:?}");
}
