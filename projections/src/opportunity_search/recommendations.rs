//! Opportunities like others: like one of them, or like what somebody likes and unlike what somebody dislikes.

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
    /// What is looked for in plain words, such as a company's profile.
    pub text: Option<String>,
}

impl OpportunitySearch {
    /// Returns the opportunities most similar to this one, without itself, among those that the tenant may see.
    /// `None` when the tenant may not see this one or it does not exist.
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

    /// Returns the opportunities nearest to the preferences, without those named in them, among those that the tenant
    /// may see. Ignores named opportunities that do not exist; returns nothing without any like or text.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn recommend(
        &self,
        taste: &RecommendationPreferences,
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> Result<Vec<OpportunityHit>, QueryError> {
        let named: Vec<&str> = taste.likes.iter().chain(&taste.dislikes).map(String::as_str).collect();
        let meanings = self.load_vectors(&named, tenant).await?;
        let inputs = |ids: &[String]| -> Vec<VectorInput> {
            ids.iter().filter_map(|id| meanings.get(id.as_str())).cloned().map(VectorInput::from).collect()
        };
        let (mut positive, negative) = (inputs(&taste.likes), inputs(&taste.dislikes));
        if let Some(text) = &taste.text {
            positive.push(self.embed_query(text).await?.into());
        }
        if positive.is_empty() {
            return Ok(vec![]);
        }
        let wish = RecommendInputBuilder::default()
            .positive(positive)
            .negative(negative)
            .strategy(RecommendStrategy::AverageVector)
            .build();
        self.run_query(self.query_excluding(Query::new_recommend(wish), &named, filter, tenant, first)).await
    }

    fn query_excluding(
        &self,
        query: Query,
        ids: &[&str],
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> QueryPointsBuilder {
        let themselves = Condition::has_id(ids.iter().map(|id| to_point_id(point_id(id))));
        let others = StoreFilter { must_not: vec![themselves], ..build_filter(filter, tenant) };
        QueryPointsBuilder::new(self.collection())
            .query(query)
            .using(DENSE)
            .filter(others)
            .limit(u64::from(first))
            .with_payload(true)
    }

    /// The stored vectors of those of these opportunities that the tenant may see.
    async fn load_vectors(&self, ids: &[&str], tenant: &str) -> Result<HashMap<String, Vec<f32>>, QueryError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PointId> = ids.iter().map(|id| to_point_id(point_id(id))).collect();
        let get = GetPointsBuilder::new(self.collection(), ids).with_payload(true).with_vectors(true);
        let mut meanings = HashMap::new();
        for mut point in self.qdrant().run_request(self.client().get_points(get)).await?.result {
            let payload = std::mem::take(&mut point.payload);
            let payload: PointPayload = Payload::from(payload).deserialize().map_err(unreadable_error)?;
            let vector = dense_vector(&point);
            if is_visible_to(tenant, &payload.tenant_id) && !vector.is_empty() {
                meanings.insert(payload.id, vector);
            }
        }
        Ok(meanings)
    }
}
