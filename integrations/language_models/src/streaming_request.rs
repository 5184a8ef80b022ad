//! One streamed request to a provider: statuses, time-outs and limits, the same for both protocols.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::{
    ProviderError, TokenUsage, UsageOrigin,
    server_sent_events::{EventStreamDecoder, EventStreamError},
};

/// Maximum length of a streamed answer in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Maximum length of the body of an error that is read, in bytes.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// Maximum length of a provider's reason in characters.
const MAX_REASON_CHARACTERS: usize = 300;
/// Longest pause that a provider may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Time limits of a request, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestTimeouts {
    /// For the connection.
    pub connect_s: u64,
    /// Between two parts of the answer, and for the first one.
    pub idle_s: u64,
    /// For the whole answer.
    pub total_s: u64,
}

impl Default for RequestTimeouts {
    fn default() -> Self {
        Self { connect_s: 5, idle_s: 30, total_s: 180 }
    }
}

/// Sends the requests of one provider.
#[derive(Debug, Clone)]
pub(crate) struct StreamingClient {
    provider: String,
    client: Client,
    timeouts: RequestTimeouts,
}

impl StreamingClient {
    /// A client that follows no redirects: another host would get the key.
    pub(crate) fn new(provider: &str, timeouts: RequestTimeouts) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(timeouts.connect_s))
            .redirect(Policy::none())
            .build()?;
        Ok(Self { provider: provider.to_owned(), client, timeouts })
    }

    pub(crate) fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request, and passes the data of each event to `on_event` until that returns true or the stream ends.
    /// Returns whether `on_event` ended it.
    pub(crate) async fn stream_events(
        &self,
        request: RequestBuilder,
        mut on_event: impl FnMut(&str) -> Result<bool, ProviderError>,
    ) -> Result<bool, ProviderError> {
        let deadline = Instant::now() + Duration::from_secs(self.timeouts.total_s);
        let response = self.await_until(deadline, request.send()).await?;
        let mut response = self.check_status(response, deadline).await?;
        let (mut decoder, mut received) = (EventStreamDecoder::default(), 0);
        while let Some(chunk) = self.await_until(deadline, response.chunk()).await? {
            received += chunk.len();
            if received > MAX_ANSWER_BYTES {
                return Err(self.malformed(format!("more than {MAX_ANSWER_BYTES} bytes")));
            }
            let events = decoder.decode_chunk(&chunk);
            let events = events.map_err(|error: EventStreamError| self.malformed(error.to_string()))?;
            for event in &events {
                if on_event(event)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn await_until<T>(
        &self,
        deadline: Instant,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, ProviderError> {
        let started = Instant::now();
        let limit = deadline.min(started + Duration::from_secs(self.timeouts.idle_s));
        match timeout_at(limit, step).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => {
                Err(ProviderError::Unreachable { provider: self.provider.clone(), source: source.without_url() })
            }
            Err(_) => {
                Err(ProviderError::TimedOut { provider: self.provider.clone(), waited_s: started.elapsed().as_secs() })
            }
        }
    }

    async fn check_status(&self, mut response: Response, deadline: Instant) -> Result<Response, ProviderError> {
        let (status, provider) = (response.status(), self.provider.clone());
        let code = status.as_u16();
        if status == StatusCode::OK {
            return Ok(response);
        }
        if matches!(code, 429 | 503 | 529) {
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            let retry_after = retry_after.map(|pause| pause.min(MAX_RETRY_AFTER));
            return Err(ProviderError::Overloaded { provider, status: code, retry_after });
        }
        if matches!(code, 401 | 403) {
            return Err(ProviderError::Unauthorized { provider, status: code });
        }
        let mut body = vec![];
        while body.len() < MAX_ERROR_BYTES
            && let Ok(Some(chunk)) = self.await_until(deadline, response.chunk()).await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_ERROR_BYTES);
        let reason = parse_error_reason(&body);
        Err(if status.is_server_error() || code == 408 {
            ProviderError::Failed { provider, status: code, reason }
        } else {
            ProviderError::Rejected { provider, status: code, reason }
        })
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> ProviderError {
        ProviderError::Malformed { provider: self.provider.clone(), reason: reason.into() }
    }

    /// The end of an answer without a usable text, and what it used.
    pub(crate) fn declined(&self, reason: &str, usage: TokenUsage) -> ProviderError {
        let usage = Some(usage).filter(|usage| usage.origin == UsageOrigin::Reported);
        ProviderError::Declined { provider: self.provider.clone(), reason: shorten_reason(reason), usage }
    }

    /// An error that the provider reports within its stream.
    pub(crate) fn failed(&self, reason: &str) -> ProviderError {
        ProviderError::Failed { provider: self.provider.clone(), status: 200, reason: shorten_reason(reason) }
    }
}

/// The `error.message` of a JSON body, where both protocols report errors; otherwise the start of the body.
fn parse_error_reason(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.pointer("/error/message")).and_then(serde_json::Value::as_str);
    match message {
        Some(message) => shorten_reason(message),
        None => shorten_reason(&String::from_utf8_lossy(body)),
    }
}

/// A reason on one line, shortened. Long words are left out: a server may repeat the key in its answer.
fn shorten_reason(reason: &str) -> String {
    const MAX_WORD: usize = 30;
    let words = reason.split_whitespace().map(|word| if word.chars().count() > MAX_WORD { "[...]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    let short: String = line.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARACTERS).collect();
    if short.is_empty() { "no reason given".to_owned() } else { short }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_has_no_key() {
        let body = br#"{"error":{"message":"Incorrect API key provided: sk-1234567890abcdefghijklmnopqrstuvwxyz."}}"#;
        assert_eq!(parse_error_reason(body), "Incorrect API key provided: [...]");
        assert_eq!(parse_error_reason(b"<html>Bad\r\n gateway</html>"), "<html>Bad gateway</html>");
        assert_eq!(parse_error_reason(&[b' '; 100]), "no reason given");
        assert_eq!(parse_error_reason("ä ".repeat(1_000).as_bytes()).chars().count(), MAX_REASON_CHARACTERS);
    }
}
