//! Settings of the `ClickHouse` read model.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `http://127.0.0.1:8123` | HTTP interface; may contain `user:password@` |
//! | `tls` | the system's authorities | see `engine_security::EngineTlsConfig`; for a URL that begins with `https://` |
//! | `database` | `medhub` | database that analysts query; each generation has its own database, such as `medhub_g1` |
//! | `raw_ttl_days` | 90 | how long events and engagement are kept; 0 keeps them for ever |
//! | `minute_ttl_days` | 30 | how long figures by minute are kept; 0 keeps them for ever |
//! | `hour_ttl_days` | 365 | how long figures by hour are kept; 0 keeps them for ever |
//! | `timeout_ms` | 30000 | longest wait for one statement |
//! | `cluster` | none | cluster of the servers' `remote_servers` on which tables are replicated and sharded; none is one server |
//! | `keeper_path` | `/clickhouse/tables` | folder in Keeper where the replicas of a cluster meet |
//! | `insert_quorum` | 0 | replicas of a shard that have to have a write before it counts; 0 is the majority, 1 is the one that takes it |

use std::{fmt, time::Duration};

use engine_security::{EngineTlsConfig, setting_variable};
use serde::{Deserialize, Serialize};

use super::table_placement::TableCluster;
use crate::{runtime::ReadModelGeneration, storage::RedactedUrl};

const DEFAULT_KEEPER_PATH: &str = "/clickhouse/tables";

/// Settings of every statement on a cluster that depend on nothing.
const CLUSTER_SETTINGS: [(&str, &str); 11] = [
    // An insert returns once the shards have the rows, not once the server that was asked has queued them.
    ("distributed_foreground_insert", "1"),
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    // Workers insert at the same time; each insert has its own quorum.
    ("insert_quorum_parallel", "1"),
    // Reads and writes use the first replica of a shard that is up to date, in the order of the cluster's configuration, so
    // that a query sees what was acknowledged; a request that is repeated on another replica might not.
    ("load_balancing", "in_order"),
    ("prefer_localhost_replica", "0"),
    ("use_hedged_requests", "0"),
    ("max_replica_delay_for_distributed_queries", "1"),
    // Subqueries over sharded tables are evaluated once, over all shards.
    ("distributed_product_mode", "global"),
    // A shard without a replica fails the query; its rows are not left out.
    ("skip_unavailable_shards", "0"),
    // A server that is away catches up when it is back.
    ("distributed_ddl_output_mode", "throw_only_active"),
];

/// Address and retention of the `ClickHouse` read model.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// The HTTP interface; may contain `user:password@`.
    pub url: String,
    /// Authorities and the client's certificate, for a URL that begins with `https://`.
    pub tls: EngineTlsConfig,
    /// The database that analysts query; the generations' databases have the same name with `_g1` and so on.
    pub database: String,
    /// Days that events and engagement are kept, by the time they were recorded; 0 keeps them without limit.
    pub raw_ttl_days: u32,
    /// Days that figures by minute are kept; 0 keeps them without limit.
    pub minute_ttl_days: u32,
    /// Days that figures by hour are kept; 0 keeps them without limit.
    pub hour_ttl_days: u32,
    /// Longest wait for one statement, in milliseconds.
    pub timeout_ms: u64,
    /// The cluster on whose servers tables are replicated and sharded; empty for one server.
    pub cluster: String,
    /// The folder in Keeper where the replicas of the cluster meet.
    pub keeper_path: String,
    /// Replicas of a shard that have to have a write before it counts; 0 is the majority.
    pub insert_quorum: u32,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            tls: EngineTlsConfig::default(),
            database: "medhub".to_owned(),
            raw_ttl_days: 90,
            minute_ttl_days: 30,
            hour_ttl_days: 365,
            timeout_ms: 30_000,
            cluster: String::new(),
            keeper_path: DEFAULT_KEEPER_PATH.to_owned(),
            insert_quorum: 0,
        }
    }
}

