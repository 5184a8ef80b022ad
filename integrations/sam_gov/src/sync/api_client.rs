//! Requests to the Get Opportunities Public API, version 2.

use std::time::Duration;

use chrono::NaiveDate;
use domain::clock::{Clock, SystemClock};
use reqwest::{Client, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ApiError, DateWindow, SyncError,
    api_page::ApiPage,
    api_throttling,
    http_client::{self, ResponseBodyError},
};
use crate::{OffsetUnit, SamGovConfig};

/// Maximum size of a page: a thousand notices have about 4 MB.
const MAX_PAGE_BYTES: usize = 32 << 20;
/// Maximum size of a text; longer than the description of a notice may be, because of the JSON around it.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Maximum size of a refusal.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How much of a refusal an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 160;

/// A client of the API with one key.
pub(super) struct ApiClient {
    http: Client,
    address: Url,
    key: SecretString,
    page_size: u32,
    offset_unit: OffsetUnit,
    timeout: Duration,
}

/// The answer of a request for a text.
#[derive(Deserialize)]
struct DescriptionBody {
    description: Option<String>,
}

impl ApiClient {
    /// # Errors
    /// [`SyncError`] when the settings have no key, or no valid address.
    pub(super) fn new(config: &SamGovConfig) -> Result<Self, SyncError> {
        let key = config.api_key.clone().ok_or(SyncError::NoApiKey)?;
        let address = http_client::parse_address("MEDHUB__SAM_GOV__API_URL", &config.api_url)?;
        Ok(Self {
            http: http_client::build_client(config.request_timeout())?,
            address,
            key,
            page_size: config.page_size.clamp(1, 1_000),
            offset_unit: config.offset_unit,
            timeout: config.request_timeout(),
        })
    }

    /// Fetches the page that begins with notice number `offset` (from 0) of those published in `days`.
    pub(super) async fn fetch_page(&self, days: DateWindow, offset: u64) -> Result<ApiPage, ApiError> {
        let mut url = self.address.clone();
        let offset_value = match self.offset_unit {
            OffsetUnit::Records => offset,
            OffsetUnit::Pages => offset.div_ceil(u64::from(self.page_size)),
        };
        url.query_pairs_mut()
            .append_pair("postedFrom", &format_day(days.from()))
            .append_pair("postedTo", &format_day(days.to()))
            .append_pair("limit", &self.page_size.to_string())
            .append_pair("offset", &offset_value.to_string());
        let body = self.send_request(url, MAX_PAGE_BYTES).await?;
        ApiPage::parse(&body, offset + 1)
    }

    /// Fetches the text of a notice; `None` if it has none.
    pub(super) async fn fetch_description(&self, address: &str) -> Result<Option<String>, ApiError> {
        let url = self.check_description_address(address)?;
        let body = match self.send_request(url, MAX_TEXT_BYTES).await {
            Ok(body) => body,
            Err(ApiError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if body.trim_ascii_start().starts_with(b"<!") {
            return Err(ApiError::NotAPage { found: "a web page (HTML)" });
        }
        let answer: DescriptionBody =
            serde_json::from_slice(&body).map_err(|_error| ApiError::NotAPage { found: "text that is not JSON" })?;
        Ok(answer.description.filter(|text| !text.trim().is_empty()))
    }

    /// Checks that the address of a text is at the host of the API: the key must not be sent to another one.
    ///
    /// # Errors
    /// [`ApiError::ForeignAddress`].
    pub(super) fn check_description_address(&self, address: &str) -> Result<Url, ApiError> {
        let foreign = |host: &str| ApiError::ForeignAddress { host: host.to_owned() };
        let url = Url::parse(address).map_err(|_invalid| foreign("an invalid address"))?;
        if url.origin() == self.address.origin() { Ok(url) } else { Err(foreign(url.host_str().unwrap_or_default())) }
    }

    /// Sends a request with the key, and returns the body of a successful answer.
    async fn send_request(&self, mut url: Url, limit: usize) -> Result<Vec<u8>, ApiError> {
        url.query_pairs_mut().append_pair("api_key", self.key.expose_secret());
        let request = self.http.get(url).header(header::ACCEPT, "application/json").timeout(self.timeout);
        let response = request.send().await.map_err(|error| ApiError::Connection(error.without_url()))?;
        if response.status().is_success() {
            return http_client::read_body(response, limit).await.map_err(|error| match error {
                ResponseBodyError::Connection(error) => ApiError::Connection(error),
                ResponseBodyError::TooLarge => ApiError::TooLarge { limit },
            });
        }
        Err(self.to_error(response).await)
    }

    async fn to_error(&self, response: Response) -> ApiError {
        let status = response.status();
        let header_text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection() {
            let location = header_text(header::LOCATION).and_then(|location| self.address.join(&location).ok());
            let host = location.as_ref().and_then(Url::host_str).unwrap_or("an unknown host").to_owned();
            return ApiError::Redirected { host };
        }
        let retry_after = header_text(header::RETRY_AFTER);
        // The status says enough where the rest of the answer is lost.
        let body = http_client::read_body(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        let (message, status_code) = (self.quote(&body), status.as_u16());
        match status {
            StatusCode::TOO_MANY_REQUESTS => ApiError::Throttled {
                until: api_throttling::parse_next_access(&body, retry_after.as_deref(), SystemClock.now()),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ApiError::KeyRejected { status: status_code, message },
            StatusCode::REQUEST_TIMEOUT => ApiError::Server { status: status_code, message },
            _ if status.is_server_error() => ApiError::Server { status: status_code, message },
            _ => ApiError::Refused { status: status_code, message },
        }
    }

    /// The beginning of an answer for an error, without control characters and without the key.
    fn quote(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body).replace(self.key.expose_secret(), "***");
        let words: Vec<_> =
            text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
        let quoted: String = words.join(" ").chars().take(MAX_QUOTED_CHARS).collect();
        if quoted.is_empty() || quoted.starts_with('<') { String::new() } else { format!(": {quoted}") }
    }
}

/// `02/28/2026`: the API's own form.
fn format_day(day: NaiveDate) -> String {
    day.format("%m/%d/%Y").to_string()
}
