//! Text from a server that streams it, independent of its protocol.

use futures::future::BoxFuture;
use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{
    ProviderError, ProviderOutput, TextProvider, TextRequest, UpdateSink,
    provider_endpoint::{FinishWords, ProviderEndpoint, StreamedText},
};

/// A protocol of language-model servers: the format of a request and of the events of its answer.
pub trait StreamingProtocol: Send + Sync {
    /// The words for the end of a text.
    const FINISH_WORDS: FinishWords;

    /// The body of a request; `message` is the request without its instructions.
    fn build_body(&self, model: &str, request: &TextRequest, message: &str) -> Value;

    /// Adds the headers that the protocol demands, those with the key among them.
    fn add_headers(&self, post: RequestBuilder) -> RequestBuilder;

    /// Adds an event to the text. Returns whether it is the last one.
    ///
    /// # Errors
    /// [`ProviderError`] when the event is none of the protocol, or reports an error.
    fn read_event(&self, data: &str, streamed: &mut StreamedText<'_>) -> Result<bool, ProviderError>;
}

/// A model of a server, which is asked in the protocol `P`.
pub struct StreamingProvider<P> {
    pub(crate) endpoint: ProviderEndpoint,
    pub(crate) protocol: P,
}

impl<P: StreamingProtocol> StreamingProvider<P> {
    async fn request_text(
        &self,
        request: &TextRequest,
        updates: UpdateSink<'_>,
    ) -> Result<ProviderOutput, ProviderError> {
        let (endpoint, message) = (&self.endpoint, request.to_user_message());
        let body = self.protocol.build_body(&endpoint.model, request, &message).to_string();
        let post = endpoint.client.post(&endpoint.url).header(CONTENT_TYPE, "application/json").body(body);
        let mut streamed = StreamedText::new(endpoint, updates);
        let read_event = |data: &str| self.protocol.read_event(data, &mut streamed);
        endpoint.client.stream_events(self.protocol.add_headers(post), read_event).await?;
        endpoint.build_output(request, &message, streamed, &P::FINISH_WORDS)
    }
}

impl<P: StreamingProtocol> TextProvider for StreamingProvider<P> {
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
