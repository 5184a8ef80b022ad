//! Asking for what a tenant owns.

use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, RetrievedPoint},
};

use super::unit::{OwnedKind, UnitPayload};
use crate::{
    QueryError,
    search::{
        Search,
        question::Question,
        store::{unavailable, unreadable},
        terms::QueryTerms,
    },
};

/// Something that a tenant owns and that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedHit {
    /// What kind of thing it is.
    pub kind: OwnedKind,
    /// The thing.
    pub id: String,
    /// Which part of it: `title` or `section:<key>` of a proposal, `file`, `requirements` or `analysis` of a document,
    /// `whole` of a resource.
    pub part: String,
    /// What the part is called.
    pub heading: String,
    /// The passage that has most of the question's words in it.
    pub passage: String,
    /// How good an answer it is, as of [`Search::search`].
    pub score: f32,
    /// The version of the thing that the part is of.
    pub version: u64,
}

impl Search {
    /// The best answers to a question among what one tenant owns; best first. All kinds where none is named.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
    pub async fn search_owned(
        &self,
        query: &str,
        kinds: &[OwnedKind],
        tenant: &str,
        first: u32,
    ) -> Result<Vec<OwnedHit>, QueryError> {
        let terms = QueryTerms::of(query);
        // As it was written: what companies call their own is in no table, and nobody else's words say how it is spelled.
        let question = Question::plain(query);
        let found = self.ranked(self.owned(), &question, &visible(kinds, tenant), first).await?;
        // Whole texts are looked through for the words: too long for a thread that serves others.
        let hits =
            move || found.into_iter().map(|(point, score)| hit(point, score, &terms)).collect::<Result<Vec<_>, _>>();
        tokio::task::spawn_blocking(hits).await.map_err(unavailable)?
    }
}

/// The points of one tenant that are there. No question about what tenants own goes without it.
fn visible(kinds: &[OwnedKind], tenant: &str) -> Filter {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let kinds = (!names.is_empty()).then(|| Condition::matches("kind", names));
    let own = [Condition::matches("tenant_id", tenant.to_owned()), Condition::matches("gone", false)];
    Filter::must(own.into_iter().chain(kinds))
}

fn hit(point: RetrievedPoint, score: f32, terms: &QueryTerms) -> Result<OwnedHit, QueryError> {
    let payload: UnitPayload = Payload::from(point.payload).deserialize().map_err(unreadable)?;
    // The first of the best.
    let best = payload.passages.into_iter().rev().max_by_key(|passage| terms.found_in(passage));
    Ok(OwnedHit {
        kind: payload.kind,
        id: payload.id,
        part: payload.part,
        heading: payload.heading,
        passage: best.unwrap_or_default(),
        score,
        version: payload.sequence,
    })
}
