//! Where HTTP listens, and how much one request may ask for.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__HTTP__LISTEN` | `127.0.0.1:8080` | address and port of every role, `registry` too; port 0 takes a free one |
//! | `MEDHUB__HTTP__ASSETS_DIR` | none | folder with the playground's scripts |
//! | `MEDHUB__HTTP__REQUEST_TIMEOUT_MS` | `10000` | one request, from its last byte to the answer |
//! | `MEDHUB__HTTP__MAX_BODY_BYTES` | `1048576` | one request's body, or one message over a WebSocket; `/ingest` takes as much as its largest batch |
//! | `MEDHUB__HTTP__MAX_BODY_MEMORY_BYTES` | `268435456` | the bodies of all requests together, files apart |
//! | `MEDHUB__HTTP__HEADER_TIMEOUT_MS` | `10000` | the header of a request, from its first byte to its last; also the first request |
//! | `MEDHUB__HTTP__IDLE_TIMEOUT_MS` | `75000` | a connection without a request; longer than that of a proxy in front (often 60 s) |
//! | `MEDHUB__HTTP__WRITE_TIMEOUT_MS` | `30000` | a client that takes nothing of what is written for it |
//! | `MEDHUB__HTTP__MAX_CONNECTIONS` | `4096` | connections at the same time, each for HTTP and for gRPC; each takes a file descriptor |
//! | `MEDHUB__HTTP__MAX_CONNECTIONS_PER_ADDRESS` | `1024` | of them from one address; not counted where `MEDHUB__LIMITS__TRUST_FORWARDED` says that a proxy stands in front |
//! | `MEDHUB__HTTP__MAX_SOCKETS` | `2000` | WebSockets that are open at the same time |
//! | `MEDHUB__HTTP__MAX_SOCKETS_PER_CLIENT` | `200` | of them of one person, or of one address that does not say who it is; beyond that the one that has been idle longest gives way |
//! | `MEDHUB__HTTP__PING_EVERY_MS` | `10000` | pings over a WebSocket; after three without an answer it is closed |
//! | `MEDHUB__HTTP__CONSISTENCY_WAIT_MS` | `2000` | how long a query waits for a read model behind its consistency token |
//! | `MEDHUB__HTTP__CORS_ORIGINS` | none | origins whose pages may ask, separated by commas, e.g. `https://app.example.org` |
//! | `MEDHUB__HTTP__MAX_QUERY_BYTES` | `16384` | one GraphQL document |
//! | `MEDHUB__HTTP__MAX_DEPTH` | `20` | fields inside fields of a GraphQL document, 40 at most; introspection by GraphiQL needs 15 |
//! | `MEDHUB__HTTP__MAX_ALIASES` | `50` | names of its own that a GraphQL document gives to fields, each time a fragment is spread |
//! | `MEDHUB__HTTP__MAX_COMPLEXITY` | `5000` | what a GraphQL document may cost, a field of an entry 1, a command 50, a search 200 |

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
    /// The bodies of all requests together, in bytes.
    pub max_body_memory_bytes: usize,
    /// How long the header of a request may take, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a connection may stay without a request, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long a client may take nothing of what is written for it, in milliseconds.
    pub write_timeout_ms: u64,
    /// Connections that may be open at the same time.
    pub max_connections: usize,
    /// Connections that one address may have open.
    pub max_connections_per_address: usize,
    /// `WebSocket`s that may be open at the same time.
    pub max_sockets: usize,
    /// `WebSocket`s that one client may have open.
    pub max_sockets_per_client: usize,
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
    /// What a GraphQL document may cost, a field of an entry costing 1.
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
            max_body_memory_bytes: 256 * 1024 * 1024,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            write_timeout_ms: 30_000,
            max_connections: 4_096,
            max_connections_per_address: 1_024,
            max_sockets: 2_000,
            max_sockets_per_client: 200,
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
