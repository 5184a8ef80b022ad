//! Classifies `Qdrant` errors: caused by the points, or by the state of the server.

use qdrant_client::QdrantError;
use tonic::Code;

use crate::{QueryError, error::BoxedError};

const STORE: &str = "Qdrant";

/// A collection of the generation does not exist.
#[derive(Debug, thiserror::Error)]
#[error("collection {collections} is missing or incomplete; run `medhub rebuild {read_model}`")]
pub(super) struct MissingCollection {
    pub(super) collections: String,
    pub(super) read_model: &'static str,
    #[source]
    pub(super) source: QdrantError,
}

/// The server did not complete a write that it was asked to wait for.
#[derive(Debug, thiserror::Error)]
#[error("a write ended with status {0} instead of Completed")]
pub(super) struct IncompleteWrite(pub(super) String);

/// Whether a collection does not exist.
pub(super) fn is_missing(error: &QdrantError) -> bool {
    matches!(error, QdrantError::ResponseError { status } if status.code() == Code::NotFound)
}

/// Whether the error concerns the points of the request, so that other points may be written.
pub(super) fn is_refusal(error: &QdrantError) -> bool {
    match error {
        QdrantError::ResponseError { status } => is_point_error(status.code()),
        QdrantError::ConversionError(_) | QdrantError::JsonToPayload(_) | QdrantError::PayloadDeserialization(_) => {
            true
        }
        QdrantError::ResourceExhaustedError { .. }
        | QdrantError::InvalidUri(_)
        | QdrantError::NoSnapshotFound(_)
        | QdrantError::Io(_) => false,
    }
}

/// Whether a status concerns the points of the request; all others concern the state of the server.
fn is_point_error(code: Code) -> bool {
    match code {
        Code::InvalidArgument | Code::OutOfRange => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

pub(crate) fn unreadable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(crate) fn unavailable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_about_a_point_is_refused() {
        let server_codes =
            [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Internal, Code::NotFound];
        assert!(server_codes.iter().all(|code| !is_point_error(*code)));
        assert!(is_point_error(Code::InvalidArgument));
    }
}
