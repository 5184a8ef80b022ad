//! Common parts of providers with different protocols: their address, and the evaluation of a streamed text.

use serde::de::DeserializeOwned;

use crate::{
    FinishReason, GenerationUpdate, ProviderError, ProviderOutput, RequestTimeouts, TextRequest, TokenUsage,
    UpdateSink, streaming_request::StreamingClient,
};

/// A model of a server, and the client that sends requests to it.
pub(crate) struct ProviderEndpoint {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) url: String,
    pub(crate) client: StreamingClient,
}

/// What a stream has contained so far.
pub struct StreamedText<'a> {
    pub(crate) endpoint: &'a ProviderEndpoint,
    updates: UpdateSink<'a>,
    text: String,
    /// The exact model, if the server names it.
    pub(crate) model_version: Option<String>,
    /// Tokens of the request, if the server counts them.
    pub(crate) input_tokens: Option<u64>,
    /// Tokens of the text, if the server counts them.
    pub(crate) output_tokens: Option<u64>,
    /// Why the text ended, in the words of the protocol.
    pub(crate) finish_reason: Option<String>,
}

impl<'a> StreamedText<'a> {
    pub(crate) fn new(endpoint: &'a ProviderEndpoint, updates: UpdateSink<'a>) -> Self {
        Self {
            endpoint,
            updates,
            text: String::new(),
            model_version: None,
            input_tokens: None,
            output_tokens: None,
            finish_reason: None,
        }
    }

    /// Adds the next part of the text, and reports it.
    pub(crate) fn add_text(&mut self, part: &str) {
        (self.updates)(GenerationUpdate::Text(part));
        self.text.push_str(part);
    }

    /// The event of the stream, or the error that it is none of the protocol.
    pub(crate) fn parse_event<T: DeserializeOwned>(&self, data: &str) -> Result<T, ProviderError> {
        serde_json::from_str(data).map_err(|error| self.endpoint.client.malformed(error.to_string()))
    }
}

/// The words of a protocol for the end of a text.
pub struct FinishWords {
    pub(crate) complete: &'static [&'static str],
    pub(crate) length_limit: &'static str,
}

impl ProviderEndpoint {
    /// The endpoint at `path` below `base_url`.
    pub(crate) fn new(
        name: &str,
        base_url: &str,
        path: &str,
        model: &str,
        timeouts: RequestTimeouts,
    ) -> Result<Self, reqwest::Error> {
        let url = format!("{}/{path}", base_url.trim_end_matches('/'));
        Ok(Self { name: name.to_owned(), model: model.to_owned(), url, client: StreamingClient::new(name, timeouts)? })
    }

    /// The output of a stream that has ended; `message` was sent with the instructions of the request.
    pub(crate) fn build_output(
        &self,
        request: &TextRequest,
        message: &str,
        streamed: StreamedText<'_>,
        words: &FinishWords,
    ) -> Result<ProviderOutput, ProviderError> {
        let StreamedText { text, model_version, input_tokens, output_tokens, finish_reason, .. } = streamed;
        let characters = request.instructions.chars().count() + message.chars().count();
        let usage = TokenUsage::from_report(
            input_tokens.zip(output_tokens),
            characters,
            text.chars().count(),
            u64::from(request.max_output_tokens),
        );
        let finish = match finish_reason.as_deref() {
            Some(reason) if words.complete.contains(&reason) => FinishReason::Complete,
            Some(reason) if reason == words.length_limit => FinishReason::LengthLimit,
            Some(other) => return Err(self.client.declined(&format!("the text was ended by {other}"), usage)),
            None => return Err(self.client.malformed("it ended in the middle of the text")),
        };
        if text.trim().is_empty() {
            let reason = match finish {
                FinishReason::Complete => "it has no text",
                FinishReason::LengthLimit => "it has no text, its limit of tokens was used before the first word",
            };
            return Err(self.client.declined(reason, usage));
        }
        Ok(ProviderOutput { text, model_version: model_version.unwrap_or_else(|| self.model.clone()), usage, finish })
    }
}