impl ClickHouseConfig {
    /// The name of a generation's database.
    pub(crate) fn database_name(&self, generation: ReadModelGeneration) -> String {
        format!("{}_{generation}", self.database)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The cluster of the tables; `None` for one server.
    pub(crate) fn table_cluster(&self) -> Option<TableCluster> {
        (!self.cluster.is_empty())
            .then(|| TableCluster { name: self.cluster.clone(), keeper_path: self.keeper_path.clone() })
    }

    /// What is wrong with the settings of the cluster. Whether the servers know it is not checked here.
    pub fn find_cluster_setting_problems(&self) -> Vec<String> {
        let (cluster, path) = (setting_variable("clickhouse.cluster"), setting_variable("clickhouse.keeper_path"));
        let is_word = |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
        let mut problems = Vec::new();
        if !is_word(&self.cluster, "_-.") {
            problems.push(format!("{cluster}: the name of a cluster has letters, digits, `_`, `-` and `.` only"));
        }
        if !self.keeper_path.starts_with('/') || self.keeper_path.ends_with('/') || !is_word(&self.keeper_path, "/_-.")
        {
            problems.push(format!(
                "{path}: a folder in Keeper begins with `/`, does not end with it, and has letters, digits, `_`, `-` and `.`"
            ));
        }
        if self.cluster.is_empty() {
            let quorum = setting_variable("clickhouse.insert_quorum");
            let set = [(quorum, self.insert_quorum != 0), (path, self.keeper_path != DEFAULT_KEEPER_PATH)];
            for (variable, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
                problems.push(format!("{variable} is set and {cluster} is not: one server has no replicas"));
            }
        }
        problems
    }

    /// The settings of every statement on a cluster; none for one server.
    pub(super) fn cluster_query_settings(&self) -> Vec<(&'static str, String)> {
        if self.cluster.is_empty() {
            return vec![];
        }
        // Less than the client's wait, so that the server's error says what is missing.
        let server_wait = self.timeout().mul_f64(0.8);
        let quorum = if self.insert_quorum == 0 { "auto".to_owned() } else { self.insert_quorum.to_string() };
        let of_waits = [
            ("distributed_ddl_task_timeout", server_wait.as_secs().max(1).to_string()),
            ("insert_quorum_timeout", server_wait.as_millis().to_string()),
            ("insert_quorum", quorum),
        ];
        of_waits.into_iter().chain(CLUSTER_SETTINGS.map(|(name, value)| (name, value.to_owned()))).collect()
    }
}

impl fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("raw_ttl_days", &self.raw_ttl_days)
            .field("minute_ttl_days", &self.minute_ttl_days)
            .field("hour_ttl_days", &self.hour_ttl_days)
            .field("timeout_ms", &self.timeout_ms)
            .field("cluster", &self.cluster)
            .field("keeper_path", &self.keeper_path)
            .field("insert_quorum", &self.insert_quorum)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_one_server_have_no_settings() {
        assert_eq!(ClickHouseConfig::default().cluster_query_settings(), []);
        assert_eq!(ClickHouseConfig::default().table_cluster(), None);
    }

    #[test]
    fn the_quorum_is_the_majority_unless_it_is_set() {
        let setting = |insert_quorum, wanted: &str| {
            let config = ClickHouseConfig { cluster: "a".to_owned(), insert_quorum, ..ClickHouseConfig::default() };
            let settings = config.cluster_query_settings();
            settings.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        assert_eq!(setting(0, "insert_quorum").as_deref(), Some("auto"));
        assert_eq!(setting(3, "insert_quorum").as_deref(), Some("3"));
        assert_eq!(setting(0, "insert_quorum_timeout").as_deref(), Some("24000"));
        assert_eq!(setting(0, "distributed_ddl_task_timeout").as_deref(), Some("24"));
    }

    #[test]
    fn half_and_wrong_settings_of_a_cluster_are_problems() {
        let problems = |cluster: &str, keeper_path: &str, insert_quorum| {
            let (cluster, keeper_path) = (cluster.to_owned(), keeper_path.to_owned());
            let config = ClickHouseConfig { cluster, keeper_path, insert_quorum, ..ClickHouseConfig::default() };
            config.find_cluster_setting_problems()
        };
        assert_eq!(problems("", DEFAULT_KEEPER_PATH, 0), Vec::<String>::new());
        assert_eq!(problems("med_hub-1.a", "/medhub/tables", 2), Vec::<String>::new());
        for (cluster, path, quorum, variable) in [
            ("a`b", DEFAULT_KEEPER_PATH, 0, "MEDHUB__CLICKHOUSE__CLUSTER: "),
            ("a", "medhub", 0, "MEDHUB__CLICKHOUSE__KEEPER_PATH: "),
            ("a", "/medhub/", 0, "MEDHUB__CLICKHOUSE__KEEPER_PATH: "),
            ("a", "/'", 0, "MEDHUB__CLICKHOUSE__KEEPER_PATH: "),
            ("", DEFAULT_KEEPER_PATH, 2, "MEDHUB__CLICKHOUSE__INSERT_QUORUM is set and"),
            ("", "/medhub", 0, "MEDHUB__CLICKHOUSE__KEEPER_PATH is set and"),
        ] {
            let found = problems(cluster, path, quorum);
            assert!(matches!(&found[..], [problem] if problem.starts_with(variable)), "{variable}: {found:?}");
        }
    }
}
