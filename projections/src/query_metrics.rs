//! How often read models are asked: what an answer costs shows in the number of questions that it takes.
//!
//! | metric | meaning |
//! | --- | --- |
//! | `medhub_questions_total` | round trips to a store for readers, by read model |

use metrics::counter;

/// One round trip to a store for a reader.
pub(crate) fn count_query(read_model: &'static str) {
    counter!("medhub_questions_total", "read_model" => read_model).increment(1);
}
