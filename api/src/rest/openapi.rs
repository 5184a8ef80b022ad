//! The `OpenAPI` description of the REST API.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::ApiDescription;
use crate::{http::problem::Problem, tenant_commands::CommandFailure};

/// Bearer authentication, for tokens and API keys alike.
pub(super) struct BearerSecurity;

impl Modify for BearerSecurity {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of the identity provider, or an API key of a company."))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Problems have their own media type (RFC 9457).
fn mark_problem_content(description: &mut Value) {
    let operations = description["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = operations.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    let responses = operations.filter_map(|operation| operation["responses"].as_object_mut()).flatten();
    for (_, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && let Some(problem) = content.remove("application/json")
        {
            content.insert("application/problem+json".to_owned(), problem);
        }
    }
}

/// The `OpenAPI` description, as it is served and as it is stored in `api/openapi.json`.
///
/// # Errors
/// [`serde_json::Error`] when it cannot be serialized; that does not happen, as it consists of texts.
pub fn openapi_document() -> serde_json::Result<Value> {
    let mut description = serde_json::to_value(ApiDescription::openapi())?;
    mark_problem_content(&mut description);
    Ok(description)
}

pub(super) async fn serve_openapi() -> Response {
    match openapi_document() {
        Ok(description) => Json(description).into_response(),
        Err(error) => Problem::from(CommandFailure::unavailable(&error)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_recorded_description_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let current = serde_json::to_string_pretty(&openapi_document().unwrap()).unwrap() + "\n";
        if std::env::var_os("MEDHUB_RECORD").is_some() {
            return std::fs::write(path, current).unwrap();
        }
        let recorded = std::fs::read_to_string(path).unwrap();
        assert!(current == recorded, "write it: MEDHUB_RECORD=1 cargo test --workspace --lib recorded");
    }

    /// Generators name a client's methods after them, and OpenAPI requires them to be unique. `utoipa` takes the name of
    /// the function, so that two functions of one name in different files would share an id.
    #[test]
    fn operation_ids_are_unique() {
        let description = openapi_document().unwrap();
        let paths = description["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
        let ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
        assert!(!ids.is_empty());
        let mut known = BTreeSet::new();
        let repeated: Vec<_> = ids.into_iter().filter(|id| !known.insert(id.clone())).collect();
        assert_eq!(repeated, Vec::<String>::new());
    }
}
