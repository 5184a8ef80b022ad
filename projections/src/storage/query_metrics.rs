//! Counts round trips to stores, a measure of what queries cost.

use metrics::counter;

/// Counts one round trip to a store for a query.
pub(crate) fn count_query(read_model: &'static str) {
    counter!("medhub_read_model_queries_total", "read_model" => read_model).increment(1);
}
