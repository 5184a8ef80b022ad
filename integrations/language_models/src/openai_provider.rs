//! Text from servers with OpenAI's Chat Completions API, which many others speak, too (vLLM, Ollama, gateways).

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ProviderError, RequestTimeouts, TextRequest,
    provider_endpoint::{FinishWords, ProviderEndpoint, StreamedText},
    streaming_provider::{StreamingProtocol, StreamingProvider},
};

/// A server with the Chat Completions API.
pub type OpenAiProvider = StreamingProvider<OpenAiProtocol>;

/// The Chat Completions API; local servers need no key.
pub struct OpenAiProtocol {
    key: Option<SecretString>,
}

#[derive(Deserialize)]
struct CompletionChunk {
    model: Option<String>,
    /// Empty or null in the chunk with the usage.
    choices: Option<Vec<CompletionChoice>>,
    usage: Option<CompletionUsage>,
    error: Option<OpenAiErrorReport>,
}

#[derive(Deserialize)]
struct CompletionChoice {
    delta: Option<CompletionDelta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct CompletionDelta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct CompletionUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct OpenAiErrorReport {
    message: Option<String>,
}

impl OpenAiProvider {
    /// A provider at `base_url`, e.g. `https://api.openai.com/v1`. Local servers need no key.
    ///
    /// # Errors
    /// [`reqwest::Error`] when the TLS backend cannot be initialised.
    pub fn new(
        name: &str,
        base_url: &str,
        model: &str,
        key: Option<SecretString>,
        timeouts: RequestTimeouts,
    ) -> Result<Self, reqwest::Error> {
        let endpoint = ProviderEndpoint::new(name, base_url, "chat/completions", model, timeouts)?;
        Ok(Self { endpoint, protocol: OpenAiProtocol { key } })
    }
}

impl StreamingProtocol for OpenAiProtocol {
    const FINISH_WORDS: FinishWords = FinishWords { complete: &["stop"], length_limit: "length" };

    fn build_body(&self, model: &str, request: &TextRequest, message: &str) -> Value {
        json!({
            "model": model,
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_completion_tokens": request.max_output_tokens,
            "messages": [
                { "role": "system", "content": request.instructions },
                { "role": "user", "content": message },
            ],
        })
    }

    fn add_headers(&self, post: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => post.bearer_auth(key.expose_secret()),
            None => post,
        }
    }

    /// Some servers end the stream without `[DONE]`; none ends a text without a reason.
    fn read_event(&self, data: &str, streamed: &mut StreamedText<'_>) -> Result<bool, ProviderError> {
        if data == "[DONE]" {
            return Ok(true);
        }
        let chunk: CompletionChunk = streamed.parse_event(data)?;
        if let Some(error) = chunk.error {
            return Err(streamed.endpoint.client.failed(error.message.as_deref().unwrap_or_default()));
        }
        streamed.model_version = streamed.model_version.take().or(chunk.model);
        if let Some(usage) = chunk.usage {
            streamed.input_tokens = Some(usage.prompt_tokens);
            streamed.output_tokens = Some(usage.completion_tokens);
        }
        for choice in chunk.choices.unwrap_or_default() {
            if let Some(part) = choice.delta.and_then(|delta| delta.content) {
                streamed.add_text(&part);
            }
            streamed.finish_reason = choice.finish_reason.or(streamed.finish_reason.take());
        }
        Ok(false)
    }
}
