//! How many connections a listener has, and how long each may wait.

use std::time::Duration;

use crate::config::HttpConfig;

/// Limits of the number of connections and timeouts of each.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    pub(super) header_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) max_connections: usize,
    /// `None` if all connections come from one proxy.
    pub(super) max_per_address: Option<usize>,
    /// Name of the edge in metrics.
    pub(super) edge: &'static str,
}

impl ConnectionLimits {
    /// Creates the limits of `config`. Behind a proxy all clients have the same address, so that there is no limit per
    /// address.
    pub fn new(config: &HttpConfig, is_behind_proxy: bool) -> Self {
        Self {
            header_timeout: Duration::from_millis(config.header_timeout_ms.max(1)),
            idle_timeout: Duration::from_millis(config.idle_timeout_ms.max(1)),
            write_timeout: Duration::from_millis(config.write_timeout_ms.max(1)),
            max_connections: config.max_connections,
            max_per_address: (!is_behind_proxy).then_some(config.max_connections_per_address),
            edge: "HTTP",
        }
    }

    /// The same limits for another edge, with its name in metrics.
    #[must_use]
    pub fn for_edge(self, edge: &'static str) -> Self {
        Self { edge, ..self }
    }

    /// Limits the connections to a quarter of the file descriptors: two edges use these limits, and half of the
    /// descriptors are for everything else.
    pub fn cap_by_open_files(&mut self, files: usize) {
        let max_connections = files / 4;
        if max_connections < self.max_connections {
            tracing::warn!(
                files,
                connections = max_connections,
                "the limit of open files (ulimit -n) allows fewer connections than http.max_connections"
            );
            self.max_connections = max_connections;
        }
    }
}
