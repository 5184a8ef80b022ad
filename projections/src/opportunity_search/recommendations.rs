//! Opportunities similar to another one, and recommendations from a user's preferences.

use std::collections::HashMap;

use qdrant_client::{
    Payload,
    qdrant::{
        Condition, Filter as StoreFilter, GetPointsBuilder, PointId, Query, QueryPointsBuilder, RecommendInputBuilder,
        RecommendStrategy, VectorInput,
    },
};

use super::{
    OpportunityHit, OpportunitySearch,
    opportunity_document::{PointPayload, point_id},
    point::{DENSE, dense_vector},
    point_filter::{build_filter, is_visible_to},
};
use crate::{
    OpportunityCriteria, QueryError,
    storage::qdrant::{to_point_id, unreadable_error},
};

/// The preferences that recommendations are computed from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecommendationPreferences {
    /// Opportunities that are liked.
    pub likes: Vec<String>,
    /// Opportunities that are disliked.
    pub dislikes: Vec<String>,
    /// A description of what is wanted, such as a company's profile.
    pub text: Option<String>,
}

impl OpportunitySearch {
    /// Returns the opportunities most similar to this one, without itself, among those that the tenant may see. `None`
    /// if it does not exist or the tenant may not see it.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn find_similar(
        &self,
        id: &str,
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> Result<Option<Vec<OpportunityHit>>, QueryError> {
        let Some(vector) = self.load_vectors(&[id], tenant).await?.remove(id) else { return Ok(None) };
        let query = self.query_excluding(Query::new_nearest(vector), &[id], filter, tenant, first);
        self.run_query(query).await.map(Some)
    }

    /// Returns the opportunities most similar to the preferences, without those named in them, among those that the
    /// tenant may see. Ignores named opportunities that do not exist; returns nothing without a like or a text.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn recommend(
        &self,
        preferences: &RecommendationPreferences,
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> Result<Vec<OpportunityHit>, QueryError> {
        let named: Vec<&str> = preferences.likes.iter().chain(&preferences.dislikes).map(String::as_str).collect();
        let vectors = self.load_vectors(&named, tenant).await?;
        let inputs = |ids: &[String]| -> Vec<VectorInput> {
            ids.iter().filter_map(|id| vectors.get(id.as_str())).cloned().map(VectorInput::from).collect()
        };
        let (mut positive, negative) = (inputs(&preferences.likes), inputs(&preferences.dislikes));
        if let Some(text) = &preferences.text {
            positive.push(self.embed_query(text).await?.to_vec().into());
        }
        if positive.is_empty() {
            return Ok(vec![]);
        }
        let input = RecommendInputBuilder::default()
            .positive(positive)
            .negative(negative)
            .strategy(RecommendStrategy::AverageVector)
            .build();
        self.run_query(self.query_excluding(Query::new_recommend(input), &named, filter, tenant, first)).await
    }

    fn query_excluding(
        &self,
        query: Query,
        ids: &[&str],
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> QueryPointsBuilder {
        let excluded = Condition::has_id(ids.iter().map(|id| to_point_id(point_id(id))));
        let filter = StoreFilter { must_not: vec![excluded], ..build_filter(filter, tenant) };
        QueryPointsBuilder::new(self.collection())
            .query(query)
            .using(DENSE)
            .filter(filter)
            .limit(u64::from(first))
            .with_payload(true)
    }

    /// Loads the vectors of those opportunities that exist and that the tenant may see.
    async fn load_vectors(&self, ids: &[&str], tenant: &str) -> Result<HashMap<String, Vec<f32>>, QueryError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PointId> = ids.iter().map(|id| to_point_id(point_id(id))).collect();
        let get = GetPointsBuilder::new(self.collection(), ids).with_payload(true).with_vectors(true);
        let mut vectors = HashMap::new();
        for mut point in self.qdrant().run_request(self.client().get_points(get)).await?.result {
            let payload = std::mem::take(&mut point.payload);
            let payload: PointPayload = Payload::from(payload).deserialize().map_err(unreadable_error)?;
            let vector = dense_vector(&point);
            if is_visible_to(tenant, &payload.tenant_id) && !vector.is_empty() {
                vectors.insert(payload.id, vector);
            }
        }
        Ok(vectors)
    }
}
