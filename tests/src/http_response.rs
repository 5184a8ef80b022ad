//! Requests over plain HTTP, and their responses.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::{ProductHandle, failure::or_fail, new_http_client};

/// An HTTP response: status, headers, and the body where it is JSON.
#[derive(Debug)]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; `null` where it is not JSON.
    pub body: Value,
}

impl HttpResponse {
    /// Sends a request and reads the response.
    ///
    /// # Panics
    /// If the request fails.
    pub async fn from_request(request: RequestBuilder) -> Self {
        let response = or_fail(request.send().await, "sending a request");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = or_fail(response.bytes().await, "reading a response");
        Self { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// A header's text; empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of a problem document; empty if the body has none.
    pub fn problem_code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A request to the product's REST API with a bearer token, or without one.
///
/// # Panics
/// If `method` is not an HTTP method.
pub fn build_request(product: &ProductHandle, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
    let request =
        new_http_client().request(or_fail(method.parse(), "reading a method"), format!("{}{path}", product.http()));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}
