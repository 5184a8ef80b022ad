//! Goes through all keys with a prefix, on one server or on all primaries of a cluster.

use redis::Cmd;
use redis_connections::{ClusterTopology, PrimaryNode};

use super::{
    RedisClient,
    errors::{STORE, unavailable_error},
    redis_client::escape_glob,
};
use crate::QueryError;

/// Number of keys that one `SCAN` command asks for. The server answers nobody else meanwhile: about a
/// millisecond.
const KEYS_PER_SCAN: usize = 2_000;

/// How often a scan begins again because slots have moved meanwhile.
const MAX_REPETITIONS: u32 = 5;

/// A scan of the keyspace. It may return a key more than once. Keys that are written or removed meanwhile may be missing.
pub(crate) struct KeyScan {
    client: RedisClient,
    pattern: String,
    /// `None` before the first page, and when it has to begin again.
    pass: Option<ScanPass>,
    /// How often it may still begin again.
    repetitions: u32,
}

/// A way through all primaries.
struct ScanPass {
    topology: ClusterTopology,
    /// The primaries that are not finished, each with the place where its next page begins.
    cursors: Vec<(PrimaryNode, u64)>,
}

impl KeyScan {
    pub(super) fn new(client: RedisClient, prefix: &str) -> Self {
        Self { client, pattern: format!("{}*", escape_glob(prefix)), pass: None, repetitions: MAX_REPETITIONS }
    }

    /// The next keys; empty pages are possible, `None` is the end.
    ///
    /// # Errors
    /// [`QueryError`] when a server is unavailable.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Vec<Vec<u8>>>, QueryError> {
        let pass = if let Some(pass) = &mut self.pass {
            pass
        } else {
            let topology = self.client.read_topology().await?;
            let cursors = topology.primaries.iter().map(|primary| (primary.clone(), 0)).collect();
            self.pass.insert(ScanPass { topology, cursors })
        };
        let Some((primary, cursor)) = pass.cursors.last_mut() else {
            if self.client.read_topology().await? == pass.topology {
                return Ok(None);
            }
            // A slot has moved, perhaps from a primary that was not scanned yet to one that was.
            let Some(left) = self.repetitions.checked_sub(1) else {
                return Err(QueryError::Unavailable {
                    store: STORE,
                    source: "slots have moved during each scan".into(),
                });
            };
            (self.pass, self.repetitions) = (None, left);
            return Ok(Some(vec![]));
        };
        let (next, keys) = self.client.scan_primary(primary, &scan_command(*cursor, &self.pattern)).await?;
        if next == 0 {
            pass.cursors.pop();
        } else {
            *cursor = next;
        }
        Ok(Some(keys))
    }
}

impl RedisClient {
    /// Starts a scan of the keys that begin with `prefix`.
    pub(crate) fn scan_keys(&self, prefix: &str) -> KeyScan {
        KeyScan::new(self.clone(), prefix)
    }

    /// Removes all keys that begin with `prefix`.
    pub(crate) async fn unlink_keys(&self, prefix: &str) -> Result<(), QueryError> {
        let mut scan = self.scan_keys(prefix);
        while let Some(keys) = scan.next_page().await? {
            if !keys.is_empty() {
                let mut pipeline = redis::pipe();
                // One command for each key, because the keys are in different slots.
                for key in keys {
                    pipeline.unlink(key).ignore();
                }
                self.run_pipeline::<()>(&pipeline).await?;
            }
        }
        Ok(())
    }

    async fn read_topology(&self) -> Result<ClusterTopology, QueryError> {
        self.connection().read_topology().await.map_err(unavailable_error)
    }

    async fn scan_primary(&self, primary: &PrimaryNode, command: &Cmd) -> Result<(u64, Vec<Vec<u8>>), QueryError> {
        let answer = self.query_primary_with_retry(primary, command).await.map_err(unavailable_error)?;
        redis::from_redis_value(answer).map_err(|error| unavailable_error(error.into()))
    }
}

fn scan_command(cursor: u64, pattern: &str) -> Cmd {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(KEYS_PER_SCAN);
    command
}
