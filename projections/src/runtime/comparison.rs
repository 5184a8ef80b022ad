//! What verify compares: the rows that follow from the log, and the rows of the store.
//!
//! Rows are spread over [`BUCKET_COUNT`] buckets by their stream, so that a large read model is compared in parts.
//! Figures over many streams, such as counters, belong to no bucket: they are the totals.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
};

use domain::envelope::RawEnvelope;

use super::ProjectionError;

/// Number of verify buckets.
pub const BUCKET_COUNT: u32 = 256;

/// The bucket of a stream: CRC-32 (zlib's, which `ClickHouse`'s `CRC32` computes too) modulo [`BUCKET_COUNT`].
pub fn bucket_of(aggregate_id: &str) -> u32 {
    crc32fast::hash(aggregate_id.as_bytes()) % BUCKET_COUNT
}

/// The part of a read model that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyScope {
    /// All rows about the streams of these buckets.
    Buckets(RangeInclusive<u32>),
    /// Figures over many streams.
    Totals,
}

impl VerifyScope {
    /// The rows about all streams, without totals.
    pub fn all_buckets() -> Self {
        Self::Buckets(0..=BUCKET_COUNT - 1)
    }

    /// Whether the scope has a row.
    pub fn contains_row(&self, row: RowScope) -> bool {
        match (self, row) {
            (Self::Buckets(range), RowScope::Bucket(bucket)) => range.contains(&bucket),
            (Self::Totals, RowScope::Totals) => true,
            (Self::Buckets(_), RowScope::Totals) | (Self::Totals, RowScope::Bucket(_)) => false,
        }
    }

    /// Whether the scope includes a stream; totals include every stream.
    pub fn contains_stream(&self, aggregate_id: &str) -> bool {
        match self {
            Self::Buckets(range) => range.contains(&bucket_of(aggregate_id)),
            Self::Totals => true,
        }
    }
}

/// What one row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowScope {
    /// The bucket of its stream.
    Bucket(u32),
    /// The totals.
    Totals,
}

impl RowScope {
    /// The scope of a row about one stream.
    pub fn of_stream(aggregate_id: &str) -> Self {
        Self::Bucket(bucket_of(aggregate_id))
    }
}

/// One row of a read model, reduced to its key and a hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadModelRow {
    /// The table, collection or kind of key.
    pub table: &'static str,
    /// Key of the row, in the form that an operator looks it up by.
    pub key: String,
    /// Hash of all other fields; comparable within one process only.
    pub content: u64,
}

impl ReadModelRow {
    /// Creates a row; `content` is hashed.
    pub fn new(table: &'static str, key: impl Into<String>, content: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { table, key: key.into(), content: hasher.finish() }
    }
}

/// The expected rows of a read model, folded in memory from events by code that is independent of the projection's
/// writes.
pub trait ReadModelFold: Send {
    /// Applies the next event, in the order of the log.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the payload has an unknown shape; the fold is unchanged.
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError>;

    /// The rows that the store should have, in any order.
    fn expected_rows(&self) -> Vec<ReadModelRow>;
}

/// The fold of a forwarding projection, which has no rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EmptyFold;

impl ReadModelFold for EmptyFold {
    fn apply_event(&mut self, _event: &RawEnvelope) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_one_bucket() {
        // The check value of zlib's CRC-32, which ClickHouse's `CRC32` computes too.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let low = VerifyScope::Buckets(0..=127);
        let high = VerifyScope::Buckets(128..=255);
        for number in 0..1_000 {
            let id = format!("097:{number}");
            assert!(low.contains_stream(&id) != high.contains_stream(&id), "{id}");
            assert!(VerifyScope::all_buckets().contains_stream(&id) && VerifyScope::Totals.contains_stream(&id));
        }
    }

    #[test]
    fn every_row_is_in_one_scope() {
        for row in [RowScope::of_stream("097:1"), RowScope::Bucket(0), RowScope::Bucket(255), RowScope::Totals] {
            let scopes = [VerifyScope::Buckets(0..=127), VerifyScope::Buckets(128..=255), VerifyScope::Totals];
            assert_eq!(scopes.iter().filter(|scope| scope.contains_row(row)).count(), 1, "{row:?}");
        }
    }

    #[test]
    fn rows_differ_by_table_key_and_content() {
        let row = ReadModelRow::new("views", "a", (1, "x"));
        assert_eq!(row, ReadModelRow::new("views", "a", (1, "x")));
        assert_ne!(row, ReadModelRow::new("views", "a", (2, "x")));
        assert_ne!(row, ReadModelRow::new("views", "b", (1, "x")));
    }
}
