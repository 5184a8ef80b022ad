//! Text from servers with Anthropic's Messages API.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ProviderError, RequestTimeouts, TextRequest,
    provider_endpoint::{FinishWords, ProviderEndpoint, StreamedText},
    streaming_provider::{StreamingProtocol, StreamingProvider},
};

/// The version of the API that the requests are written for.
pub(crate) const API_VERSION: &str = "2023-06-01";

/// A server with the Messages API.
pub type AnthropicProvider = StreamingProvider<AnthropicProtocol>;

/// The Messages API, with the key of an account.
pub struct AnthropicProtocol {
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
        error: AnthropicErrorReport,
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
struct AnthropicErrorReport {
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
        let endpoint = ProviderEndpoint::new(name, base_url, "messages", model, timeouts)?;
        Ok(Self { endpoint, protocol: AnthropicProtocol { key } })
    }
}

impl StreamingProtocol for AnthropicProtocol {
    const FINISH_WORDS: FinishWords =
        FinishWords { complete: &["end_turn", "stop_sequence"], length_limit: "max_tokens" };

    fn build_body(&self, model: &str, request: &TextRequest, message: &str) -> Value {
        json!({
            "model": model,
            "stream": true,
            "max_tokens": request.max_output_tokens,
            "system": request.instructions,
            "messages": [{ "role": "user", "content": message }],
        })
    }

    fn add_headers(&self, post: RequestBuilder) -> RequestBuilder {
        post.header("anthropic-version", API_VERSION).header("x-api-key", self.key.expose_secret())
    }

    fn read_event(&self, data: &str, streamed: &mut StreamedText<'_>) -> Result<bool, ProviderError> {
        match streamed.parse_event(data)? {
            StreamEvent::MessageStart { message } => {
                streamed.model_version = Some(message.model);
                streamed.input_tokens = message.usage.map(|usage| {
                    let from_cache = usage.read_from_cache.unwrap_or_default();
                    usage.uncached.saturating_add(usage.cached.unwrap_or_default()).saturating_add(from_cache)
                });
            }
            StreamEvent::ContentBlockDelta { delta: ContentDelta::TextDelta { text: part } } => {
                streamed.add_text(&part);
            }
            StreamEvent::MessageDelta { delta, usage } => {
                streamed.finish_reason = delta.stop_reason.or(streamed.finish_reason.take());
                streamed.output_tokens = usage.map(|usage| usage.output_tokens).or(streamed.output_tokens);
            }
            StreamEvent::MessageStop => return Ok(true),
            StreamEvent::Error { error } => return Err(to_provider_error(streamed.endpoint, &error)),
            StreamEvent::ContentBlockDelta { delta: ContentDelta::Other } | StreamEvent::Other => {}
        }
        Ok(false)
    }
}

/// An overload may be reported after the stream has begun with status 200.
fn to_provider_error(endpoint: &ProviderEndpoint, error: &AnthropicErrorReport) -> ProviderError {
    match error.kind.as_deref() {
        Some("overloaded_error") => {
            ProviderError::Overloaded { provider: endpoint.name.clone(), status: 529, retry_after: None }
        }
        Some(_) | None => endpoint.client.failed(error.message.as_deref().unwrap_or_default()),
    }
}
