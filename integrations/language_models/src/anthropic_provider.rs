//! Text from servers with Anthropic's Messages API.

use futures::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    GenerationUpdate, ProviderError, ProviderOutput, RequestTimeouts, TextProvider, TextRequest, UpdateSink,
    provider_endpoint::{FinishWords, ProviderEndpoint, StreamedText},
};

/// The version of the API that the requests are written for.
pub(crate) const API_VERSION: &str = "2023-06-01";

const FINISH_WORDS: FinishWords = FinishWords { complete: &["end_turn", "stop_sequence"], length_limit: "max_tokens" };

/// A server with the Messages API.
pub struct AnthropicProvider {
    endpoint: ProviderEndpoint,
    key: SecretString,
}

/// An event of the stream. Kinds that are added later are passed over, as the API demands of clients.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamEvent {
    MessageStart {
        message: StartedMessage,
    },
    ContentBlockDelta {
        delta: ContentDelta,
    },
    MessageDelta {
        delta: MessageChange,
        usage: Option<OutputUsage>,
    },
    MessageStop,
    Error {
        error: ErrorReport,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct StartedMessage {
    model: String,
    usage: Option<InputUsage>,
}

#[derive(Deserialize)]
struct InputUsage {
    #[serde(rename = "input_tokens")]
    uncached: u64,
    #[serde(default, rename = "cache_creation_input_tokens")]
    cached: Option<u64>,
    #[serde(default, rename = "cache_read_input_tokens")]
    read_from_cache: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentDelta {
    TextDelta {
        text: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageChange {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct OutputUsage {
    output_tokens: u64,
}

#[derive(Deserialize)]
struct ErrorReport {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

impl AnthropicProvider {
    /// A provider at `base_url`, e.g. `https://api.anthropic.com/v1`.
    ///
    /// # Errors
    /// [`reqwest::Error`] when the TLS backend cannot be initialised.
    pub fn new(
        name: &str,
        base_url: &str,
        model: &str,
        key: SecretString,
        timeouts: RequestTimeouts,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self { endpoint: ProviderEndpoint::new(name, base_url, "messages", model, timeouts)?, key })
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
            "max_tokens": request.max_output_tokens,
            "system": request.instructions,
            "messages": [{ "role": "user", "content": message }],
        });
        let post = endpoint
            .client
            .post(&endpoint.url)
            .header(CONTENT_TYPE, "application/json")
            .header("anthropic-version", API_VERSION)
            .header("x-api-key", self.key.expose_secret())
            .body(body.to_string());

        let (mut streamed, mut input, mut output) = (StreamedText::default(), None, None);
        let stream = endpoint.client.stream_events(post, |data| {
            let event = serde_json::from_str(data).map_err(|error| endpoint.client.malformed(error.to_string()))?;
            match event {
                StreamEvent::MessageStart { message } => {
                    streamed.model_version = Some(message.model);
                    input = message.usage.map(|usage| {
                        let from_cache = usage.read_from_cache.unwrap_or_default();
                        usage.uncached.saturating_add(usage.cached.unwrap_or_default()).saturating_add(from_cache)
                    });
                }
                StreamEvent::ContentBlockDelta { delta: ContentDelta::TextDelta { text: part } } => {
                    updates(GenerationUpdate::Text(&part));
                    streamed.text.push_str(&part);
                }
                StreamEvent::MessageDelta { delta, usage } => {
                    streamed.finish_reason = delta.stop_reason.or(streamed.finish_reason.take());
                    output = usage.map(|usage| usage.output_tokens).or(output);
                }
                StreamEvent::MessageStop => return Ok(true),
                StreamEvent::Error { error } => return Err(self.stream_error(&error)),
                StreamEvent::ContentBlockDelta { delta: ContentDelta::Other } | StreamEvent::Other => {}
            }
            Ok(false)
        });
        stream.await?;
        streamed.reported_tokens = input.zip(output);
        endpoint.build_output(request, &message, streamed, &FINISH_WORDS)
    }

    /// An overload may be reported after the stream has begun with status 200.
    fn stream_error(&self, error: &ErrorReport) -> ProviderError {
        match error.kind.as_deref() {
            Some("overloaded_error") => {
                ProviderError::Overloaded { provider: self.endpoint.name.clone(), status: 529, retry_after: None }
            }
            Some(_) | None => self.endpoint.client.failed(error.message.as_deref().unwrap_or_default()),
        }
    }
}

impl TextProvider for AnthropicProvider {
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
