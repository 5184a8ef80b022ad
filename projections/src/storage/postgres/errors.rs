//! Classifies errors of statements: caused by a value, by a missing schema, or by the state of the server.

use crate::{
    QueryError,
    error::BoxedError,
    runtime::{ProjectionError, is_rejected_value},
};

/// SQLSTATE of a schema or a table that does not exist.
const MISSING: [&str; 2] = ["3F000", "42P01"];

/// SQLSTATE of a value that is longer than a server's limit, e.g. the limit of an index row.
const LIMIT_EXCEEDED: &str = "54000";

/// The schema does not exist; it is created again only by a rebuild that an operator starts.
#[derive(Debug, thiserror::Error)]
#[error("the tables in the schema {schema} do not exist; run `medhub rebuild {read_model}`")]
struct MissingSchema {
    schema: String,
    read_model: &'static str,
    #[source]
    source: sqlx::Error,
}

/// Names the schema and the rebuild command in the error of a missing schema.
fn explain_error(error: sqlx::Error, read_model: &'static str, schema: &str) -> BoxedError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_missing = code.is_some_and(|code| MISSING.contains(&code.as_ref()));
    if is_missing || matches!(error, sqlx::Error::RowNotFound) {
        MissingSchema { schema: schema.to_owned(), read_model, source: error }.into()
    } else {
        error.into()
    }
}

pub(super) fn query_error(error: sqlx::Error, read_model: &'static str, schema: &str) -> QueryError {
    let is_unreadable =
        matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_));
    if is_unreadable {
        QueryError::Unreadable { store: "Postgres", source: error.into() }
    } else {
        QueryError::postgres(explain_error(error, read_model, schema))
    }
}

/// Classifies an error of a write.
pub(super) fn classify_error(error: sqlx::Error, read_model: &'static str, schema: &str) -> ProjectionError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_too_long = code.is_some_and(|code| code == LIMIT_EXCEEDED);
    if is_too_long || is_rejected_value(&error) {
        ProjectionError::rejected(error)
    } else {
        ProjectionError::unavailable(explain_error(error, read_model, schema))
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, error::Error, fmt};

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct ServerError(&'static str);

    impl fmt::Display for ServerError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for ServerError {}

    impl DatabaseError for ServerError {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(Cow::Borrowed(self.0))
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn only_errors_of_a_value_are_rejections() {
        let is_rejected = |code| {
            let error = sqlx::Error::Database(Box::new(ServerError(code)));
            matches!(classify_error(error, "lists", "lists_g1"), ProjectionError::Rejected(_))
        };
        assert!(["54000", "22021", "23502"].into_iter().all(is_rejected));
        assert!(!["57014", "53300", "42P01"].into_iter().any(is_rejected));
    }
}
