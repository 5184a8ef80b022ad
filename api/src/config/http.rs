//! Listen address and limits of the HTTP edge.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__HTTP__LISTEN` | `127.0.0.1:8080` | address and port of every role, `registry` too; port 0 selects a free one |
//! | `MEDHUB__HTTP__TLS__CERTIFICATE_FILE`, `_KEY_FILE` | none | PEM files of the certificate, followed by its intermediates, and of its key, for HTTP and gRPC; without them the listeners have no TLS |
//! | `MEDHUB__HTTP__TLS__RELOAD_MS` | `10000` | interval at which the files are read again; a new certificate is used for new connections |
//! | `MEDHUB__HTTP__ASSETS_DIR` | none | folder with the playground's scripts |
//! | `MEDHUB__HTTP__REQUEST_TIMEOUT_MS` | `10000` | time limit of a request, from its last byte to the response |
//! | `MEDHUB__HTTP__MAX_BODY_BYTES` | `1048576` | body of a request, or message over a WebSocket; `/ingest` accepts the size of its largest batch |
//! | `MEDHUB__HTTP__MAX_BODY_MEMORY_BYTES` | `268435456` | bodies of all requests together, without files |
//! | `MEDHUB__HTTP__HEADER_TIMEOUT_MS` | `10000` | time limit of a request header, from its first byte to its last; also of waiting for the first request |
//! | `MEDHUB__HTTP__IDLE_TIMEOUT_MS` | `75000` | time limit of an idle connection; must exceed that of a proxy in front (often 60 s) |
//! | `MEDHUB__HTTP__WRITE_TIMEOUT_MS` | `30000` | time limit of a blocked write to a client |
//! | `MEDHUB__HTTP__MAX_CONNECTIONS` | `4096` | concurrent connections, of HTTP and gRPC each; a connection takes a file descriptor; beyond them 32 more are answered 503, or with `/health`, `/ready`, `/metrics` and `/slo` |
//! | `MEDHUB__HTTP__MAX_CONNECTIONS_PER_ADDRESS` | `1024` | concurrent connections of one address; ignored with `MEDHUB__LIMITS__TRUST_FORWARDED`, behind a proxy |
//! | `MEDHUB__HTTP__MAX_RUNNING_REQUESTS` | `256` | requests that the process works on at once; queries may have three quarters of them, batches one; more are answered 503 |
//! | `MEDHUB__HTTP__MAX_QUEUE_WAIT_MS` | `1000` | longest wait of a request until the process works on it; one that would have to wait longer is answered 503 at once |
//! | `MEDHUB__HTTP__MAX_SOCKETS` | `2000` | open WebSockets |
//! | `MEDHUB__HTTP__MAX_SOCKETS_PER_CLIENT` | `200` | open WebSockets of one user, or of one address without credentials; beyond it the one that has been idle longest is closed |
//! | `MEDHUB__HTTP__PING_EVERY_MS` | `10000` | interval of WebSocket pings; after three without an answer the WebSocket is closed |
//! | `MEDHUB__HTTP__CONSISTENCY_WAIT_MS` | `2000` | how long a query waits for a read model behind its consistency token |
//! | `MEDHUB__HTTP__CORS_ORIGINS` | none | origins whose pages may send requests, separated by commas, e.g. `https://app.example.org` |
//! | `MEDHUB__HTTP__MAX_QUERY_BYTES` | `16384` | maximum length of a GraphQL document, in bytes |
//! | `MEDHUB__HTTP__MAX_DEPTH` | `20` | nesting of fields in a GraphQL document, 40 at most; introspection by GraphiQL needs 15 |
//! | `MEDHUB__HTTP__MAX_ALIASES` | `50` | aliases in a GraphQL document, counted each time a fragment is spread |
//! | `MEDHUB__HTTP__MAX_COMPLEXITY` | `5000` | maximum query cost of a GraphQL document; a field of an entry costs 1, a command or a list of opportunities 50, a search 200 |

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use engine_security::EngineTlsConfig;
use serde::{Deserialize, Serialize};

