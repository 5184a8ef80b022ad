//! A generated section: sentences with their sources, and the provider's usage.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    request::PromptRef,
    value::{ModelName, ProviderName, SentenceText, SourceId, SourceKind, SourceTitle},
};
use crate::value::InvalidValue;

/// Maximum number of sentences in a section.
pub const MAX_SENTENCES: usize = 500;

/// Maximum number of sources of a section.
pub const MAX_SOURCES: usize = 50;

/// Maximum length of a section's sentences in characters, all together.
pub const MAX_DRAFT_CHARACTERS: usize = 60_000;

/// Maximum number of failed providers that are recorded with a section.
const MAX_FAILED_PROVIDERS: usize = 20;

/// The largest count that is recorded: larger ones are not exact in JSON readers that use floating-point numbers.
pub(super) const MAX_COUNT: u64 = 1 << 53;

/// A sentence with its sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedSentence {
    /// The sentence, without the marks of its sources.
    pub text: SentenceText,
    /// Numbers of its sources, in ascending order; empty for a sentence without a source.
    pub sources: BTreeSet<u32>,
    /// Whether it begins a new paragraph.
    pub starts_paragraph: bool,
}

/// A source of sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReference {
    /// The number that sentences refer to it by.
    pub number: u32,
    /// The kind of the source.
    pub kind: SourceKind,
    /// The id of the document, resource, proposal or opportunity.
    pub id: SourceId,
    /// Its title.
    pub title: SourceTitle,
    /// The page of the document, from 1; `None` if it has no pages or the page is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// The text of a generated section: at least one sentence, each with sources from a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedDraft {
    sentences: Vec<GeneratedSentence>,
    sources: Vec<SourceReference>,
}

impl GeneratedDraft {
    /// Creates the text.
    ///
    /// # Errors
    /// [`InvalidValue`] for no sentence, for more than [`MAX_SENTENCES`], [`MAX_SOURCES`] or [`MAX_DRAFT_CHARACTERS`],
    /// for a repeated number of a source, and for a sentence that refers to a source that is not in the list.
    pub fn try_new(sentences: Vec<GeneratedSentence>, sources: Vec<SourceReference>) -> Result<Self, InvalidValue> {
        if sentences.is_empty() {
            return Err(InvalidValue::Empty { what: "the generated text" });
        }
        if sentences.len() > MAX_SENTENCES {
            return Err(InvalidValue::TooMany { what: "sentences", max: MAX_SENTENCES });
        }
        if sources.len() > MAX_SOURCES {
            return Err(InvalidValue::TooMany { what: "sources", max: MAX_SOURCES });
        }
        let characters: usize = sentences.iter().map(|sentence| sentence.text.as_str().chars().count()).sum();
        if characters > MAX_DRAFT_CHARACTERS {
            return Err(InvalidValue::TooLong { what: "the generated text", max: MAX_DRAFT_CHARACTERS });
        }
        let mut numbers = BTreeSet::new();
        if let Some(repeated) = sources.iter().find(|source| !numbers.insert(source.number)) {
            let number = repeated.number.to_string();
            return Err(InvalidValue::malformed("source number", &number, "different from the other sources"));
        }
        let cited = sentences.iter().flat_map(|sentence| &sentence.sources);
        if let Some(unknown) = cited.into_iter().find(|number| !numbers.contains(number)) {
            return Err(InvalidValue::malformed("source number", &unknown.to_string(), "in the list of sources"));
        }
        Ok(Self { sentences, sources })
    }

    /// The sentences, in their order.
    pub fn sentences(&self) -> &[GeneratedSentence] {
        &self.sentences
    }

    /// The sources that sentences refer to.
    pub fn sources(&self) -> &[SourceReference] {
        &self.sources
    }

    /// The number of sentences without a source.
    pub fn unsourced_count(&self) -> usize {
        self.sentences.iter().filter(|sentence| sentence.sources.is_empty()).count()
    }
}

/// The provider and model that generated a section, and what they used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The provider.
    pub provider: ProviderName,
    /// The requested model.
    pub model: ModelName,
    /// The model's version, as the provider reports it.
    pub model_version: ModelName,
    /// The prompt.
    pub prompt: PromptRef,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the text.
    pub output_tokens: u64,
    /// Whether the tokens are an estimate of this program, because the provider reported none or impossible ones.
    pub tokens_estimated: bool,
    /// Cost in millionths of a US dollar.
    pub cost_micros: u64,
    /// Time from the request to the last word in milliseconds, failed providers included.
    pub latency_ms: u64,
    /// The providers that failed or were passed over before, in their order.
    pub failed_providers: Vec<ProviderName>,
}

impl ModelUse {
    /// The same with counts and lists limited to what is recorded.
    pub(super) fn limit_fields(mut self) -> Self {
        for count in [&mut self.input_tokens, &mut self.output_tokens, &mut self.cost_micros, &mut self.latency_ms] {
            *count = (*count).min(MAX_COUNT);
        }
        self.failed_providers.truncate(MAX_FAILED_PROVIDERS);
        self
    }
}
