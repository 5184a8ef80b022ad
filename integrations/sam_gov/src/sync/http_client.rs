//! What requests to the API and to the extract have in common.

use std::time::Duration;

use reqwest::{Client, Response, Url, redirect::Policy};

use super::SyncError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that follows no redirect by itself. `read_timeout` bounds each pause within an answer.
pub(super) fn build_client(read_timeout: Duration) -> Result<Client, SyncError> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(read_timeout)
        .redirect(Policy::none())
        .user_agent(concat!("medhub/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(SyncError::Client)
}

/// Parses an address of the settings. Only a server on this machine may be asked without TLS.
pub(super) fn parse_address(variable: &'static str, text: &str) -> Result<Url, SyncError> {
    let url = Url::parse(text).map_err(|source| SyncError::Address { variable, source })?;
    if is_secure(&url) { Ok(url) } else { Err(SyncError::InsecureAddress { variable }) }
}

/// Whether no third party can read what is sent there: with TLS, or on this machine.
pub(super) fn is_secure(url: &Url) -> bool {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

/// Why a body could not be read.
pub(super) enum ResponseBodyError {
    Connection(reqwest::Error),
    TooLarge,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, ResponseBodyError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| ResponseBodyError::Connection(error.without_url()))?
    {
        if body.len() + chunk.len() > limit {
            return Err(ResponseBodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_address_may_do_without_tls() {
        for good in ["https://api.sam.gov/x", "http://127.0.0.1:99/x", "http://localhost/x", "http://[::1]:1/x"] {
            assert!(parse_address("V", good).is_ok(), "{good}");
        }
        for bad in ["http://api.sam.gov/x", "file:///etc/passwd", "ftp://127.0.0.1/x"] {
            assert!(matches!(parse_address("V", bad), Err(SyncError::InsecureAddress { variable: "V" })), "{bad}");
        }
        assert!(matches!(parse_address("V", "sam.gov"), Err(SyncError::Address { .. })));
    }
}
