//! Settings of the embedding model.
//!
//! | section | key | default | meaning |
//! | --- | --- | --- | --- |
//! | `embedding` | `model_dir` | `models/wordllama` | folder of the model's weights and tokenizer |

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Location of the embedding model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Folder of the weights and the tokenizer; the files have the same names as in the Python wheel.
    pub model_dir: PathBuf,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self { model_dir: PathBuf::from("models/wordllama") }
    }
}
