//! Extractors of request data, with a problem for each invalid part.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
};
use commands::precondition::{CommandPreconditions, IdempotencyKey};
use domain::value::InvalidValue;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::http::problem::Problem;

/// A JSON body, or a problem.
pub(super) struct ValidJson<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ValidJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

pub(super) fn body_problem(rejection: &JsonRejection) -> Problem {
    let status = match rejection.status() {
        // Well-formed but not acceptable: reported to clients like malformed JSON.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    Problem::new(status, "INVALID_INPUT", rejection.body_text())
}

/// The query string, or a problem.
pub(super) struct ValidQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", rejection.body_text())),
        }
    }
}

/// The UUID in the path, or a problem.
pub(super) struct PathId(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", "the id is not a UUID").with_field("id"))
            }
        }
    }
}

/// A problem with the value of a field.
pub(super) fn invalid_value(field: &str, reason: &InvalidValue) -> Problem {
    invalid_field(field, reason.to_string())
}

/// A problem with a field, for a reason of the API rather than the domain.
pub(super) fn invalid_field(field: &str, reason: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason).with_field(field)
}

/// Preferences of the client (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The preferences that were applied.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Whether a request has this preference, possibly among others.
pub(super) fn prefers(headers: &HeaderMap, preference: &str) -> bool {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let preferences = lines.flat_map(|line| line.split(','));
    let names = preferences.map(|preference| preference.split([';', '=']).next().unwrap_or_default());
    names.map(str::trim).any(|name| name.eq_ignore_ascii_case(preference))
}

/// Returns the entity tags of a list, without quotes and weakness: tags of this service are versions, which are the
/// same in every encoding of a response.
pub(super) fn entity_tags(list: &str) -> impl Iterator<Item = &str> {
    // Tags of this service contain no comma.
    list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(|tag| {
        let strong = tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag);
        strong.trim_matches('"')
    })
}

/// The versions that `If-Match` allows; `None` if it allows any or is missing.
fn expected_versions(headers: &HeaderMap) -> Result<Option<Vec<u64>>, Problem> {
    let mut versions = vec![];
    for line in headers.get_all(header::IF_MATCH) {
        let line = line.to_str().map_err(|_| invalid_field("If-Match", "the header is not plain text"))?;
        for tag in entity_tags(line) {
            if tag == "*" {
                return Ok(None);
            }
            versions.push(tag.parse().map_err(|_| invalid_field("If-Match", "it is not an ETag of this service"))?);
        }
    }
    Ok(headers.contains_key(header::IF_MATCH).then_some(versions))
}

/// The preconditions of a change: `If-Match` and `Idempotency-Key`, the latter bound to `request_text`.
pub(super) fn read_preconditions(headers: &HeaderMap, request_text: &str) -> Result<CommandPreconditions, Problem> {
    let key = headers.get("idempotency-key").map(|value| value.to_str());
    let key = key.transpose().map_err(|_| invalid_field("idempotency-key", "the header is not plain text"))?;
    let idempotency_key = key.map(|key| IdempotencyKey::try_from_client(key, request_text)).transpose();
    let idempotency_key = idempotency_key.map_err(|reason| invalid_value("Idempotency-Key", &reason))?;
    Ok(CommandPreconditions {
        expected_versions: expected_versions(headers)?,
        idempotency_key,
        ..CommandPreconditions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn entity_tags_may_be_weak_listed_and_on_several_lines() {
        let expected = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("if-match", *line)).collect();
            expected_versions(&header_map(&lines)).ok()
        };
        assert_eq!(expected(&[]), Some(None));
        assert_eq!(expected(&["\"3\""]), Some(Some(vec![3])));
        assert_eq!(expected(&["W/\"3\""]), Some(Some(vec![3])));
        assert_eq!(expected(&["3"]), Some(Some(vec![3])));
        assert_eq!(expected(&["\"1\", W/\"2\"", "\"3\""]), Some(Some(vec![1, 2, 3])));
        assert_eq!(expected(&["*"]), Some(None));
        assert_eq!(expected(&["\"abc\""]), None);
        assert_eq!(expected(&[""]), Some(Some(vec![])), "nothing matches an empty list");
    }

    #[test]
    fn preferences_are_found_among_others() {
        for line in ["respond-async", "Respond-Async, wait=10", "return=minimal;foo, respond-async; x=1"] {
            assert!(prefers(&header_map(&[("prefer", line)]), "respond-async"), "{line}");
        }
        let two = header_map(&[("prefer", "wait=10"), ("prefer", "respond-async")]);
        assert!(prefers(&two, "respond-async"));
        assert!(!prefers(&header_map(&[("prefer", "no-respond-async, wait=1")]), "respond-async"));
    }
}
