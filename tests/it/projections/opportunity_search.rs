//! Qdrant: one point per opportunity, found by what it is about and by the words and numbers in it.

mod collections;
mod connection;
mod document_texts;
mod queries;
mod similarity;
mod verify;
mod writes;

use std::sync::Arc;

use domain::{envelope::RawEnvelope, value::PUBLIC_TENANT};
use projections::{
    OpportunityCriteria,
    opportunity_search::{OpportunityHit, OpportunitySearch},
    runtime::{Projection, ReadModelGeneration, ReadModelRow, VerifyScope},
    storage::qdrant::QdrantConfig,
};
use qdrant_client::{
    Payload, Qdrant,
    qdrant::{DeletePointsBuilder, PointsIdsList, SetPayloadPointsBuilder, UpsertPointsBuilder},
};
use serde_json::json;
use uuid::Uuid;

use super::{apply, apply_live, apply_with_repetitions};
use tests::TestNamespace;

/// A collection of the test's own, and a way to it past the read model.
struct SearchFixture {
    search: OpportunitySearch,
    collection: String,
    qdrant: Qdrant,
}

impl SearchFixture {
    async fn new() -> Self {
        let url = tests::engines().await.variable("QDRANT_URL").to_owned();
        let prefix = TestNamespace::new().collection_prefix();
        let qdrant = Qdrant::from_url(&url).skip_compatibility_check().build().unwrap();
        let collection = format!("{prefix}opportunities_g1");
        let config = QdrantConfig { url, collection_prefix: prefix, ..QdrantConfig::default() };
        let search = OpportunitySearch::new(&config, Arc::new(tests::embedding_model().await)).unwrap();
        search.migrate().await.unwrap();
        Self { search, collection, qdrant }
    }

    /// With these events in it.
    async fn holding(events: &[RawEnvelope]) -> Self {
        let own = Self::new().await;
        apply(&own.search, events).await;
        own
    }

    /// Changes the payload of an opportunity's point behind the read model's back.
    async fn tamper(&self, id: &str, payload: serde_json::Value) {
        let payload = Payload::try_from(payload).unwrap();
        let set = SetPayloadPointsBuilder::new(&self.collection, payload).points_selector(ids(id)).wait(true);
        self.qdrant.set_payload(set).await.unwrap();
    }

    async fn delete(&self, id: &str) {
        let delete = DeletePointsBuilder::new(&self.collection).points(ids(id)).wait(true);
        self.qdrant.delete_points(delete).await.unwrap();
    }
}

fn ids(id: &str) -> PointsIdsList {
    PointsIdsList { ids: vec![point(id).to_string().into()] }
}

/// The id of an opportunity's point.
fn point(id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::from_u128(0x6d65_6468_7562_5f8f_a1c5_0000_0000_0001), id.as_bytes())
}

/// Everything a reader can see: all points, with what they say.
async fn seen(search: &OpportunitySearch) -> (u64, Vec<OpportunityHit>) {
    let mut hits =
        search.search_opportunities("anything", &OpportunityCriteria::default(), PUBLIC_TENANT, 100).await.unwrap();
    for hit in &mut hits {
        // Places of equally good answers depend on the segments they are in; which points there are is what counts.
        hit.score = 0.0;
    }
    hits.sort_by(|left, right| left.id.cmp(&right.id));
    (search.count_opportunities().await.unwrap(), hits)
}

async fn found(search: &OpportunitySearch, query: &str, filter: &OpportunityCriteria) -> Vec<String> {
    names(search.search_opportunities(query, filter, PUBLIC_TENANT, 100).await.unwrap())
}

fn names(hits: Vec<OpportunityHit>) -> Vec<String> {
    hits.into_iter().map(|hit| hit.id).collect()
}

/// What the log says there should be, in order.
fn expected(search: &OpportunitySearch, events: &[RawEnvelope], scope: &VerifyScope) -> Vec<ReadModelRow> {
    let mut fold = Projection::fold(search, scope);
    for event in events {
        fold.apply_event(event).unwrap();
    }
    let mut rows = fold.expected_rows();
    rows.sort();
    rows
}

/// What there is, in order.
async fn read_back(search: &OpportunitySearch, scope: &VerifyScope) -> Vec<ReadModelRow> {
    let mut rows = search.read_back(scope).await.unwrap();
    rows.sort();
    rows
}
