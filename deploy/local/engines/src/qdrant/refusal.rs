//! The gRPC statuses of refusals, as Qdrant gives them.

use qdrant_edge::OperationError;
use tonic::Status;

/// What the local engine does not do is refused, never answered wrongly.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("the local qdrant engine does not support {what}"))
}

/// A request that no Qdrant would accept.
pub(super) fn wrong(reason: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("Wrong input: {reason}"))
}

/// A collection that does not exist.
pub(super) fn no_collection(name: &str) -> Status {
    Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
}

/// The status of an engine's error.
pub(super) fn status(error: &OperationError) -> Status {
    let text = error.to_string();
    match error {
        OperationError::WrongVectorDimension { .. }
        | OperationError::VectorNameNotExists { .. }
        | OperationError::TypeError { .. }
        | OperationError::TypeInferenceError { .. }
        | OperationError::ValidationError { .. }
        | OperationError::WrongSparse
        | OperationError::WrongMulti
        | OperationError::MissingRangeIndexForOrderBy { .. }
        | OperationError::MissingMapIndexForFacet { .. }
        | OperationError::VariableTypeError { .. }
        | OperationError::NonFiniteNumber { .. } => wrong(text),
        OperationError::PointIdError { .. } => Status::not_found(text),
        OperationError::Cancelled { .. } => Status::cancelled(text),
        OperationError::Timeout { .. } => Status::deadline_exceeded(text),
        OperationError::OutOfMemory { .. } => Status::resource_exhausted(text),
        OperationError::ServiceError { .. } | OperationError::InconsistentStorage { .. } => internal(text),
    }
}

/// A failure that is the server's own.
pub(super) fn internal(reason: impl std::fmt::Display) -> Status {
    tracing::error!(%reason, "the engine failed");
    Status::internal(format!("Service internal error: {reason}"))
}
