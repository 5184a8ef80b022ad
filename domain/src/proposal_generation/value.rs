//! The values of a generation.

use crate::value::{is_prose, text_value, uuid_id, vocabulary};

uuid_id!(
    /// The id of a generation.
    GenerationId, "generation id"
);

text_value!(
    /// A generated sentence, without the marks of its sources.
    SentenceText, "sentence", max 4_000, is_prose, "text"
);

text_value!(
    /// The id of a source, e.g. of a document.
    SourceId, "source id", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The title of a source, e.g. the name of a document's file.
    SourceTitle, "source title", max 300, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The name of a provider of generated texts.
    ProviderName, "provider", max 100, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The name or the version of a language model.
    ModelName, "model", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The name of a prompt.
    PromptName, "prompt", max 60, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'),
    "lower-case letters, digits, hyphens and underscores"
);

text_value!(
    /// The version of a prompt.
    PromptVersion, "prompt version", max 60, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
    "letters, digits, hyphens, underscores and full stops"
);

text_value!(
    /// The name of an experiment, e.g. `proposal-generation.prompt`.
    ExperimentName, "experiment", max 100, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The variant of an experiment that a company is assigned to.
    AssignedVariant, "variant", max 100, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// Why a generation, or one of its sections, failed or was cancelled.
    GenerationReason, "reason", max 2_000, is_prose, "text"
);

impl GenerationReason {
    /// A reason from any text: control characters become spaces, and a text that is too long is cut.
    pub fn from_any_text(text: &str) -> Self {
        let cleaned: String = text.chars().map(|c| if is_prose(c) { c } else { ' ' }).take(2_000).collect();
        let trimmed = cleaned.trim();
        Self(if trimmed.is_empty() { "no reason was given" } else { trimmed }.to_owned())
    }
}

text_value!(
    /// A member's note about a generation.
    RatingNote, "note", max 2_000, is_prose, "text"
);

vocabulary!(
    /// The kind of a source.
    SourceKind, "kind of source" {
        /// A document.
        Document = "document",
        /// A resource.
        Resource = "resource",
        /// A past proposal.
        Proposal = "proposal",
        /// The opportunity that the proposal answers.
        Opportunity = "opportunity",
    }
);

vocabulary!(
    /// A member's rating of a generation.
    UserRating, "rating" {
        /// It helped.
        Helpful = "helpful",
        /// It did not help.
        Unhelpful = "unhelpful",
    }
);

vocabulary!(
    /// The status of a generation.
    GenerationStatus, "status" {
        /// It was not requested.
        Unrequested = "unrequested",
        /// Its sections are being generated.
        Running = "running",
        /// It is completed.
        Completed = "completed",
        /// It failed.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
);
