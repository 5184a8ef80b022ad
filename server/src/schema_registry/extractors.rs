//! Extractors of the path and the query of a request.

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

/// Query parameters of all requests. Parameters that a request does not use are ignored, as in Confluent's registry.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the parameters are defined by Confluent's API")]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RegistryQuery {
    #[serde(deserialize_with = "deserialize_flag")]
    deleted: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    deleted_only: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    pub(super) latest_only: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    pub(super) permanent: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    pub(super) verbose: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    pub(super) default_to_global: bool,
    #[serde(deserialize_with = "deserialize_flag")]
    pub(super) fetch_max_id: bool,
    subject_prefix: String,
    offset: i64,
    limit: Option<i64>,
}

/// Parses a boolean as clients of all languages write it: `true`, `True` (Python), `TRUE`, `1`, or an empty value.
fn deserialize_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
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

    /// Returns the prefix of subjects. Clients may qualify it with all contexts (`:*:`) or the default one (`:.:`),
    /// which is the only one here.
    pub(super) fn name_prefix(&self) -> &str {
        let name = self.subject_prefix.as_str();
        [":*:", ":.:"].iter().find_map(|context| name.strip_prefix(context)).unwrap_or(name)
    }

    pub(super) fn page(&self) -> OffsetPage {
        // In Confluent's API a negative limit means no limit.
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

/// The subject in the path.
pub(super) struct SubjectPath(pub(super) SchemaSubject);

impl<S: Send + Sync> FromRequestParts<S> for SubjectPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let name: String = extract_path(parts, state).await?;
        Ok(Self(SchemaSubject::try_new(&name)?))
    }
}

/// The subject and the version in the path.
pub(super) struct VersionPath(pub(super) SchemaSubject, pub(super) VersionSelector);

impl<S: Send + Sync> FromRequestParts<S> for VersionPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let (name, version): (String, String) = extract_path(parts, state).await?;
        Ok(Self(SchemaSubject::try_new(&name)?, version.parse()?))
    }
}

/// The schema id in the path.
pub(super) struct SchemaIdPath(pub(super) i32);

impl<S: Send + Sync> FromRequestParts<S> for SchemaIdPath {
    type Rejection = RegistryErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegistryErrorResponse> {
        let id: String = extract_path(parts, state).await?;
        // Confluent's registry has no route for an id that is not a number.
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
    fn flags_are_parsed_as_clients_of_all_languages_write_them() {
        for text in ["true", "True", "TRUE", "1", ""] {
            assert!(parse_query(&format!("normalize=False&deleted={text}")).unwrap().deleted, "{text}");
        }
        for text in ["false", "False", "0"] {
            assert!(!parse_query(&format!("deleted={text}")).unwrap().deleted, "{text}");
        }
        assert!(parse_query("deleted=maybe").is_none());
    }

    #[test]
    fn the_name_prefix_excludes_the_context() {
        for (parameter, prefix) in [("", ""), (":*:", ""), (":.:", ""), (":*:med", "med"), ("med", "med")] {
            assert_eq!(parse_query(&format!("subjectPrefix={parameter}")).unwrap().name_prefix(), prefix);
        }
    }
}
