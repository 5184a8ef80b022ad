//! States kept in memory are never believed more than the store.

use projections::{opportunity_views::OpportunityViews, storage::redis::RedisConfig};

use super::{ViewsFixture, apply, apply_live, id, in_shard, stream_key};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history};

async fn same(views: &OpportunityViews, others: &OpportunityViews) {
    for opportunity in [WHEELCHAIRS, SHIP, VALVES] {
        assert_eq!(views.get(&id(opportunity)).await.unwrap(), others.get(&id(opportunity)).await.unwrap());
    }
    assert_eq!(views.counters().await.unwrap(), others.counters().await.unwrap());
}

#[tokio::test]
async fn a_worker_that_was_overtaken_goes_on_from_what_the_other_wrote() {
    let (opened, events, replayed) = (ViewsFixture::new().await, history(), tests::views().await);
    apply(&replayed, &events).await;
    let (one, two) = (&opened.views, opened.other());
    // Partitions go to and fro, and what the other did is partly new and partly known each time.
    apply(one, &events[..2]).await;
    apply(&two, &events[1..5]).await;
    apply(one, &events[3..7]).await;
    apply(&two, &events[7..]).await;
    apply(one, &events[5..]).await;

    same(one, &replayed).await;
}

#[tokio::test]
async fn what_the_server_forgot_is_written_again() {
    let (opened, events, replayed) = (ViewsFixture::new().await, history(), tests::views().await);
    apply(&replayed, &events).await;
    apply_live(&opened.views, &events).await;
    let counters = |opportunity| in_shard(opportunity, "counters:opportunities");
    assert!(counters(WHEELCHAIRS) != counters(VALVES) && counters(SHIP) != counters(VALVES), "counted apart");
    for opportunity in [WHEELCHAIRS, SHIP] {
        for name in [stream_key("opportunity", opportunity), counters(opportunity)] {
            opened.on::<u64>("DEL", &name, &[]).await;
        }
    }

    apply(&opened.views, &events).await;

    same(&opened.views, &replayed).await;
}

#[tokio::test]
async fn without_memory_everything_is_read_back() {
    let (opened, events, replayed) = (ViewsFixture::new().await, history(), tests::views().await);
    apply(&replayed, &events).await;
    let config = RedisConfig { cache_mb: 0, ..opened.config.clone() };
    apply_live(&OpportunityViews::new(&config).unwrap(), &events).await;

    same(&opened.views, &replayed).await;
}
