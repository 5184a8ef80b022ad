//! Settings of the lists of opportunities in `Postgres`.
//!
//! | section | key | default | meaning |
//! | --- | --- | --- | --- |
//! | `lists` | `database_url` | the event store's (`postgres.url`) | database of the lists; a secret |
//! | `lists` | `schema_prefix` | `opportunity_lists_` | prefix of the schemas, one for each generation |
//! | `lists` | `max_connections` | 8 | most connections of a process for queries; half as many more for pages that are one statement |
//! | `lists` | `acquire_timeout_ms` | 2000 | longest wait for a connection |
//! | `lists` | `query_timeout_ms` | 5000 | longest time of one statement of a query |

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Address and limits of the lists of opportunities.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListsConfig {
    /// The database; the event store's if absent. Contains a password, so it is not serialized.
    #[serde(skip_serializing)]
    pub database_url: Option<String>,
    /// Prefix of the schemas, one for each generation.
    pub schema_prefix: String,
    /// Most connections of a process for queries, beside half as many for pages that are one statement.
    pub max_connections: u32,
    /// Longest wait for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Longest time of one statement of a query, in milliseconds.
    pub query_timeout_ms: u64,
}

impl Default for ListsConfig {
    fn default() -> Self {
        Self {
            database_url: None,
            schema_prefix: "opportunity_lists_".to_owned(),
            max_connections: 8,
            acquire_timeout_ms: 2_000,
            query_timeout_ms: 5_000,
        }
    }
}

/// A prefix of schemas that would need quotation marks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lists.schema_prefix {0:?} is not 1 to 40 lower case letters, digits and underscores that begin with a letter")]
pub(crate) struct InvalidSchemaPrefix(String);

impl ListsConfig {
    /// Most connections that write: a worker has one, a rebuild one for each of its lanes, and two for creating indexes.
    pub(crate) const WRITERS: u32 = 3;

    /// Connections for pages that are one statement: half as many as for queries.
    pub(crate) fn statement_connections(&self) -> u32 {
        self.max_connections.div_ceil(2)
    }

    /// All connections of a process for the lists.
    pub fn all_connections(&self) -> u32 {
        self.max_connections + self.statement_connections() + Self::WRITERS
    }

    pub(crate) fn check_schema_prefix(&self) -> Result<(), InvalidSchemaPrefix> {
        let prefix = self.schema_prefix.as_str();
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        // Names that begin with `pg_` are the server's.
        let begins_well = prefix.starts_with(|c: char| c.is_ascii_lowercase()) && !prefix.starts_with("pg_");
        if is_plain && begins_well && prefix.len() <= 40 { Ok(()) } else { Err(InvalidSchemaPrefix(prefix.to_owned())) }
    }

    pub(crate) fn query_timeout(&self) -> Duration {
        Duration::from_millis(self.query_timeout_ms)
    }

    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }
}

impl fmt::Debug for ListsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListsConfig")
            .field("database_url", &self.database_url.as_ref().map(|_| "***"))
            .field("schema_prefix", &self.schema_prefix)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout_ms", &self.acquire_timeout_ms)
            .field("query_timeout_ms", &self.query_timeout_ms)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_needs_quotation_marks_is_refused() {
        let check = |prefix: &str| {
            ListsConfig { schema_prefix: prefix.to_owned(), ..ListsConfig::default() }.check_schema_prefix()
        };
        assert_eq!((ListsConfig::default().check_schema_prefix(), check("t1_")), (Ok(()), Ok(())));
        for prefix in ["", "1a", "_a", "A", "a b", "a\"; drop", "pg_lists_", &"a".repeat(41)] {
            assert_eq!(check(prefix), Err(InvalidSchemaPrefix(prefix.to_owned())));
        }
    }

    #[test]
    fn the_url_is_not_printed() {
        let config =
            ListsConfig { database_url: Some("postgres://a:s3cret@host/db".to_owned()), ..ListsConfig::default() };
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
