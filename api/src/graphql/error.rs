//! The only place where failures become GraphQL errors: each has a code, and none discloses internals.

use async_graphql::{Error, ErrorExtensions, Response, ServerError};
use commands::error::CommandError;
use domain::opportunity::InvalidValue;
use projections::{
    QueryError,
    runtime::{ControlError, RebuildError},
};

use super::parsed_document_cache::{PersistedQueryError, PrepareDocumentError};
use crate::{admission_queue::QueueFull, opportunity_lists::OpportunityListError, tenant_commands::CommandFailure};

/// The caller sent an invalid value.
const INVALID_INPUT: &str = "INVALID_INPUT";
/// The document cannot be executed: invalid syntax, invalid types, or too costly.
const INVALID_QUERY: &str = "INVALID_QUERY";
/// No document is known by the hash; the client has to send its text once.
const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
/// The request took too long.
const TIMEOUT: &str = "TIMEOUT";
/// The caller lacks permission.
const FORBIDDEN: &str = "FORBIDDEN";
/// A concurrent change or another state prevents the request; it may succeed later.
const CONFLICT: &str = "CONFLICT";
/// The idempotency key belongs to another change.
const IDEMPOTENCY_KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
/// A read model has not reached the consistency token; the same request may succeed soon.
const NOT_YET: &str = "NOT_YET";
/// A store is unavailable; the same request may succeed later.
const UNAVAILABLE: &str = "UNAVAILABLE";
/// An internal failure.
const INTERNAL: &str = "INTERNAL";

/// Maximum number of errors in one response.
const MAX_ERRORS: usize = 50;

/// An invalid value in `field`, e.g. `input.naics`, with the reason as message.
pub(super) fn invalid_value(field: &str, reason: &InvalidValue) -> Error {
    invalid_field(field, reason.to_string())
}

/// An invalid value in `field`, for a reason that the API states instead of the domain.
pub(super) fn invalid_field(field: &str, reason: String) -> Error {
    Error::new(reason).extend_with(|_, e| {
        e.set("code", INVALID_INPUT);
        e.set("field", field);
    })
}

/// The document is not executed, for a reason that the caller can fix.
pub(crate) fn invalid_query_response(reason: impl Into<String>) -> Response {
    response_with_code(reason.into(), INVALID_QUERY)
}

/// The document is not executed, for a reason with its own `code`.
pub(crate) fn error_response(reason: String, code: &'static str) -> Response {
    response_with_code(reason, code)
}

/// The document is not executed: it cannot be parsed, costs too much, or is not found by its hash.
pub(super) fn prepare_error_response(failure: &PrepareDocumentError) -> Response {
    let (code, at) = match failure {
        PrepareDocumentError::PersistedQuery(PersistedQueryError::NotFound) => (PERSISTED_QUERY_NOT_FOUND, None),
        PrepareDocumentError::PersistedQuery(PersistedQueryError::HashMismatch | PersistedQueryError::Malformed) => {
            (INVALID_QUERY, None)
        }
        PrepareDocumentError::Syntax(error) => (INVALID_QUERY, Some(error.pos())),
        PrepareDocumentError::Cost(error) => (INVALID_QUERY, error.pos()),
    };
    let mut response = response_with_code(failure.to_string(), code);
    for error in &mut response.errors {
        error.locations.extend(at);
    }
    response
}

/// Whether nothing of the document was executed: such a response has no data, and no error has a path.
pub(crate) fn is_request_error(response: &Response) -> bool {
    response.data == async_graphql::Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// How the execution of an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseOutcome {
    /// Without an error.
    Succeeded,
    /// Only with errors that the client can correct, or that tell it to try again.
    Refused,
    /// With an error that the service is responsible for.
    Failed,
}

