//! Counts round trips to stores, a measure of what queries cost.
//!
//! | metric | meaning |
//! | --- | --- |
//! | `medhub_questions_total` | round trips to a store for queries, by read model |

use metrics::counter;

/// Counts one round trip to a store for a query.
pub(crate) fn count_query(read_model: &'static str) {
    counter!("medhub_questions_total", "read_model" => read_model).increment(1);
}
