//! The address of `Redis`, and the settings of its connections.

use std::{fmt, time::Duration};

use domain::error_chain::format_error_chain;
use engine_security::{EngineTlsConfig, TlsFileError, has_scheme, install_crypto_provider};
use redis::{
    Client, ClientTlsConfig, ErrorKind, RedisError, RedisResult, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
    cluster::{ClusterClientBuilder, ClusterConfig},
};

use crate::{
    connection::{ConnectionTarget, RedisConnection},
    node_urls::node_urls,
};

/// Scheme of a URL with TLS.
const TLS_SCHEME: &str = "rediss";

/// Attempts to connect after the first one. Workers retry by themselves without limit, and a query should fail soon.
const SERVER_RETRIES: usize = 1;

/// Attempts of a command in a cluster after the first one. The first ones are used up by a server that is gone, and by
/// one that no longer has the slot and answers which server has it.
const CLUSTER_RETRIES: u32 = 4;

/// Shortest and longest pause before a command is sent again, in milliseconds.
const CLUSTER_PAUSE_MS: (u64, u64) = (20, 500);

/// Longest time until a server has answered a new connection that receives messages, and until it has subscribed that.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A server, or the nodes of a cluster that are asked first for all others.
#[derive(Clone)]
pub struct RedisEndpoint {
    nodes: Vec<Client>,
    /// For a cluster.
    cluster: Option<ClusterNodes>,
}

#[derive(Clone)]
struct ClusterNodes {
    urls: Vec<String>,
    certificates: Option<TlsCertificates>,
}

impl RedisEndpoint {
    /// Reads an address: a URL, and for a cluster further nodes (`host:port`) after commas. Connects to nothing.
    ///
    /// # Errors
    /// [`RedisError`] when the address is invalid or a file of `tls` cannot be used.
    pub fn open(address: &str, is_cluster: bool, tls: &EngineTlsConfig) -> RedisResult<Self> {
        let invalid = |error: String| RedisError::from((ErrorKind::InvalidClientConfig, "the address of Redis", error));
        let urls = node_urls(address, is_cluster).map_err(|error| invalid(error.to_string()))?;
        let certificates = if has_scheme(address, TLS_SCHEME) { Some(read_certificates(tls)?) } else { None };
        let open_node = |url: &String| match &certificates {
            Some(certificates) => Client::build_with_tls(url.as_str(), certificates.clone()),
            None => Client::open(url.as_str()),
        };
        let nodes = urls.iter().map(open_node).collect::<RedisResult<_>>()?;
        Ok(Self { nodes, cluster: is_cluster.then_some(ClusterNodes { urls, certificates }) })
    }

    /// The client of the server, or of the first node that the address names, for programs that measure it.
    ///
    /// # Errors
    /// [`RedisError`] without a node, which no address has.
    pub fn first_client(&self) -> RedisResult<Client> {
        self.nodes.first().cloned().ok_or_else(without_node)
    }

    /// Opens a connection with this limit for the wait for answers; it connects in the background or at its first use.
    /// In a cluster, commands may be executed more than once. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`RedisError`] when a setting is invalid.
    pub fn open_connection(&self, timeout: Duration) -> RedisResult<RedisConnection> {
        self.open_connection_with_retries(timeout, CLUSTER_RETRIES)
    }

    /// As [`Self::open_connection`], for commands that must not be repeated. In a cluster, a command fails whose slot has
    /// moved; a later one is sent to the server that has it.
    ///
    /// # Errors
    /// [`RedisError`] when a setting is invalid.
    pub fn open_connection_without_retries(&self, timeout: Duration) -> RedisResult<RedisConnection> {
        self.open_connection_with_retries(timeout, 0)
    }

    fn open_connection_with_retries(&self, timeout: Duration, cluster_retries: u32) -> RedisResult<RedisConnection> {
        let Some(ClusterNodes { urls, certificates }) = &self.cluster else {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(timeout))
                .set_number_of_retries(SERVER_RETRIES);
            let manager = ConnectionManager::new_lazy_with_config(self.first_client()?, config)?;
            return Ok(RedisConnection::new(ConnectionTarget::Server(manager)));
        };
        let (shortest_pause, longest_pause) = CLUSTER_PAUSE_MS;
        let mut builder = ClusterClientBuilder::new(urls.iter().map(String::as_str))
            .retries(cluster_retries)
            .min_retry_wait(shortest_pause)
            .max_retry_wait(longest_pause)
            .connection_timeout(timeout)
            .response_timeout(timeout)
            .overall_response_timeout(Some(timeout));
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates.clone());
        }
        let config = ClusterConfig::new().set_connection_timeout(timeout).set_response_timeout(timeout);
        let connection = builder.build()?.get_pending_async_connection_with_config(config);
        Ok(RedisConnection::new(ConnectionTarget::Cluster(connection)))
    }

    /// Opens a connection that receives the messages of a channel. Every node of a cluster has the messages of all, so it is
    /// to the first node that answers.
    ///
    /// # Errors
    /// [`RedisError`] when no node answers, or not in time.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        let mut connection = self.open_subscription().await?;
        wait_with_limit(connection.subscribe(channel)).await?;
        Ok(connection)
    }

    /// As [`Self::subscribe`], for the channels whose names a pattern matches.
    ///
    /// # Errors
    /// [`RedisError`] when no node answers, or not in time.
    pub async fn subscribe_to_pattern(&self, pattern: &str) -> RedisResult<PubSub> {
        let mut connection = self.open_subscription().await?;
        wait_with_limit(connection.psubscribe(pattern)).await?;
        Ok(connection)
    }

    /// Why no node of a cluster can be connected to, which the client of a cluster does not say; `None` if one can be.
    pub async fn find_connection_error(&self) -> Option<RedisError> {
        let mut failure = None;
        for node in &self.nodes {
            match wait_with_limit(node.get_multiplexed_async_connection()).await {
                Ok(_connected) => return None,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure
    }

    async fn open_subscription(&self) -> RedisResult<PubSub> {
        let mut failure = without_node();
        for node in &self.nodes {
            match wait_with_limit(node.get_async_pubsub()).await {
                Ok(subscription) => return Ok(subscription),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// The client has no time limit for connections that receive messages, and another one for a single connection.
async fn wait_with_limit<T>(waiting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let limited = tokio::time::timeout(SUBSCRIBE_TIMEOUT, waiting).await;
    limited.unwrap_or_else(|_elapsed| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// Without addresses, which may have a password.
impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, is_cluster) = (self.nodes.len(), self.cluster.is_some());
        f.debug_struct("RedisEndpoint").field("nodes", &nodes).field("is_cluster", &is_cluster).finish()
    }
}

fn without_node() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "the address of Redis names no server"))
}

fn read_certificates(tls: &EngineTlsConfig) -> RedisResult<TlsCertificates> {
    // The client takes the provider of the process, and panics without one.
    install_crypto_provider();
    let unusable = |error: TlsFileError| {
        RedisError::from((ErrorKind::InvalidClientConfig, "the files of redis.tls", format_error_chain(&error)))
    };
    let identity = tls.read_identity().map_err(unusable)?;
    Ok(TlsCertificates {
        client_tls: identity
            .map(|identity| ClientTlsConfig { client_cert: identity.certificates, client_key: identity.key }),
        root_cert: tls.read_authorities().map_err(unusable)?,
    })
}