/// Certificate of the listeners; without files they have no TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTlsConfig {
    /// The certificate, followed by its intermediates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Interval at which the files are read again, in milliseconds.
    pub reload_ms: u64,
}

impl Default for ListenerTlsConfig {
    fn default() -> Self {
        Self { certificate_file: None, key_file: None, reload_ms: 10_000 }
    }
}

impl ListenerTlsConfig {
    /// What is wrong with the files: every problem with its variable.
    pub fn find_problems(&self) -> Vec<String> {
        self.files().find_problems("http")
    }

    pub(crate) fn files(&self) -> EngineTlsConfig {
        let (certificate_file, key_file) = (self.certificate_file.clone(), self.key_file.clone());
        EngineTlsConfig { ca_file: None, certificate_file, key_file }
    }
}

/// Configuration of the HTTP edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port to listen on; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Certificate of the listeners of HTTP and gRPC.
    pub tls: ListenerTlsConfig,
    /// Folder with the playground's scripts.
    pub assets_dir: Option<PathBuf>,
    /// Time limit of a request, in milliseconds.
    pub request_timeout_ms: u64,
    /// Maximum length of a request body, in bytes.
    pub max_body_bytes: usize,
    /// Maximum bytes of the bodies of all requests together.
    pub max_body_memory_bytes: usize,
    /// Time limit of a request header, in milliseconds.
    pub header_timeout_ms: u64,
    /// Time limit of an idle connection, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Time limit of a blocked write to a client, in milliseconds.
    pub write_timeout_ms: u64,
    /// Maximum number of concurrent connections, of HTTP and gRPC each.
    pub max_connections: usize,
    /// Maximum number of concurrent connections of one address.
    pub max_connections_per_address: usize,
    /// Maximum number of requests that the process works on at once.
    pub max_running_requests: usize,
    /// Longest wait of a request until the process works on it, in milliseconds.
    pub max_queue_wait_ms: u64,
    /// Maximum number of open `WebSocket`s.
    pub max_sockets: usize,
    /// Maximum number of open `WebSocket`s of one client.
    pub max_sockets_per_client: usize,
    /// Interval of pings over a `WebSocket`, in milliseconds; at least 1. The `WebSocket` of a client that does not
    /// answer three is closed.
    pub ping_every_ms: u64,
    /// How long a query waits for a read model that is behind its consistency token, in milliseconds.
    pub consistency_wait_ms: u64,
    /// Origins whose pages may send requests, separated by commas.
    pub cors_origins: String,
    /// Maximum length of a GraphQL document, in bytes.
    pub max_query_bytes: usize,
    /// Maximum nesting of fields in a GraphQL document.
    pub max_depth: usize,
    /// Maximum query cost of a GraphQL document; a field of an entry costs 1.
    pub max_complexity: usize,
    /// Maximum number of aliases in a GraphQL document.
    pub max_aliases: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            tls: ListenerTlsConfig::default(),
            assets_dir: None,
            request_timeout_ms: 10_000,
            max_body_bytes: 1024 * 1024,
            max_body_memory_bytes: 256 * 1024 * 1024,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            write_timeout_ms: 30_000,
            max_connections: 4_096,
            max_connections_per_address: 1_024,
            max_running_requests: 256,
            max_queue_wait_ms: 1_000,
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

/// The part of all requests that only commands may have is one divided by this.
const COMMANDS_DIVISOR: usize = 4;

impl HttpConfig {
    /// Most queries and batches that the process works on at once: commands alone may have the rest of its room.
    pub(crate) fn max_running_queries(&self) -> usize {
        let limit = self.max_running_requests.max(1);
        limit - limit / COMMANDS_DIVISOR
    }

    /// Time limit of a request.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a query waits for a read model that is behind its consistency token.
    pub fn consistency_wait(&self) -> Duration {
        Duration::from_millis(self.consistency_wait_ms)
    }

    /// Interval of pings over a `WebSocket`; never zero.
    pub fn ping_every(&self) -> Duration {
        Duration::from_millis(self.ping_every_ms.max(1))
    }
}