/// How the execution of an operation ended, by the codes of its errors.
pub(super) fn response_outcome(response: &Response) -> ResponseOutcome {
    let is_failure = |error: &ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        [INTERNAL, UNAVAILABLE, TIMEOUT].iter().any(|failure| code == Some(&(*failure).into()))
    };
    if response.errors.is_empty() {
        ResponseOutcome::Succeeded
    } else if response.errors.iter().any(is_failure) {
        ResponseOutcome::Failed
    } else {
        ResponseOutcome::Refused
    }
}

/// Whether the document is not known by its hash, so that the client has to send its text.
pub(crate) fn is_unknown_hash(response: &Response) -> bool {
    let code = response.errors.first().and_then(|error| error.extensions.as_ref()?.get("code"));
    code == Some(&PERSISTED_QUERY_NOT_FOUND.into())
}

/// The request took too long.
pub(crate) fn timeout_response() -> Response {
    response_with_code("the request took too long".to_owned(), TIMEOUT)
}

/// The document is not executed: the process has no room for it.
pub(crate) fn queue_full_response(full: QueueFull) -> Response {
    let mut response = response_with_code(full.to_string(), UNAVAILABLE);
    for error in &mut response.errors {
        error.extensions.get_or_insert_default().set("retryAfterSeconds", full.retry_after_s);
    }
    response
}

/// A command that failed before the aggregate accepted or refused it.
pub(super) fn command_error<E: std::error::Error + 'static>(error: &CommandError<E>) -> Error {
    match error {
        CommandError::Outdated { current } => {
            let current = *current;
            let message = format!("it has changed since you read it: its version is now {current}");
            error_with_code(&message, CONFLICT).extend_with(|_, e| e.set("currentVersion", current))
        }
        CommandError::KeyReused => {
            error_with_code("the idempotency key was used for another change, take a new one", IDEMPOTENCY_KEY_REUSED)
        }
        CommandError::Forbidden { .. } => error_with_code("your role or API key does not permit this", FORBIDDEN),
        CommandError::Conflict => error_with_code("other clients keep changing the object, try again", CONFLICT),
        // Mutations return refusals as outcomes; one that arrives here is a defect.
        CommandError::Refused(_) | CommandError::Store(_) => unavailable(error),
    }
}

/// A command that failed or was refused.
pub(super) fn command_failure(failure: &CommandFailure) -> Error {
    let error = error_with_code(&failure.to_string(), failure.code());
    match failure {
        CommandFailure::Outdated { current } => {
            let current = *current;
            error.extend_with(|_, e| e.set("currentVersion", current))
        }
        CommandFailure::Rejected { rule, .. } => {
            let rule = *rule;
            error.extend_with(|_, e| e.set("rule", rule))
        }
        CommandFailure::Unauthenticated
        | CommandFailure::Forbidden
        | CommandFailure::KeyReused
        | CommandFailure::Conflict
        | CommandFailure::Unavailable => error,
    }
}

/// A request that is not permitted, for a reason that the caller may know.
pub(super) fn forbidden(reason: &str) -> Error {
    error_with_code(reason, FORBIDDEN)
}

/// A request that only operators may send.
pub(super) fn operator_required() -> Error {
    error_with_code("operators only: send an operator token as `Authorization: Bearer ...`", FORBIDDEN)
}

/// A rebuild or rollback that failed. Operators see the reason, because they have to resolve it.
pub(super) fn rebuild_error(error: &RebuildError) -> Error {
    let code = match error {
        RebuildError::Control(
            ControlError::LeaseTaken
            | ControlError::LeaseLost
            | ControlError::RebuildNotRunning { .. }
            | ControlError::InvalidState { .. }
            | ControlError::IsActive { .. },
        )
        | RebuildError::Unfinished { .. }
        | RebuildError::Abandoned { .. }
        | RebuildError::NewDeadLetters { .. }
        | RebuildError::NothingRetained { .. }
        | RebuildError::IsActive { .. }
        | RebuildError::StillFollowed { .. } => CONFLICT,
        RebuildError::Interrupted
        | RebuildError::Control(_)
        | RebuildError::Log(_)
        | RebuildError::Kafka(_)
        | RebuildError::Store { .. }
        | RebuildError::Unpublished { .. }
        | RebuildError::Filling { .. }
        | RebuildError::CatchUpTimeout { .. }
        | RebuildError::Progress(_)
        | RebuildError::Worker(_)
        | RebuildError::Verify(_) => UNAVAILABLE,
        RebuildError::Differs { .. } => INTERNAL,
    };
    tracing::warn!(error = error as &dyn std::error::Error, "operator request failed");
    error_with_code(&error.to_string(), code)
}

