//! Text from servers with OpenAI's Chat Completions API, which many others speak, too (vLLM, Ollama, gateways).

use futures::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    FinishReason, GenerationUpdate, ProviderError, ProviderOutput, RequestTimeouts, TextProvider, TextRequest,
    TokenUsage, UpdateSink, streaming_request::StreamingClient,
};

/// A server with the Chat Completions API.
pub struct OpenAiProvider {
    name: String,
    model: String,
    url: String,
    key: Option<SecretString>,
    client: StreamingClient,
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
        let url = format!("{}/chat/completions", base_url.trim_end_matches('/'));
        let client = StreamingClient::new(name, timeouts)?;
        Ok(Self { name: name.to_owned(), model: model.to_owned(), url, key, client })
    }

    async fn request_text(
        &self,
        request: &TextRequest,
        updates: UpdateSink<'_>,
    ) -> Result<ProviderOutput, ProviderError> {
        let message = request.to_user_message();
        let body = json!({
            "model": self.model,
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_completion_tokens": request.max_output_tokens,
            "messages": [
                { "role": "system", "content": request.instructions },
                { "role": "user", "content": message },
            ],
        });
        let mut post = self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(body.to_string());
        if let Some(key) = &self.key {
            post = post.bearer_auth(key.expose_secret());
        }

        let (mut text, mut model_version, mut reported, mut finish) = (String::new(), None, None, None);
        let stream = self.client.stream_events(post, |data| {
            if data == "[DONE]" {
                return Ok(true);
            }
            let chunk: CompletionChunk =
                serde_json::from_str(data).map_err(|error| self.client.malformed(error.to_string()))?;
            if let Some(error) = chunk.error {
                return Err(self.client.failed(error.message.as_deref().unwrap_or_default()));
            }
            model_version = model_version.take().or(chunk.model);
            reported = chunk.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)).or(reported);
            for choice in chunk.choices.unwrap_or_default() {
                if let Some(part) = choice.delta.and_then(|delta| delta.content) {
                    updates(GenerationUpdate::Text(&part));
                    text.push_str(&part);
                }
                finish = choice.finish_reason.or(finish.take());
            }
            Ok(false)
        });
        stream.await?;
        // Some servers end the stream without `[DONE]`; none ends a text without a reason.
        let finish = match finish.as_deref() {
            Some("stop") => FinishReason::Complete,
            Some("length") => FinishReason::LengthLimit,
            Some(other) => return Err(self.client.failed(&format!("the text was ended by {other}"))),
            None => return Err(self.client.malformed("it ended in the middle of the text")),
        };
        let characters = request.instructions.chars().count() + message.chars().count();
        let usage = TokenUsage::from_report(reported, characters, text.chars().count());
        Ok(ProviderOutput { text, model_version: model_version.unwrap_or_else(|| self.model.clone()), usage, finish })
    }
}

impl TextProvider for OpenAiProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn generate_text<'a>(
        &'a self,
        request: &'a TextRequest,
        updates: UpdateSink<'a>,
    ) -> BoxFuture<'a, Result<ProviderOutput, ProviderError>> {
        Box::pin(self.request_text(request, updates))
    }
}
