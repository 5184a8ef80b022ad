//! What the server refuses, lost or was told to forget.

use std::error::Error;

use projections::runtime::{Generation, Projection, ProjectionError};

use super::{
    ViewsFixture, apply, attempt,
    engagement::{engagement, now, viewed},
    id,
};
use tests::opportunity_history::{SHIP, WHEELCHAIRS, history};

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| Error::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_server_that_lost_its_data_takes_in_nothing() {
    let (opened, events) = (ViewsFixture::new().await, history());
    apply(&opened.views, &events[..4]).await;
    opened.lose_everything().await;

    let lost = "redis lost generation g1 of the views; `medhub rebuild views` makes it anew";
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
    let second = opened.views.with_generation(Generation::try_new(2).unwrap());
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
async fn a_key_of_another_type_is_refused_alone() {
    let (opened, events) = (ViewsFixture::new().await, history());
    let view = format!("opportunity:{WHEELCHAIRS}");
    opened.on::<()>("SET", &view, &["not ours"]).await;

    // With and without reading first.
    for batch in [&events[..], &events[1..]] {
        let outcome = attempt(&opened.views, batch).await;
        assert!(matches!(outcome, Err(ProjectionError::Refused(_))), "{outcome:?}");
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
    opened.on::<()>("HSET", &format!("opportunity:{WHEELCHAIRS}"), &["state", "{}"]).await;

    let outcome = attempt(&opened.views, &events[1..]).await;

    assert!(matches!(outcome, Err(ProjectionError::Refused(_))), "{outcome:?}");
    assert!(opened.views.get(&id(SHIP)).await.unwrap().is_some());
}

#[tokio::test]
async fn figures_of_another_type_move_nothing() {
    let (opened, events) = (ViewsFixture::new().await, history());
    opened.on::<()>("HSET", "counters:opportunities", &["type:Solicitation", "many"]).await;

    let error = attempt(&opened.views, &events).await.unwrap_err();

    assert!(matches!(error, ProjectionError::Unavailable(_)), "{}", chain(&error));
    assert!(chain(&error).contains("damaged"), "{}", chain(&error));
    assert_eq!((opened.views.get(&id(SHIP)).await.unwrap(), opened.views.count_views().await.unwrap()), (None, 0));

    opened.on::<()>("DEL", "counters:opportunities", &[]).await;
    apply(&opened.views, &events).await;
    assert_eq!(opened.views.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn one_opportunitys_figures_of_another_type_are_refused_alone() {
    let (opened, events) = (ViewsFixture::new().await, engagement());
    opened.on::<()>("SET", &format!("engagement:{SHIP}"), &["not ours"]).await;

    let outcome = attempt(&opened.views, &events[..1]).await;

    assert!(matches!(outcome, Err(ProjectionError::Refused(_))), "{outcome:?}");
    assert_eq!(opened.on::<Vec<String>>("ZRANGE", "top:viewed", &["0", "-1"]).await, Vec::<String>::new());
    opened.on::<()>("DEL", &format!("engagement:{SHIP}"), &[]).await;
    apply(&opened.views, &events).await;
    assert_eq!(opened.on::<u64>("ZSCORE", "top:viewed", &[SHIP]).await, 3);
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
    opened.on::<()>("HSET", &format!("opportunity:{WHEELCHAIRS}"), &["version", "1"]).await;
    let held = changes.iter().filter(|change| change.id == WHEELCHAIRS).map(|change| last(&opened.views, change));
    let held: Vec<_> = futures::future::join_all(held).await.into_iter().map(Result::unwrap).collect();
    assert!(held[0] && held[1..].iter().all(|held| !held), "{held:?}");
}
