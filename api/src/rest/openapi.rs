//! The description of the REST API, as `OpenAPI` has it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{analytics, document, ingest, opportunity, resource, text, upload};
use crate::{http::problem::Problem, owned::Undone};

/// The description.
#[derive(OpenApi)]
#[openapi(
    info(title = "MedContractHub", description = "What is not asked in GraphQL (`/graphql`)."),
    paths(
        opportunity::list,
        opportunity::one,
        resource::list,
        resource::one,
        resource::create,
        resource::update,
        resource::delete,
        document::list,
        document::one,
        document::content,
        upload::upload,
        document::delete,
        text::record,
        text::shown,
        ingest::take,
        analytics::events,
    ),
    modifiers(&Bearer),
    security((), ("bearer" = []))
)]
struct Description;

/// Tokens and keys go the same way.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of the identity provider, or an API key of a company."))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Problems have a kind of content of their own (RFC 9457).
fn name_problems(description: &mut Value) {
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

/// The description, as it is served and as it stands in `api/openapi.json`.
///
/// # Errors
/// [`serde_json::Error`] when it has no form in JSON: never, as it is made of texts.
pub fn document() -> serde_json::Result<Value> {
    let mut description = serde_json::to_value(Description::openapi())?;
    name_problems(&mut description);
    Ok(description)
}

pub(super) async fn served() -> Response {
    match document() {
        Ok(description) => Json(description).into_response(),
        Err(error) => Problem::from(Undone::unavailable(&error)).into_response(),
    }
}
