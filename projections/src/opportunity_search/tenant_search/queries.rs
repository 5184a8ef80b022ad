//! Asking for what a tenant owns.

use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, RetrievedPoint},
};

use super::search_unit::{SearchUnitKind, UnitPayload};
use crate::{
    QueryError,
    opportunity_search::{OpportunitySearch, expanded_query::ExpandedQuery, terms::QueryTerms},
    storage::qdrant::{unavailable_error, unreadable_error},
};

/// Something that a tenant owns and that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantSearchHit {
    /// What kind of thing it is.
    pub kind: SearchUnitKind,
    /// The thing.
    pub id: String,
    /// Which part of it: `title` or `section:<key>` of a proposal, `file`, `requirements` or `analysis` of a document,
    /// `whole` of a resource.
    pub part: String,
    /// What the part is called.
    pub heading: String,
    /// The passage that has most of the question's words in it.
    pub passage: String,
    /// How good an answer it is, as of [`OpportunitySearch::search_opportunities`].
    pub score: f32,
    /// The version of the thing that the part is of.
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
        // As it was written: what companies call their own is in no table, and nobody else's words say how it is spelled.
        let question = ExpandedQuery::from_text(query);
        let found = self.rank_points(self.tenant_collection(), &question, &tenant_filter(kinds, tenant), first).await?;
        // Whole texts are looked through for the words: too long for a thread that serves others.
        let hits = move || {
            found.into_iter().map(|(point, score)| to_tenant_hit(point, score, &terms)).collect::<Result<Vec<_>, _>>()
        };
        tokio::task::spawn_blocking(hits).await.map_err(unavailable_error)?
    }
}

/// The points of one tenant that are there. No question about what tenants own goes without it.
fn tenant_filter(kinds: &[SearchUnitKind], tenant: &str) -> Filter {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let kinds = (!names.is_empty()).then(|| Condition::matches("kind", names));
    let own = [Condition::matches("tenant_id", tenant.to_owned()), Condition::matches("gone", false)];
    Filter::must(own.into_iter().chain(kinds))
}

fn to_tenant_hit(point: RetrievedPoint, score: f32, terms: &QueryTerms) -> Result<TenantSearchHit, QueryError> {
    let payload: UnitPayload = Payload::from(point.payload).deserialize().map_err(unreadable_error)?;
    // The first of the best.
    let best = payload.passages.into_iter().rev().max_by_key(|passage| terms.count_in(passage));
    Ok(TenantSearchHit {
        kind: payload.kind,
        id: payload.id,
        part: payload.part,
        heading: payload.heading,
        passage: best.unwrap_or_default(),
        score,
        version: payload.sequence,
    })
}
