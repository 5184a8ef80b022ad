//! Text from servers with OpenAI's Chat Completions API, which many others speak, too (vLLM, Ollama, gateways).

use futures::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    GenerationUpdate, ProviderError, ProviderOutput, RequestTimeouts, TextProvider, TextRequest, UpdateSink,
    provider_endpoint::{FinishWords, ProviderEndpoint, StreamedText},
};

const FINISH_WORDS: FinishWords = FinishWords { complete: &["stop"], length_limit: "length" };

/// A server with the Chat Completions API.
pub struct OpenAiProvider {
    endpoint: ProviderEndpoint,
    key: Option<SecretString>,
}

#[derive(Deserialize)]
struct CompletionChunk {
    model: Option<String>,
    /// Empty or null in the chunk with the usage.
    choices: Option<Vec<CompletionChoice>>,
    usage: Option<CompletionUsage>,
    error: Option<ErrorReport>,
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
struct ErrorReport {
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
        Ok(Self { endpoint: ProviderEndpoint::new(name, base_url, "chat/completions", model, timeouts)?, key })
    }

    async fn request_text(
        &self,
        request: &TextRequest,
        updates: UpdateSink<'_>,
    ) -> Result<ProviderOutput, ProviderError> {
        let (endpoint, message) = (&self.endpoint, request.to_user_message());
        let body = json!({
            "model": endpoint.model,
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_completion_tokens": request.max_output_tokens,
            "messages": [
                { "role": "system", "content": request.instructions },
                { "role": "user", "content": message },
            ],
        });
        let mut post =
            endpoint.client.post(&endpoint.url).header(CONTENT_TYPE, "application/json").body(body.to_string());
        if let Some(key) = &self.key {
            post = post.bearer_auth(key.expose_secret());
        }

        let mut streamed = StreamedText::default();
        let stream = endpoint.client.stream_events(post, |data| {
            if data == "[DONE]" {
                return Ok(true);
            }
            let chunk: CompletionChunk =
                serde_json::from_str(data).map_err(|error| endpoint.client.malformed(error.to_string()))?;
            if let Some(error) = chunk.error {
                return Err(endpoint.client.failed(error.message.as_deref().unwrap_or_default()));
            }
            streamed.model_version = streamed.model_version.take().or(chunk.model);
            let reported = chunk.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
            streamed.reported_tokens = reported.or(streamed.reported_tokens);
            for choice in chunk.choices.unwrap_or_default() {
                if let Some(part) = choice.delta.and_then(|delta| delta.content) {
                    updates(GenerationUpdate::Text(&part));
                    streamed.text.push_str(&part);
                }
                streamed.finish_reason = choice.finish_reason.or(streamed.finish_reason.take());
            }
            Ok(false)
        });
        stream.await?;
        // Some servers end the stream without `[DONE]`; none ends a text without a reason.
        endpoint.build_output(request, &message, streamed, &FINISH_WORDS)
    }
}

impl TextProvider for OpenAiProvider {
    fn name(&self) -> &str {
        &self.endpoint.name
    }

    fn model(&self) -> &str {
        &self.endpoint.model
    }

    fn generate_text<'a>(
        &'a self,
        request: &'a TextRequest,
        updates: UpdateSink<'a>,
    ) -> BoxFuture<'a, Result<ProviderOutput, ProviderError>> {
        Box::pin(self.request_text(request, updates))
    }
}
