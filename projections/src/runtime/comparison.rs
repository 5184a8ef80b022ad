//! What a read model is compared with: rows as the log says they should be, and rows as the store has them.
//!
//! Rows are spread over [`BUCKET_COUNT`] buckets by the stream that they are about, so that a part of a large read model can
//! be compared at a time. Figures over many streams, such as counters, belong to no bucket: they are the totals.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
};

use domain::envelope::RawEnvelope;

use super::ProjectionError;

/// How many buckets there are.
pub const BUCKET_COUNT: u32 = 256;

/// The bucket of a stream: CRC-32 (the one of zlib, as `ClickHouse`'s `CRC32` computes it too) modulo [`BUCKET_COUNT`].
pub fn bucket_of(aggregate_id: &str) -> u32 {
    crc32fast::hash(aggregate_id.as_bytes()) % BUCKET_COUNT
}

/// Which part of a read model is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyScope {
    /// Everything that is about the streams of these buckets.
    Buckets(RangeInclusive<u32>),
    /// Figures over many streams.
    Totals,
}

impl VerifyScope {
    /// All streams.
    pub fn all_buckets() -> Self {
        Self::Buckets(0..=BUCKET_COUNT - 1)
    }

    /// Whether rows about that stream belong to it; a stream adds to totals whatever its bucket.
    pub fn contains_stream(&self, aggregate_id: &str) -> bool {
        match self {
            Self::Buckets(range) => range.contains(&bucket_of(aggregate_id)),
            Self::Totals => true,
        }
    }
}

/// One row of a read model, reduced to what tells whether two are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadModelRow {
    /// The table, collection or kind of key.
    pub table: &'static str,
    /// What the row is about, as a person would look it up.
    pub key: String,
    /// Fingerprint of everything else in it; compared within one process only.
    pub content: u64,
}

impl ReadModelRow {
    /// A row whose content is the hash of these values.
    pub fn new(table: &'static str, key: impl Into<String>, content: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { table, key: key.into(), content: hasher.finish() }
    }
}

/// A read model as the log says it should be, kept in memory: folded from events by other code than what writes.
pub trait ReadModelFold: Send {
    /// Takes in the next event, in the order of the log.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the event makes no sense; the fold is as it was.
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError>;

    /// What the store should hold, in any order.
    fn expected_rows(&self) -> Vec<ReadModelRow>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_one_bucket() {
        // As `select CRC32('097:SPE4A726RX326') % 256` of ClickHouse.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let low = VerifyScope::Buckets(0..=127);
        let high = VerifyScope::Buckets(128..=255);
        for n in 0..1_000 {
            let id = format!("097:{n}");
            assert!(low.contains_stream(&id) != high.contains_stream(&id), "{id}");
            assert!(VerifyScope::all_buckets().contains_stream(&id) && VerifyScope::Totals.contains_stream(&id));
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
