//! Settings of semantic search.
//!
//! | section | key | default | meaning |
//! | --- | --- | --- | --- |
//! | `search` | `url` | `http://127.0.0.1:6334` | gRPC interface |
//! | `search` | `collection_prefix` | `medhub_` | what collections begin with |
//! | `search` | `timeout_ms` | 30000 | longest wait for one request |
//! | `embedding` | `model_dir` | `models/wordllama` | folder of the model's weights and tokenizer |

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::connection::WithoutPassword;

/// Where the points are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// The gRPC interface.
    pub url: String,
    /// What collections begin with.
    pub collection_prefix: String,
    /// Longest wait for one request, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:6334".to_owned(), collection_prefix: "medhub_".to_owned(), timeout_ms: 30_000 }
    }
}

impl SearchConfig {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for SearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchConfig")
            .field("url", &WithoutPassword(&self.url))
            .field("collection_prefix", &self.collection_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

/// Where the embedding model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Folder of the weights and the tokenizer, under the names they have in the Python wheel.
    pub model_dir: PathBuf,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self { model_dir: PathBuf::from("models/wordllama") }
    }
}