/// The error for a generation that the caller's company does not have.
pub(super) fn missing_generation() -> Error {
    error_with_code("your company has no such generation", "NOT_FOUND")
}

/// The record of a rebuild that has just started is missing: a defect, or a manual deletion of records.
pub(super) fn missing_rebuild() -> Error {
    tracing::error!("record of a started rebuild is missing");
    error_with_code("internal error", INTERNAL)
}

/// A batched query of a read model failed.
pub(super) fn loader_error(error: &std::sync::Arc<QueryError>) -> Error {
    query_error(error)
}

/// A query of a read model failed.
pub(super) fn query_error(error: &QueryError) -> Error {
    match error {
        QueryError::Unavailable { .. } => unavailable(error),
        QueryError::Unreadable { .. } => internal(error),
    }
}

/// A list of opportunities is not answered.
pub(super) fn list_error(error: &OpportunityListError) -> Error {
    match error {
        OpportunityListError::Query(failed) => query_error(failed),
        OpportunityListError::TotalNotRead => internal(error),
        OpportunityListError::BeingBuilt => error_with_code(&error.to_string(), UNAVAILABLE),
        OpportunityListError::TooManyQueries(refusal) => {
            let seconds = refusal.retry_after_s;
            error_with_code(&error.to_string(), UNAVAILABLE).extend_with(|_, e| e.set("retryAfterSeconds", seconds))
        }
    }
}

/// A read model did not reach the caller's consistency token in time; `position` is the one it has reached.
pub(super) fn read_model_behind(projection: &str, position: u64) -> Error {
    let message = format!("{projection} has not reached the consistency token yet, try again");
    error_with_code(&message, NOT_YET).extend_with(|_, e| e.set("position", position))
}

/// A store is unavailable. Logs the cause and does not disclose it.
pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "store unavailable");
    error_with_code("a store is unavailable, try again", UNAVAILABLE)
}

/// An internal failure. Logs the cause and does not disclose it.
pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "request failed");
    error_with_code("internal error", INTERNAL)
}

/// Unwraps data that every request or the schema carries; its absence is a defect.
pub(super) fn require_context_data<T>(data: Result<T, Error>) -> Result<T, Error> {
    data.map_err(|missing| {
        tracing::error!(error = missing.message, "GraphQL context data is missing");
        error_with_code("internal error", INTERNAL)
    })
}

/// Adds a code to the errors of the library, which concern only the caller's document.
pub(super) fn add_error_codes(mut response: Response) -> Response {
    // A document may have an error at every position.
    response.errors.truncate(MAX_ERRORS);
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_some() {
            continue;
        }
        // Only the text distinguishes these from the library's other errors; a test of the schema pins it.
        let argument =
            error.message.strip_prefix("Invalid value for argument \"").and_then(|rest| rest.split('"').next());
        if let Some(field) = argument {
            extensions.set("field", field);
        }
        let value = argument.is_some() || error.message.starts_with("Failed to parse \"");
        extensions.set("code", if value { INVALID_INPUT } else { INVALID_QUERY });
    }
    response
}

fn error_with_code(message: &str, code: &str) -> Error {
    Error::new(message).extend_with(|_, e| e.set("code", code))
}

fn response_with_code(message: String, code: &str) -> Response {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    Response::from_errors(vec![error])
}
