//! What the path and the query of a request say.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, request::Parts},
};
use eventstore::registry::{DeletedFilter, OffsetPage, SchemaSubject, VersionSelector};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use super::RegistryErrorResponse;

/// The query of every request; what a request has no use for is ignored, as Confluent's registry does.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches that somebody else named")]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RegistryQuery {
    #[serde(deserialize_with = "switch")]
    deleted: bool,
    #[serde(deserialize_with = "switch")]
    deleted_only: bool,
    #[serde(deserialize_with = "switch")]
    pub(super) latest_only: bool,
    #[serde(deserialize_with = "switch")]
    pub(super) permanent: bool,
    #[serde(deserialize_with = "switch")]
    pub(super) verbose: bool,
    #[serde(deserialize_with = "switch")]
    pub(super) default_to_global: bool,
    #[serde(deserialize_with = "switch")]
    pub(super) fetch_max_id: bool,
    subject_prefix: String,
    offset: i64,
    limit: Option<i64>,
}

/// A switch as clients of all languages write it: `true`, `True` (Python), `TRUE`, `1`, or with nothing behind its name.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(D::Error::custom("provided string was not `true` or `false`")),
    }
}

impl RegistryQuery {
    pub(super) fn deletion_filter(&self) -> DeletedFilter {
        match (self.deleted_only, self.deleted) {
            (true, _) => DeletedFilter::Only,
            (false, true) => DeletedFilter::Include,
            (false, false) => DeletedFilter::Exclude,
        }
    }

    /// What subjects begin with. Clients name all contexts or the one without a name; here there is only that.
    pub(super) fn name_prefix(&self) -> &str {
        let name = self.subject_prefix.as_str();
        [":*:", ":.:"].iter().find_map(|context| name.strip_prefix(context)).unwrap_or(name)
    }

    pub(super) fn page(&self) -> OffsetPage {
        // A negative limit is Confluent's word for none.
        OffsetPage { offset: self.offset.max(0), limit: self.limit.filter(|limit| *limit >= 0) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RegistryQuery {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let found = Query::<Self>::from_request_parts(parts, state).await;
        found.map(|Query(options)| options).map_err(|error| bad_request(error.body_text()))
    }
}

/// A subject in the path.
pub(super) struct SubjectPath(pub(super) SchemaSubject);

impl<S: Send + Sync> FromRequestParts<S> for SubjectPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let name: String = extract_path(parts, state).await?;
        Ok(Self(SchemaSubject::try_new(&name)?))
    }
}

/// A subject and one of its versions in the path.
pub(super) struct VersionPath(pub(super) SchemaSubject, pub(super) VersionSelector);

impl<S: Send + Sync> FromRequestParts<S> for VersionPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let (name, version): (String, String) = extract_path(parts, state).await?;
        Ok(Self(SchemaSubject::try_new(&name)?, version.parse()?))
    }
}

/// A schema's id in the path.
pub(super) struct SchemaIdPath(pub(super) i32);

impl<S: Send + Sync> FromRequestParts<S> for SchemaIdPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let id: String = extract_path(parts, state).await?;
        // What is no number names no schema; Confluent's registry knows no such path either.
        id.parse().map(Self).map_err(|_| RegistryErrorResponse::new(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
    }
}

async fn extract_path<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, RegistryErrorResponse> {
    let found = Path::<T>::from_request_parts(parts, state).await;
    found.map(|Path(path)| path).map_err(|error| bad_request(error.body_text()))
}

fn bad_request(message: String) -> RegistryErrorResponse {
    RegistryErrorResponse::new(StatusCode::BAD_REQUEST, 400, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_query(query: &str) -> Option<RegistryQuery> {
        let uri = format!("/?{query}").parse().unwrap();
        Query::try_from_uri(&uri).ok().map(|Query(options)| options)
    }

    #[test]
    fn switches_are_read_as_clients_of_all_languages_write_them() {
        for text in ["true", "True", "TRUE", "1", ""] {
            assert!(parse_query(&format!("normalize=False&deleted={text}")).unwrap().deleted, "{text}");
        }
        for text in ["false", "False", "0"] {
            assert!(!parse_query(&format!("deleted={text}")).unwrap().deleted, "{text}");
        }
        assert!(parse_query("deleted=maybe").is_none());
    }

    #[test]
    fn the_context_without_a_name_is_the_only_one() {
        for (given, prefix) in [("", ""), (":*:", ""), (":.:", ""), (":*:med", "med"), ("med", "med")] {
            assert_eq!(parse_query(&format!("subjectPrefix={given}")).unwrap().name_prefix(), prefix);
        }
    }
}
