//! Where HTTP listens, and how much one request may ask for.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__HTTP__LISTEN` | `127.0.0.1:8080` | address and port of every role, `registry` too; port 0 takes a free one |
//! | `MEDHUB__HTTP__ASSETS_DIR` | none | folder with the playground's scripts |
//! | `MEDHUB__HTTP__REQUEST_TIMEOUT_MS` | `10000` | one request, from its last byte to the answer |
//! | `MEDHUB__HTTP__MAX_BODY_BYTES` | `1048576` | one request's body, or one message over a WebSocket |
//! | `MEDHUB__HTTP__MAX_SOCKETS` | `2000` | WebSockets that are open at the same time |
//! | `MEDHUB__HTTP__PING_EVERY_MS` | `10000` | pings over a WebSocket; after three without an answer it is closed |
//! | `MEDHUB__HTTP__CONSISTENCY_WAIT_MS` | `2000` | how long a query waits for a read model behind its consistency token |
//! | `MEDHUB__HTTP__CORS_ORIGINS` | none | origins whose pages may ask, separated by commas, e.g. `https://app.example.org` |
//! | `MEDHUB__HTTP__MAX_QUERY_BYTES` | `16384` | one GraphQL document |
//! | `MEDHUB__HTTP__MAX_DEPTH` | `20` | nesting of a GraphQL document; introspection by GraphiQL needs 15 |
//! | `MEDHUB__HTTP__MAX_ALIASES` | `50` | names of its own that a GraphQL document gives to fields |
//! | `MEDHUB__HTTP__MAX_COMPLEXITY` | `5000` | fields that a GraphQL document may ask for, list items counted each |

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Settings of the HTTP edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder that holds the playground's scripts.
    pub assets_dir: Option<PathBuf>,
    /// How long one request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// `WebSocket`s that may be open at the same time.
    pub max_sockets: usize,
    /// Time between two pings over a `WebSocket`, in milliseconds; at least 1. A client that does not answer three is
    /// taken for gone.
    pub ping_every_ms: u64,
    /// How long a query waits for a read model that is behind its consistency token, in milliseconds.
    pub consistency_wait_ms: u64,
    /// Origins whose pages may ask, separated by commas.
    pub cors_origins: String,
    /// Longest GraphQL document, in bytes.
    pub max_query_bytes: usize,
    /// Deepest GraphQL document, in fields inside fields.
    pub max_depth: usize,
    /// How many fields a GraphQL document may ask for, list items counted each.
    pub max_complexity: usize,
    /// How many names of its own a GraphQL document may give to fields.
    pub max_aliases: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            assets_dir: None,
            request_timeout_ms: 10_000,
            max_body_bytes: 1024 * 1024,
            max_sockets: 2_000,
            ping_every_ms: 10_000,
            consistency_wait_ms: 2_000,
            cors_origins: String::new(),
            max_query_bytes: 16 * 1024,
            max_depth: 20,
            max_complexity: 5_000,
            max_aliases: 50,
        }
    }
}

impl HttpConfig {
    /// How long one request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a query waits for a read model that is behind its consistency token.
    pub fn consistency_wait(&self) -> Duration {
        Duration::from_millis(self.consistency_wait_ms)
    }

    /// Time between two pings over a `WebSocket`; never zero.
    pub fn ping_every(&self) -> Duration {
        Duration::from_millis(self.ping_every_ms.max(1))
    }
}
