//! The status of a call with a field that is not accepted.

use domain::value::InvalidValue;
use tonic::Status;

pub(super) fn invalid_value_status(field: &str, reason: &InvalidValue) -> Status {
    invalid_argument(field, &reason.to_string())
}

pub(super) fn invalid_argument(field: &str, reason: &str) -> Status {
    Status::invalid_argument(format!("{field}: {reason}"))
}
