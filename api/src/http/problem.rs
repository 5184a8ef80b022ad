//! Errors of everything that is not GraphQL, as RFC 9457 has them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// What the status means.
    title: &'static str,
    /// The status.
    status: u16,
    /// The same for programs, e.g. `INVALID_INPUT`.
    code: &'static str,
    /// What is wrong with this very request.
    detail: String,
    /// Where in the request it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The version now, where another one was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<u64>,
    /// What is wrong with each item of a list of which nothing was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<RefusedItem>>)]
    refused: Option<Box<[RefusedItem]>>,
}

/// An item of a list that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RefusedItem {
    /// Its place in the list, from 0.
    index: usize,
    /// The field that is wrong; empty where it is the item as a whole.
    field: String,
    /// What is wrong with it.
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
        }
    }

    /// Wrong in that place.
    pub(crate) fn in_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Wrong in each of these items.
    pub(crate) fn with_refused(self, refused: Vec<RefusedItem>) -> Self {
        Self { refused: Some(refused.into_boxed_slice()), ..self }
    }

    /// Another version than was expected.
    pub(crate) fn with_current_version(self, version: u64) -> Self {
        Self { current_version: Some(version), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, Json(self)).into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer
    }
}
