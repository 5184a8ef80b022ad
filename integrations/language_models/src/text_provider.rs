//! The trait of what generates text, and its request and output.

use futures::future::BoxFuture;

use crate::{ProviderError, token_usage::TokenUsage};

/// A numbered passage that the text may be based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePassage {
    /// Number in the request, from 1, that the text cites the passage by.
    pub number: u32,
    /// What the passage is from, e.g. a file name and a page.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A request for one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRequest {
    /// Rules for the model, the same for all requests of a kind (the "system prompt").
    pub instructions: String,
    /// What to write.
    pub prompt: String,
    /// The words that the text is about; providers without a model rank passages by them.
    pub topic: String,
    /// What it may be based on.
    pub passages: Vec<SourcePassage>,
    /// Maximum length of the text in tokens.
    pub max_output_tokens: u32,
}

impl TextRequest {
    /// The prompt followed by the passages, as models read it. Passages are delimited, because their text is not
    /// ours: a document may contain instructions to a model. Their square brackets become round ones: a mark such as `[1]`
    /// that a model copies from a passage would cite another passage.
    pub fn to_user_message(&self) -> String {
        let mut message = self.prompt.clone();
        for SourcePassage { number, title, text } in &self.passages {
            let (title, text) = (remove_delimiters(title), remove_delimiters(text));
            for part in
                ["\n\n<passage number=\"", &number.to_string(), "\" from=\"", &title, "\">\n", &text, "\n</passage>"]
            {
                message.push_str(part);
            }
        }
        message
    }
}

fn remove_delimiters(text: &str) -> String {
    let text = text.replace("<passage", "< passage").replace("</passage", "< /passage").replace('"', "'");
    text.replace('[', "(").replace(']', ")")
}

/// Progress of a generation, for those who watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationUpdate<'a> {
    /// A provider starts; text that other providers have generated before is void.
    Started {
        /// The provider's name.
        provider: &'a str,
    },
    /// More text.
    Text(&'a str),
}

/// Receives the updates of a generation. Must not block.
pub type UpdateSink<'a> = &'a (dyn Fn(GenerationUpdate<'_>) + Send + Sync);

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It is complete.
    Complete,
    /// It has reached the maximum length.
    LengthLimit,
}

/// What a provider has generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOutput {
    /// The text.
    pub text: String,
    /// The version of the model that answered, as the provider reports it.
    pub model_version: String,
    /// What it used.
    pub usage: TokenUsage,
    /// Why it ends.
    pub finish: FinishReason,
}

/// Generates texts.
pub trait TextProvider: Send + Sync {
    /// The provider's name in the configuration, in events and in metrics.
    fn name(&self) -> &str;

    /// The model that is asked for.
    fn model(&self) -> &str;

    /// Generates a text, and reports its parts as they arrive.
    fn generate_text<'a>(
        &'a self,
        request: &'a TextRequest,
        updates: UpdateSink<'a>,
    ) -> BoxFuture<'a, Result<ProviderOutput, ProviderError>>;
}
