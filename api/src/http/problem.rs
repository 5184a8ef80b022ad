//! Errors of all HTTP routes except GraphQL, as problem details (RFC 9457).

use std::num::NonZeroU16;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admission_queue::QueueFull;

/// An error, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// Meaning of the status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// Code of the error, e.g. `INVALID_INPUT`.
    code: &'static str,
    /// What is wrong with this request.
    detail: String,
    /// The invalid part of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The current version, if another one was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<u64>,
    /// The invalid items of a list; none of its items was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<RefusedItem>>)]
    refused: Option<Box<[RefusedItem]>>,
    /// Seconds until the request may succeed; a header of the response.
    #[serde(skip)]
    #[schema(ignore)]
    retry_after_s: Option<NonZeroU16>,
}

/// An item of a list that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RefusedItem {
    /// Index in the list, from 0.
    index: usize,
    /// The invalid field; empty if the item as a whole is invalid.
    field: String,
    /// What is wrong with the item.
    reason: String,
}

impl RefusedItem {
    pub(crate) fn new(index: usize, field: &str, reason: &str) -> Self {
        Self { index, field: field.to_owned(), reason: reason.to_owned() }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error");
        Self {
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            current_version: None,
            refused: None,
            retry_after_s: None,
        }
    }

    /// Names the invalid part of the request.
    pub(crate) fn with_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Lists the invalid items of the request.
    pub(crate) fn with_refused(self, refused: Vec<RefusedItem>) -> Self {
        Self { refused: Some(refused.into_boxed_slice()), ..self }
    }

    /// Says after how many seconds the request may succeed.
    pub(crate) fn with_retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: NonZeroU16::new(u16::try_from(seconds).unwrap_or(u16::MAX)), ..self }
    }

    /// Adds the current version, where another one was expected.
    pub(crate) fn with_current_version(self, version: u64) -> Self {
        Self { current_version: Some(version), ..self }
    }
}

/// The process has no room for a request.
impl From<QueueFull> for Problem {
    fn from(full: QueueFull) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", full.to_string()).with_retry_after(full.retry_after_s)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        response
    }
}
