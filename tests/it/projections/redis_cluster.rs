//! What is written to Redis on a server in cluster mode, which refuses keys of several slots.

use domain::value::TenantId;
use projections::{
    change_feed::ChangeFeed,
    opportunity_views::OpportunityViews,
    response_cache::{CacheLookup, ResponseCache, VisitActionsQuery},
    runtime::{Projection, VerifyScope},
    storage::redis::RedisConfig,
    tenant_views::{ListGroup, TenantViews},
};
use tests::{RedisCluster, opportunity_history::history};

use super::{apply, opportunity_views::engagement, tenant_views::worked};

#[tokio::test]
async fn every_read_model_is_written_read_and_removed() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig { url: cluster.url().to_owned(), ..RedisConfig::default() };
    let views = OpportunityViews::new(&config).unwrap();
    let tenant_views = TenantViews::new(&config).unwrap();
    let (feed, cache) = (ChangeFeed::new(&config).unwrap(), ResponseCache::new(&config).unwrap());

    let events = [history(), engagement()].concat();
    Projection::prepare(&views).await.unwrap();
    Projection::prepare(&tenant_views).await.unwrap();
    apply(&views, &events).await;
    apply(&tenant_views, &worked()).await;
    apply(&feed, &[events.clone(), worked()].concat()).await;
    apply(&cache, &events).await;

    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        let mut fold = views.fold(&scope);
        for event in &events {
            fold.apply_event(event).unwrap();
        }
        let (mut wanted, mut stored) = (fold.expected_rows(), views.read_back(&scope).await.unwrap());
        wanted.sort();
        stored.sort();
        assert_eq!(stored, wanted);
    }
    assert_eq!(views.count_views().await.unwrap(), 3);
    let acme = TenantId::try_new("acme").unwrap();
    let drafts = tenant_views.count_aggregates::<domain::proposal::Proposal>(&acme, &ListGroup::all()).await;
    assert_eq!(drafts.unwrap(), 3);
    let query = VisitActionsQuery { tenant: "public".to_owned(), user_id: None, page_url: None, first: 1 };
    cache.store_response(&query, 0, "[]").await.unwrap();
    assert_eq!(cache.look_up(&query).await.unwrap(), CacheLookup::Hit("[]".to_owned()));
    let last = history().iter().map(|event| event.position).max();
    assert_eq!(cache.opportunities_position().await.unwrap(), last.unwrap());

    Projection::discard(&views).await.unwrap();
    Projection::discard(&tenant_views).await.unwrap();
    Projection::discard(&feed).await.unwrap();
    Projection::discard(&cache).await.unwrap();
    let mut connection = redis::Client::open(cluster.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}
