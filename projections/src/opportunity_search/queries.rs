//! Searches opportunities by meaning, and by words and numbers.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::value::PUBLIC_TENANT;
use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter as StoreFilter, Query, QueryPointsBuilder, Value},
};

use super::{
    EmbeddingError, OpportunitySearch,
    expanded_query::{ExpandedQuery, SpellingCorrection, collect_terms, may_be_misspelled},
    opportunity_document::PointPayload,
    point::SPARSE,
    point_filter::build_filter,
    terms::term_dimension,
    vocabulary::TitleWords,
};
use crate::{
    OpportunityCriteria, QueryError,
    storage::qdrant::{unavailable_error, unreadable_error},
};

/// Most texts that are counted to decide whether a word is misspelled.
const MAX_TEXTS_COUNTED: u32 = 15;
/// Number of texts with a word that count as much as one title with it.
const TEXTS_PER_TITLE: u32 = 3;
/// Most corrections of one query; each costs a request.
const CORRECTIONS_PER_QUERY: usize = 3;

/// An opportunity that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct OpportunityHit {
    /// Id of the opportunity.
    pub id: String,
    /// Relevance, higher is better; comparable only within one result.
    /// [`OpportunitySearch::search_opportunities`]: weighted sum of the similarities in meaning and in words, each
    /// relative to the best one, at most 1. [`OpportunitySearch::find_similar`]: cosine similarity of the embeddings.
    /// [`OpportunitySearch::recommend`]: cosine similarity with the mean embedding of the preferences.
    pub score: f32,
    /// Title.
    pub title: String,
    /// Type of the current notice.
    pub notice_type: String,
    /// The agency's code.
    pub agency_code: String,
    /// The agency's name.
    pub agency_name: String,
    /// Industry code.
    pub naics: Option<String>,
    /// Set-aside code.
    pub set_aside: Option<String>,
    /// When the current notice was published.
    pub posted_at: DateTime<Utc>,
    /// Response deadline.
    pub response_deadline: Option<DateTime<Utc>>,
    /// Whether there is an award.
    pub awarded: bool,
}

impl OpportunitySearch {
    /// Returns at most `first` hits for a query of plain words, part numbers or both, among the opportunities that the
    /// tenant may see; best first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn search_opportunities(
        &self,
        query: &str,
        filter: &OpportunityCriteria,
        tenant: &str,
        first: u32,
    ) -> Result<Vec<OpportunityHit>, QueryError> {
        let titles = self.title_words().await;
        let corrections = self.find_corrections(query, &titles).await?;
        let expanded = ExpandedQuery::expand(query, &corrections, &titles);
        let (weights, conditions) = (self.ranking().weights(&expanded), build_filter(filter, tenant));
        let ranked = self.rank_points(self.collection(), &expanded, weights, &conditions, first).await?;
        ranked.into_iter().map(|(point, score)| to_opportunity_hit(point.payload, score)).collect()
    }

    /// Corrections of query words that are rare in titles and texts, and resemble more common words.
    pub(super) async fn find_corrections(
        &self,
        query: &str,
        titles: &TitleWords,
    ) -> Result<Vec<SpellingCorrection>, QueryError> {
        let mut corrections = vec![];
        for (term_index, term) in collect_terms(query).iter().enumerate() {
            let title_count = titles.title_count(term);
            if titles.find_correction(term, title_count).is_none() || !may_be_misspelled(term) {
                continue;
            }
            let texts = self.count_texts_with(term).await?;
            let count = title_count.max(texts / TEXTS_PER_TITLE);
            if let Some(replacement) = titles.find_correction(term, count) {
                corrections.push(SpellingCorrection {
                    term_index,
                    replacement: replacement.to_owned(),
                    is_found: texts > 0,
                });
            }
            if corrections.len() == CORRECTIONS_PER_QUERY {
                break;
            }
        }
        Ok(corrections)
    }

    /// Number of public texts that contain a term, counted up to [`MAX_TEXTS_COUNTED`].
    async fn count_texts_with(&self, term: &str) -> Result<u32, QueryError> {
        let public = StoreFilter::must([Condition::matches("tenant_id", PUBLIC_TENANT.to_owned())]);
        let vector = [(term_dimension(term), 1.0_f32)];
        let query = QueryPointsBuilder::new(self.collection())
            .query(Query::new_nearest(vector.as_slice()))
            .using(SPARSE)
            .filter(public)
            .limit(u64::from(MAX_TEXTS_COUNTED))
            .with_payload(false);
        let count = self.qdrant().run_request(self.client().query(query)).await?.result.len();
        Ok(u32::try_from(count).unwrap_or(MAX_TEXTS_COUNTED))
    }

    /// Embeds the text of a query.
    pub(super) async fn embed_query(&self, text: &str) -> Result<Arc<[f32]>, QueryError> {
        if let Some(vector) = self.query_vectors().get(text) {
            return Ok(vector);
        }
        let vector: Arc<[f32]> =
            self.embedder().embed_query(text).await.map_err(|source: EmbeddingError| unavailable_error(source))?.into();
        self.query_vectors().insert(text, &vector);
        Ok(vector)
    }

    /// The weighted sum of the vectors of texts.
    pub(super) async fn embed_weighted(&self, texts: &[(String, f32)]) -> Result<Vec<f32>, QueryError> {
        let mut sum = vec![0.0; self.embedder().dimension()];
        for (text, weight) in texts {
            let vector = self.embed_query(text).await?;
            sum.iter_mut().zip(&*vector).for_each(|(sum, value)| *sum += weight * value);
        }
        Ok(sum)
    }

    pub(super) async fn run_query(&self, query: QueryPointsBuilder) -> Result<Vec<OpportunityHit>, QueryError> {
        let points = self.qdrant().run_request(self.client().query(query)).await?.result;
        points.into_iter().map(|point| to_opportunity_hit(point.payload, point.score)).collect()
    }
}

fn to_opportunity_hit(payload: HashMap<String, Value>, score: f32) -> Result<OpportunityHit, QueryError> {
    let payload: PointPayload = Payload::from(payload).deserialize().map_err(unreadable_error)?;
    Ok(OpportunityHit {
        id: payload.id,
        score,
        title: payload.title,
        notice_type: payload.notice_type,
        agency_code: payload.agency_code,
        agency_name: payload.agency_name,
        naics: payload.naics,
        set_aside: payload.set_aside,
        posted_at: payload.posted_at,
        response_deadline: payload.response_deadline,
        awarded: payload.awarded,
    })
}
