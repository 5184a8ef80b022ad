//! Searches the texts of a tenant.

use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, RetrievedPoint},
};

use super::search_unit::{SearchUnitKind, UnitPayload};
use crate::{
    QueryError,
    opportunity_search::{OpportunitySearch, SearchRanking, expanded_query::ExpandedQuery, terms::QueryTerms},
    storage::qdrant::{unavailable_error, unreadable_error},
};

/// A search unit that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantSearchHit {
    /// Kind of the aggregate.
    pub kind: SearchUnitKind,
    /// Id of the aggregate.
    pub id: String,
    /// The part of the aggregate: `title` or `section:<key>` of a proposal, `file`, `requirements`, `analysis` or
    /// `text:<number>` of a document, `whole` of a resource.
    pub part: String,
    /// Heading of the part.
    pub heading: String,
    /// Page of a chunk of a document's text, from 1.
    pub page: Option<u32>,
    /// The passage with the most words of the query.
    pub passage: String,
    /// Relevance, higher is better; computed as for [`OpportunitySearch::search_opportunities`].
    pub score: f32,
    /// Version of the aggregate that last changed the part.
    pub version: u64,
}

impl OpportunitySearch {
    /// Returns at most `first` hits for a query among one tenant's texts, best first; of all kinds if `kinds` is empty.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn search_tenant(
        &self,
        query: &str,
        kinds: &[SearchUnitKind],
        tenant: &str,
        first: u32,
    ) -> Result<Vec<TenantSearchHit>, QueryError> {
        let terms = QueryTerms::from_query(query);
        // Not expanded: a company's own names are in no table, and public titles do not tell how they are spelled.
        let expanded = ExpandedQuery::from_text(query);
        let (weights, conditions) = (SearchRanking::Control.weights(&expanded), tenant_filter(kinds, tenant));
        let points = self.rank_points(self.tenant_collection(), &expanded, weights, &conditions, first).await?;
        // Searching whole texts for words takes too long for a thread of the async runtime.
        let hits = move || {
            points.into_iter().map(|(point, score)| to_tenant_hit(point, score, &terms)).collect::<Result<Vec<_>, _>>()
        };
        tokio::task::spawn_blocking(hits).await.map_err(unavailable_error)?
    }
}

/// The filter of one tenant's points that are not deleted. Every query of tenants' texts has it.
fn tenant_filter(kinds: &[SearchUnitKind], tenant: &str) -> Filter {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let kinds = (!names.is_empty()).then(|| Condition::matches("kind", names));
    let conditions = [Condition::matches("tenant_id", tenant.to_owned()), Condition::matches("gone", false)];
    Filter::must(conditions.into_iter().chain(kinds))
}

fn to_tenant_hit(point: RetrievedPoint, score: f32, terms: &QueryTerms) -> Result<TenantSearchHit, QueryError> {
    let payload: UnitPayload = Payload::from(point.payload).deserialize().map_err(unreadable_error)?;
    // `max_by_key` returns the last of equal passages, so `rev` makes it the first one.
    let best = payload.passages.into_iter().rev().max_by_key(|passage| terms.count_in(passage));
    Ok(TenantSearchHit {
        kind: payload.kind,
        id: payload.id,
        part: payload.part,
        heading: payload.heading,
        page: payload.page,
        passage: best.unwrap_or_default(),
        score,
        version: payload.sequence,
    })
}
