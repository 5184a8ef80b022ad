//! The only place where failures become GraphQL errors: a code for programs, and never what is inside.

use async_graphql::{Error, ErrorExtensions, Response, ServerError};
use commands::error::CommandError;
use domain::opportunity::InvalidValue;
use projections::{
    QueryError,
    runtime::{ControlError, RebuildError},
};

use super::parsed_document_cache::{PersistedQueryError, PrepareDocumentError};
use crate::tenant_commands::CommandFailure;

/// The caller sent something that cannot be right.
const INVALID_INPUT: &str = "INVALID_INPUT";
/// The document itself cannot be run: its syntax, its types, or it asks for too much.
const INVALID_QUERY: &str = "INVALID_QUERY";
/// The document is not known by its hash: send it along once.
const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
/// The answer took too long.
const TIMEOUT: &str = "TIMEOUT";
/// The one who asks may not.
const FORBIDDEN: &str = "FORBIDDEN";
/// Others changed the same thing at the same time; the same request may succeed later.
const CONFLICT: &str = "CONFLICT";
/// The client's key belongs to another change.
const IDEMPOTENCY_KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
/// A read model is behind the token; the same request may succeed soon.
const NOT_YET: &str = "NOT_YET";
/// A store is away; the same request may succeed later.
const UNAVAILABLE: &str = "UNAVAILABLE";
/// We failed.
const INTERNAL: &str = "INTERNAL";

/// Most errors of one answer.
const MAX_ERRORS: usize = 50;

/// A bad value in `field`, e.g. `input.naics`; says what is wrong with it.
pub(super) fn invalid_value(field: &str, reason: &InvalidValue) -> Error {
    invalid_field(field, reason.to_string())
}

/// A bad value in `field` for a reason of the API itself.
pub(super) fn invalid_field(field: &str, reason: String) -> Error {
    Error::new(reason).extend_with(|_, e| {
        e.set("code", INVALID_INPUT);
        e.set("field", field);
    })
}

/// The document is not run, for a reason that the caller can mend.
pub(crate) fn invalid_query_response(reason: impl Into<String>) -> Response {
    response_with_code(reason.into(), INVALID_QUERY)
}

/// The document is not run, for a reason with a code of its own.
pub(crate) fn error_response(reason: String, code: &'static str) -> Response {
    response_with_code(reason, code)
}

/// The document is not run: it cannot be read, asks for too much, or is not found by its hash.
pub(super) fn prepare_error_response(unfit: &PrepareDocumentError) -> Response {
    let (code, at) = match unfit {
        PrepareDocumentError::PersistedQuery(PersistedQueryError::NotFound) => (PERSISTED_QUERY_NOT_FOUND, None),
        PrepareDocumentError::PersistedQuery(PersistedQueryError::HashMismatch | PersistedQueryError::Malformed) => {
            (INVALID_QUERY, None)
        }
        PrepareDocumentError::Syntax(error) => (INVALID_QUERY, Some(error.pos())),
        PrepareDocumentError::Cost(error) => (INVALID_QUERY, error.pos()),
    };
    let mut answer = response_with_code(unfit.to_string(), code);
    for error in &mut answer.errors {
        error.locations.extend(at);
    }
    answer
}

/// Whether nothing of the document was run: such an answer has no data, and errors of no field.
pub(crate) fn is_request_error(answer: &Response) -> bool {
    answer.data == async_graphql::Value::Null
        && !answer.errors.is_empty()
        && answer.errors.iter().all(|error| error.path.is_empty())
}

/// Whether the document is not known by its hash, so that the client has to send it along.
pub(crate) fn is_unknown_hash(answer: &Response) -> bool {
    let code = answer.errors.first().and_then(|error| error.extensions.as_ref()?.get("code"));
    code == Some(&PERSISTED_QUERY_NOT_FOUND.into())
}

/// The answer took too long.
pub(crate) fn timeout_response() -> Response {
    response_with_code("the request took too long".to_owned(), TIMEOUT)
}

/// A command that was not decided at all.
pub(super) fn command_error<E: std::error::Error + 'static>(error: &CommandError<E>) -> Error {
    match error {
        CommandError::Outdated { current } => {
            let current = *current;
            let message = format!("it has changed since you looked: its version is {current}");
            error_with_code(&message, CONFLICT).extend_with(|_, e| e.set("currentVersion", current))
        }
        CommandError::KeyReused => {
            error_with_code("the idempotency key was used for another change, take a new one", IDEMPOTENCY_KEY_REUSED)
        }
        CommandError::Forbidden { .. } => error_with_code("you may not do that", FORBIDDEN),
        CommandError::Conflict => error_with_code("others are changing the same, try again", CONFLICT),
        // Refusals are told as answers where the schema has them; what is left is a defect of ours.
        CommandError::Refused(_) | CommandError::Store(_) => unavailable(error),
    }
}

/// What was not done, and why.
pub(super) fn command_failure(undone: &CommandFailure) -> Error {
    let error = error_with_code(&undone.to_string(), undone.code());
    match undone {
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

/// What is not done here, for a reason that the caller may know.
pub(super) fn forbidden(reason: &str) -> Error {
    error_with_code(reason, FORBIDDEN)
}

/// What only operators may do.
pub(super) fn operator_required() -> Error {
    error_with_code("this is for operators: send their token as `Authorization: Bearer ...`", FORBIDDEN)
}

/// An operator is told what hinders, since it is theirs to mend.
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
    tracing::warn!(error = error as &dyn std::error::Error, "an operator's request was not fulfilled");
    error_with_code(&error.to_string(), code)
}

/// What was written a moment ago cannot be found: a defect of ours, or somebody clears up by hand.
pub(super) fn missing_rebuild() -> Error {
    tracing::error!("a rebuild that has begun is not on record");
    error_with_code("internal error", INTERNAL)
}

/// A read model did not answer one who asked for others, too.
pub(super) fn loader_error(error: &std::sync::Arc<QueryError>) -> Error {
    query_error(error)
}

/// A read model did not answer.
pub(super) fn query_error(error: &QueryError) -> Error {
    match error {
        QueryError::Unavailable { .. } => unavailable(error),
        QueryError::Unreadable { .. } => internal(error),
    }
}

/// A read model is not as far as the caller wants it to be.
pub(super) fn read_model_behind(projection: &str, position: u64) -> Error {
    let message = format!("{projection} has not come as far as the consistency token yet, try again");
    error_with_code(&message, NOT_YET).extend_with(|_, e| e.set("position", position))
}

/// A store is away; logs why, tells the caller only that.
pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "store unavailable");
    error_with_code("a store is unavailable, try again", UNAVAILABLE)
}

/// We failed; logs why, tells the caller only that.
pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "request failed");
    error_with_code("internal error", INTERNAL)
}

/// What every request carries or the schema was built with; its absence is a defect of ours.
pub(super) fn require_context_data<T>(data: Result<T, Error>) -> Result<T, Error> {
    data.map_err(|missing| {
        tracing::error!(error = missing.message, "schema is not wired");
        error_with_code("internal error", INTERNAL)
    })
}

/// Gives a code to the errors that the library made: they speak about the caller's document only.
pub(super) fn add_error_codes(mut response: Response) -> Response {
    // Some documents are wrong in every place.
    response.errors.truncate(MAX_ERRORS);
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_some() {
            continue;
        }
        // The library tells these apart from other errors by their text only; a test of the schema pins it.
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
