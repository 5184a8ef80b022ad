//! The read models on real engines: repeated events change nothing, a replay from zero equals live, and one failing
//! store delays no other.

mod change_feed;
mod dead_letter;
mod faulty_storage;
mod lost_broker;
mod opportunity_analytics;
mod opportunity_lists;
mod opportunity_search;
mod opportunity_views;
mod projection_fixture;
mod rebuild;
mod rebuild_crash;
mod redis_cluster;
mod tenant_views;
mod worker;

use domain::{envelope::RawEnvelope, opportunity::OpportunityId};
use projections::runtime::Projection;

/// Projects and applies events as one batch.
async fn apply<P: Projection>(projection: &P, events: &[RawEnvelope]) {
    let changes: Vec<_> = events.iter().flat_map(|event| P::project(event).unwrap()).collect();
    projection.apply(&changes).await.unwrap();
}

/// Applies events one by one, as they arrive.
async fn apply_live<P: Projection>(projection: &P, events: &[RawEnvelope]) {
    for event in events {
        apply(projection, std::slice::from_ref(event)).await;
    }
}

/// Applies events as a broker may deliver them: a batch twice, then again from an earlier offset.
async fn apply_with_repetitions<P: Projection>(projection: &P, events: &[RawEnvelope]) {
    let middle = events.len() / 2;
    apply(projection, &events[..middle]).await;
    apply(projection, &events[..middle]).await;
    apply(projection, &events[middle.saturating_sub(2)..]).await;
    apply_live(projection, events).await;
    apply(projection, &[events, events].concat()).await;
}

fn id(text: &str) -> OpportunityId {
    OpportunityId::parse(text).unwrap()
}
