//! GraphQL requests as clients send them ("GraphQL over HTTP", sections 5.3 and 5.4; "GraphQL over `WebSocket`",
//! `subscribe`).

use async_graphql::{Request, Variables};
use async_graphql_value::Extensions;
use serde::Deserialize;

use crate::http::json_bounds::{self, JsonBoundsError};

/// Why a request is not a GraphQL request.
#[derive(Debug, thiserror::Error)]
pub(super) enum GraphQlRequestError {
    #[error("{part} exceeds a bound: {source}")]
    OutOfBounds { part: &'static str, source: JsonBoundsError },
    #[error("{part} is not a GraphQL request in JSON: {source}")]
    Malformed { part: &'static str, source: serde_json::Error },
    #[error("the body must be a JSON object with one request; batches are not supported")]
    NotAnObject,
    #[error("there is no document: send it as `query`")]
    NoDocument,
}

/// Parameters of a request in JSON. A null counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestParameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<Extensions>,
}

/// Parameters of a request in the query of a URL, where objects are JSON texts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UrlParameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Parses the body of a POST.
///
/// # Errors
/// [`GraphQlRequestError`] when it is not a GraphQL request, or exceeds the bounds of nesting and size.
pub(super) fn parse_body(body: &[u8]) -> Result<Request, GraphQlRequestError> {
    // Checked first: serde would also accept a list for a struct.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(GraphQlRequestError::NotAnObject);
    }
    read_bounded_json::<RequestParameters>("the body", body)?.into_request()
}

impl RequestParameters {
    /// Converts the parameters to a request.
    ///
    /// # Errors
    /// [`GraphQlRequestError::NoDocument`] when there is neither a document nor a hash.
    pub(super) fn into_request(self) -> Result<Request, GraphQlRequestError> {
        let Self { query, operation_name, variables, extensions } = self;
        let (query, extensions) = (query.unwrap_or_default(), extensions.unwrap_or_default());
        if query.is_empty() && extensions.is_empty() {
            return Err(GraphQlRequestError::NoDocument);
        }
        let mut request = Request::new(query).variables(variables.unwrap_or_default());
        request.operation_name = operation_name;
        request.extensions = extensions;
        Ok(request)
    }
}

impl UrlParameters {
    /// Whether the URL contains a document; otherwise browsers get the playground.
    pub(super) fn names_document(&self) -> bool {
        self.query.is_some() || self.extensions.is_some()
    }

    /// Converts the parameters to a request.
    ///
    /// # Errors
    /// As [`parse_body`].
    pub(super) fn into_request(self) -> Result<Request, GraphQlRequestError> {
        let variables = read_optional_json("the parameter variables", self.variables)?;
        let extensions = read_optional_json("the parameter extensions", self.extensions)?;
        RequestParameters { query: self.query, operation_name: self.operation_name, variables, extensions }
            .into_request()
    }
}

fn read_optional_json<T: for<'a> Deserialize<'a>>(
    part: &'static str,
    text: Option<String>,
) -> Result<Option<T>, GraphQlRequestError> {
    match text.filter(|text| !text.trim().is_empty()) {
        None => Ok(None),
        Some(text) => read_bounded_json(part, text.as_bytes()),
    }
}

/// Parses JSON after checking the bounds of nesting and size.
pub(super) fn read_bounded_json<'a, T: Deserialize<'a>>(
    part: &'static str,
    text: &'a [u8],
) -> Result<T, GraphQlRequestError> {
    json_bounds::check_json_bounds(text).map_err(|source| GraphQlRequestError::OutOfBounds { part, source })?;
    serde_json::from_slice(text).map_err(|source| GraphQlRequestError::Malformed { part, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_parameters_count_as_absent() {
        let body = br#"{"query":"{a}","operationName":null,"variables":null,"extensions":null,"id":7}"#;
        let request = parse_body(body).unwrap();
        assert_eq!((request.query.as_str(), request.operation_name), ("{a}", None));
        let url = UrlParameters { query: Some("{a}".into()), variables: Some(String::new()), ..Default::default() };
        assert_eq!(url.into_request().unwrap().query, "{a}");
    }

    #[test]
    fn a_malformed_request_is_refused() {
        let deep = format!(r#"{{"query":"{{a}}","variables":{{"a":{}1{}}}}}"#, "[".repeat(100), "]".repeat(100));
        for (body, expected) in [
            (r#"[{"query":"{a}"}]"#, "batches"),
            (r#" ["{a}"]"#, "batches"),
            ("7", "in JSON"),
            ("{}", "no document"),
            (r#"{"query":7}"#, "in JSON"),
            (deep.as_str(), "deeper"),
        ] {
            let error = parse_body(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
