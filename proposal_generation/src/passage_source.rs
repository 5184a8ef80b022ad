//! Passages that a section may be based on, and where they come from.

use std::{collections::HashSet, error::Error};

use domain::{
    opportunity::OpportunityId,
    proposal_generation::{SourceId, SourceKind, SourceTitle},
    value::{ProposalId, TenantId},
};
use futures::future::BoxFuture;
use language_models::estimate_tokens;

use crate::{OpportunitySummary, PromptLimits};

/// A passage with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedPassage {
    /// The kind of the source.
    pub kind: SourceKind,
    /// The id of the source.
    pub id: SourceId,
    /// The title of the source.
    pub title: SourceTitle,
    /// The page of a document, from 1.
    pub page: Option<u32>,
    /// The text.
    pub text: String,
}

impl SourcedPassage {
    /// The source in words, e.g. for a list of sources.
    pub fn describe_source(&self) -> String {
        describe_source(self.kind, &self.title, self.page)
    }
}

/// A source in words: its title, and its page or kind.
pub(crate) fn describe_source(kind: SourceKind, title: &SourceTitle, page: Option<u32>) -> String {
    match (kind, page) {
        (SourceKind::Document, Some(page)) => format!("{title}, page {page}"),
        (SourceKind::Document, None) => title.to_string(),
        (SourceKind::Resource | SourceKind::Proposal | SourceKind::Opportunity, _) => {
            format!("{title} ({})", kind.name())
        }
    }
}

/// What passages are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageQuery {
    /// The company.
    pub tenant: TenantId,
    /// The proposal that is written, which is no source.
    pub proposal: ProposalId,
    /// The opportunity that it answers.
    pub opportunity: OpportunityId,
    /// What is looked for, in words.
    pub queries: Vec<String>,
    /// Limits of the answer.
    pub limits: PromptLimits,
}

/// Finds passages.
pub trait PassageSource: Send + Sync {
    /// What prompts say about the opportunity.
    ///
    /// # Errors
    /// [`RetrievalError`] when the event store does not answer.
    fn summarize_opportunity<'a>(
        &'a self,
        opportunity: &'a OpportunityId,
    ) -> BoxFuture<'a, Result<OpportunitySummary, RetrievalError>>;

    /// The passages for a section, within the limits of the query, each text once.
    ///
    /// # Errors
    /// [`RetrievalError`] when a store does not answer.
    fn find_passages<'a>(
        &'a self,
        query: &'a PassageQuery,
    ) -> BoxFuture<'a, Result<Vec<SourcedPassage>, RetrievalError>>;
}

/// A store does not answer.
#[derive(Debug, thiserror::Error)]
#[error("looking for passages")]
pub struct RetrievalError(#[source] Box<dyn Error + Send + Sync>);

impl RetrievalError {
    /// Wraps the error of a store.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Collects passages up to a number and a length. A text that another passage repeats is left out.
#[derive(Debug)]
pub(crate) struct PassageCollector {
    passages: Vec<SourcedPassage>,
    known: HashSet<String>,
    left: usize,
    tokens_left: u64,
}

impl PassageCollector {
    pub(crate) fn new(limits: PromptLimits) -> Self {
        let PromptLimits { passages: left, passage_tokens: tokens_left, .. } = limits;
        Self { passages: vec![], known: HashSet::new(), left, tokens_left }
    }

    /// Adds passages in their order, with at most this share of what is left.
    pub(crate) fn collect_share(
        &mut self,
        passages: impl IntoIterator<Item = SourcedPassage>,
        share: std::num::NonZeroU32,
    ) {
        let mut count = self.left / usize::try_from(share.get()).unwrap_or(usize::MAX);
        let mut tokens = self.tokens_left / u64::from(share.get());
        for passage in passages {
            let length = estimate_tokens(passage.text.chars().count() + passage.describe_source().chars().count());
            if count == 0 || length > tokens || !self.known.insert(to_words(&passage.text)) {
                continue;
            }
            (count, tokens) = (count - 1, tokens - length);
            (self.left, self.tokens_left) = (self.left - 1, self.tokens_left - length);
            self.passages.push(passage);
        }
    }

    pub(crate) fn into_passages(self) -> Vec<SourcedPassage> {
        self.passages
    }
}

/// The words of a text, so that texts that differ in spaces, case and punctuation are equal.
fn to_words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn passage(text: &str, page: u32) -> SourcedPassage {
        SourcedPassage {
            kind: SourceKind::Document,
            id: SourceId::try_new("d").unwrap(),
            title: SourceTitle::try_new("a.pdf").unwrap(),
            page: Some(page),
            text: text.to_owned(),
        }
    }

    fn collect(limits: PromptLimits, shares: &[(u32, &[SourcedPassage])]) -> Vec<u32> {
        let mut collector = PassageCollector::new(limits);
        for (share, passages) in shares {
            collector.collect_share(passages.to_vec(), NonZeroU32::new(*share).unwrap());
        }
        collector.into_passages().into_iter().filter_map(|passage| passage.page).collect()
    }

    #[test]
    fn repeated_texts_and_those_beyond_the_limits_are_left_out() {
        let limits = PromptLimits { output_tokens: 1, passages: 4, passage_tokens: 100 };
        let long = "x".repeat(500);
        let first = [passage("We deliver lifts.", 1), passage("We  deliver LIFTS", 2), passage(&long, 3)];
        let second = [passage("a b", 4), passage("c d", 5), passage("e f", 6), passage("g h", 7)];
        assert_eq!(collect(limits, &[(1, &first), (1, &second)]), [1, 4, 5, 6]);
        assert_eq!(collect(limits, &[(2, &second), (1, &first)]), [4, 5, 1]);
    }

    #[test]
    fn a_source_is_described_by_page_or_kind() {
        let mut passage = passage("x", 3);
        assert_eq!(passage.describe_source(), "a.pdf, page 3");
        passage.kind = SourceKind::Resource;
        assert_eq!(passage.describe_source(), "a.pdf (resource)");
    }
}
