//! Asking for what is about the same thing, or has the same words and numbers in it.

use chrono::{DateTime, Utc};
use qdrant_client::{
    Payload,
    qdrant::{Filter as StoreFilter, PrefetchQueryBuilder, Query, QueryPointsBuilder, RrfBuilder, ScoredPoint},
};

use super::{
    EmbeddingError, Search,
    condition::conditions,
    document::PointPayload,
    point::{DENSE, SPARSE},
    store::{unavailable, unreadable},
    terms::QueryTerms,
};
use crate::{Filter, QueryError};

/// How many of either kind are ranked against each other, at least.
const CANDIDATES: u64 = 100;

/// The constant of reciprocal rank fusion; small, so that the first places count for much.
const RANK_CONSTANT: u32 = 2;

/// How much the ranks by meaning and by words weigh. Chosen on real notices.
const MEANING_FIRST: [f32; 2] = [3.0, 1.0];

/// The same for a question with an identifier in it. Meaning weighs so little that its first place is worth less than one
/// place by words, down to the thirtieth: who has the identifier comes before all that have not.
const IDENTIFIER_FIRST: [f32; 2] = [0.01, 20.0];

/// An opportunity that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The opportunity.
    pub id: String,
    /// How good an answer it is, more being better; comparable within one answer only. Of [`Search::search`], the sum
    /// over its ranks by meaning and by words of `1 / (rank / weight + 1)`, the first rank being 1, so that 2 is the limit; of
    /// [`Search::similar`], the cosine of the angle between the meanings; of [`Search::recommend`], that with the mean
    /// of what is wished.
    pub score: f32,
    /// Its title.
    pub title: String,
    /// The kind of its current notice.
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
    /// Until when responses are taken.
    pub response_deadline: Option<DateTime<Utc>>,
    /// Whether there is an award.
    pub awarded: bool,
}

impl Search {
    /// The best answers to a question in plain words, part numbers or both, among what the tenant may see; best first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
    pub async fn search(&self, query: &str, filter: &Filter, tenant: &str, first: u32) -> Result<Vec<Hit>, QueryError> {
        let terms = QueryTerms::of(query);
        let query = self.hybrid(self.collection(), query, &terms, &conditions(filter, tenant), first).await?;
        self.hits(query).await
    }

    /// The points of a collection that mean what is asked or have its words in them, both ranks fused.
    pub(super) async fn hybrid(
        &self,
        collection: &str,
        query: &str,
        terms: &QueryTerms,
        conditions: &StoreFilter,
        first: u32,
    ) -> Result<QueryPointsBuilder, QueryError> {
        let candidates = CANDIDATES.max(u64::from(first));
        let list = |query: Query, using: &str| {
            let list = PrefetchQueryBuilder::default().query(query).using(using);
            list.filter(conditions.clone()).limit(candidates).build()
        };
        let mut lists = vec![list(Query::new_nearest(self.meaning(query).await?), DENSE)];
        let mut weights = if terms.has_identifier { IDENTIFIER_FIRST } else { MEANING_FIRST }.to_vec();
        if terms.dimensions.is_empty() {
            weights.pop();
        } else {
            let once: Vec<(u32, f32)> = terms.dimensions.iter().map(|dimension| (*dimension, 1.0)).collect();
            lists.push(list(Query::new_nearest(once.as_slice()), SPARSE));
        }
        let fusion = RrfBuilder::with_k(RANK_CONSTANT).weights(weights);
        let question = QueryPointsBuilder::new(collection)
            .prefetch(lists)
            .query(Query::new_rrf(fusion))
            .filter(conditions.clone())
            .limit(u64::from(first))
            .with_payload(true);
        Ok(question)
    }

    /// The vector of a question.
    pub(super) async fn meaning(&self, query: &str) -> Result<Vec<f32>, QueryError> {
        self.embedder().embed_query(query).await.map_err(|source: EmbeddingError| unavailable(source))
    }

    pub(super) async fn hits(&self, query: QueryPointsBuilder) -> Result<Vec<Hit>, QueryError> {
        self.run(self.client().query(query)).await?.result.into_iter().map(hit).collect()
    }
}

fn hit(point: ScoredPoint) -> Result<Hit, QueryError> {
    let payload: PointPayload = Payload::from(point.payload).deserialize().map_err(unreadable)?;
    Ok(Hit {
        id: payload.id,
        score: point.score,
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
