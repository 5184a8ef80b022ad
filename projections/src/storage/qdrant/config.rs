//! Settings of the search in `Qdrant`.
//!
//! | section | key | default | meaning |
//! | --- | --- | --- | --- |
//! | `qdrant` | `url` | `http://127.0.0.1:6334` | gRPC interface; `https://` is with TLS, and trusts the system's authorities or those of `SSL_CERT_FILE` |
//! | `qdrant` | `api_key` | none | key that the server asks for; a secret |
//! | `qdrant` | `collection_prefix` | `medhub_` | prefix of all collections |
//! | `qdrant` | `timeout_ms` | 30000 | longest wait for one request |
//! | `qdrant` | `vocabulary_titles` | 200000 | most titles from which the spelling vocabulary is built, about 100 bytes of memory each; 0 disables spelling correction |

use std::{fmt, time::Duration};

use engine_security::EngineSecret;
use serde::{Deserialize, Serialize};

use crate::storage::RedactedUrl;

/// Address and limits of the search in `Qdrant`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QdrantConfig {
    /// The gRPC interface.
    pub url: String,
    /// The key that the server asks for.
    #[serde(skip_serializing)]
    pub api_key: EngineSecret,
    /// Prefix of all collections.
    pub collection_prefix: String,
    /// Longest wait for one request, in milliseconds.
    pub timeout_ms: u64,
    /// Most titles from which the spelling vocabulary is built; 0 disables spelling correction.
    pub vocabulary_titles: u64,
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".to_owned(),
            api_key: EngineSecret::default(),
            collection_prefix: "medhub_".to_owned(),
            timeout_ms: 30_000,
            vocabulary_titles: 200_000,
        }
    }
}

impl QdrantConfig {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for QdrantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("api_key", &self.api_key)
            .field("collection_prefix", &self.collection_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .field("vocabulary_titles", &self.vocabulary_titles)
            .finish()
    }
}
