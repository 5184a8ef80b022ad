//! What prevents tables on the cluster that the settings name: read from the servers' own tables.

use clickhouse::Row;
use engine_security::setting_variable;
use serde::Deserialize;

use super::{
    ClickHouseClient,
    errors::unavailable_error,
    table_placement::{TableCluster, TablePlacement},
};
use crate::QueryError;

/// A problem of the cluster that the settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterProblem {
    /// Description, with what to do about it.
    pub text: String,
    /// Whether tables cannot be created or written to because of it.
    pub harmful: bool,
}

/// The cluster of the settings cannot have the tables.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot have the tables: {}", problems.join("; "))]
struct RefusedCluster {
    problems: Vec<String>,
}

/// One replica of one shard, as the server that was asked has it in its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
struct ConfiguredReplica {
    shard: u32,
    has_internal_replication: bool,
}

/// The macros of one server; empty for one that it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
struct ServerMacros {
    server: String,
    shard: String,
    replica: String,
}

#[derive(Debug, Row, Deserialize)]
struct ServerTables {
    server: String,
    tables: u64,
}

impl ClickHouseClient {
    /// What is wrong with the cluster of the settings; empty if nothing is, or if they name none. `insert_quorum` is the
    /// setting.
    pub(crate) async fn find_cluster_problems(&self, insert_quorum: u32) -> Result<Vec<ClusterProblem>, QueryError> {
        let Some(cluster) = self.cluster() else { return Ok(vec![]) };
        let replicas = self.server().query(include_str!("sql/configured_replicas.sql")).bind(&cluster.name);
        let replicas: Vec<ConfiguredReplica> = self.run_statement(replicas.fetch_all()).await?;
        if replicas.is_empty() {
            let known = self.server().query("select distinct cluster from system.clusters order by cluster");
            return Ok(vec![describe_unknown_cluster(cluster, &self.run_statement(known.fetch_all()).await?)]);
        }
        let mut problems = describe_replicas(cluster, &replicas, insert_quorum);
        let keeper = self.server().query("select count() from system.zookeeper where path = '/'");
        match self.run_statement(keeper.fetch_one::<u64>()).await {
            Ok(_) => {}
            Err(error) => match server_message(&error) {
                Some(message) => problems.push(describe_missing_keeper(&message)),
                None => return Err(error),
            },
        }
        let macros = self.server().query(include_str!("sql/server_macros.sql")).bind(&cluster.name).bind(&cluster.name);
        let macros: Vec<ServerMacros> = self.run_statement(macros.fetch_all()).await?;
        problems.extend(describe_macros(&replicas, &macros));
        Ok(problems)
    }

    /// Refuses a cluster that cannot have the tables, with every reason at once.
    pub(crate) async fn refuse_unusable_cluster(&self, insert_quorum: u32) -> Result<(), QueryError> {
        let problems = self.find_cluster_problems(insert_quorum).await?;
        let problems: Vec<_> =
            problems.into_iter().filter(|problem| problem.harmful).map(|problem| problem.text).collect();
        if problems.is_empty() { Ok(()) } else { Err(unavailable_error(RefusedCluster { problems })) }
    }

    /// The servers of a cluster that have fewer tables of this generation than others, such as one that was added later.
    /// Servers that are away are left out.
    pub(crate) async fn find_incomplete_servers(&self, cluster: &TableCluster) -> Result<Vec<String>, QueryError> {
        let placement = TablePlacement::Cluster(cluster.clone());
        let query = self.server().query(include_str!("sql/server_tables.sql"));
        let query = query.bind(placement.databases(self.database())).bind(&cluster.name);
        let servers: Vec<ServerTables> = self.run_statement(query.fetch_all()).await?;
        let most = servers.iter().map(|server| server.tables).max().unwrap_or_default();
        Ok(servers.into_iter().filter(|server| server.tables < most).map(|server| server.server).collect())
    }
}

/// The message of a server that refuses a statement; `None` for a server that is away.
fn server_message(error: &QueryError) -> Option<String> {
    let (QueryError::Unavailable { source, .. } | QueryError::Unreadable { source, .. }) = error;
    match source.downcast_ref::<clickhouse::error::Error>() {
        Some(clickhouse::error::Error::BadResponse(text)) => text.lines().next().map(str::to_owned),
        Some(_) | None => None,
    }
}

fn harmful(text: String) -> ClusterProblem {
    ClusterProblem { text, harmful: true }
}

fn describe_unknown_cluster(cluster: &TableCluster, known: &[String]) -> ClusterProblem {
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    harmful(format!(
        "{}: the server has no cluster `{}` in its remote_servers (it has: {known})",
        setting_variable("clickhouse.cluster"),
        cluster.name
    ))
}

fn describe_missing_keeper(message: &str) -> ClusterProblem {
    harmful(format!(
        "{}: the server has no Keeper, without which there are no replicas and no statements for a cluster: configure \
         <zookeeper> and <distributed_ddl> on every server ({message})",
        setting_variable("clickhouse.cluster"),
    ))
}

fn describe_replicas(
    cluster: &TableCluster,
    replicas: &[ConfiguredReplica],
    insert_quorum: u32,
) -> Vec<ClusterProblem> {
    let mut problems = Vec::new();
    if let Some(replica) = replicas.iter().find(|replica| !replica.has_internal_replication) {
        problems.push(harmful(format!(
            "{}: shard {} of `{}` needs <internal_replication>true</internal_replication>, or every row would be written \
             to every replica by the server, too",
            setting_variable("clickhouse.cluster"),
            replica.shard,
            cluster.name
        )));
    }
    let mut shards: Vec<u32> = replicas.iter().map(|replica| replica.shard).collect();
    shards.dedup();
    for shard in shards {
        let count = replicas.iter().filter(|replica| replica.shard == shard).count();
        if usize::try_from(insert_quorum).is_ok_and(|quorum| quorum > count) {
            problems.push(harmful(format!(
                "{} is {insert_quorum}, but shard {shard} of `{}` has {count} replicas, so that no write would count",
                setting_variable("clickhouse.insert_quorum"),
                cluster.name
            )));
        }
    }
    problems
}

fn describe_macros(replicas: &[ConfiguredReplica], macros: &[ServerMacros]) -> Vec<ClusterProblem> {
    let mut problems = Vec::new();
    for ServerMacros { server, shard, replica } in macros {
        let missing: Vec<_> =
            [("shard", shard), ("replica", replica)].into_iter().filter(|(_, value)| value.is_empty()).collect();
        if !missing.is_empty() {
            let names = missing.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            problems.push(harmful(format!(
                "the server {server} of the cluster lacks the macro {names}: add it to <macros>"
            )));
        }
    }
    for (index, one) in macros.iter().enumerate().filter(|(_, one)| !one.replica.is_empty()) {
        let same = macros[..index].iter().find(|other| (&other.shard, &other.replica) == (&one.shard, &one.replica));
        if let Some(other) = same {
            problems.push(harmful(format!(
                "the servers {} and {} have the same macros `shard` and `replica`: a replica has a name of its own",
                other.server, one.server
            )));
        }
    }
    let answers = macros.len() >= replicas.len();
    let (mut named, mut configured): (Vec<_>, Vec<_>) =
        (macros.iter().map(|one| &one.shard).collect(), replicas.iter().map(|one| one.shard).collect());
    named.sort_unstable();
    named.dedup();
    configured.dedup();
    if answers && problems.is_empty() && named.len() != configured.len() {
        problems.push(harmful(format!(
            "the cluster has {} shards, but the macro `shard` has {} values: the replicas of one shard, and no others, have \
             the same",
            configured.len(),
            named.len()
        )));
    }
    if !answers {
        problems.push(ClusterProblem {
            text: format!("{} of the {} servers of the cluster answer", macros.len(), replicas.len()),
            harmful: false,
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> TableCluster {
        TableCluster { name: "medhub".to_owned(), keeper_path: "/medhub".to_owned() }
    }

    fn replicas(shards: &[u32]) -> Vec<ConfiguredReplica> {
        shards.iter().map(|shard| ConfiguredReplica { shard: *shard, has_internal_replication: true }).collect()
    }

    fn macros(values: &[(&str, &str)]) -> Vec<ServerMacros> {
        let server = |(index, (shard, replica)): (usize, &(&str, &str))| ServerMacros {
            server: format!("host-{index}:9000"),
            shard: (*shard).to_owned(),
            replica: (*replica).to_owned(),
        };
        values.iter().enumerate().map(server).collect()
    }

    fn texts(problems: Vec<ClusterProblem>) -> Vec<String> {
        assert!(problems.iter().all(|problem| problem.harmful), "{problems:?}");
        problems.into_iter().map(|problem| problem.text).collect()
    }

    #[test]
    fn a_usable_cluster_has_no_problem() {
        let (replicas, macros) = (replicas(&[1, 1, 2, 2]), macros(&[("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")]));
        assert_eq!(describe_replicas(&cluster(), &replicas, 2), []);
        assert_eq!(describe_macros(&replicas, &macros), []);
    }

    #[test]
    fn a_quorum_that_a_shard_cannot_have_and_double_replication_are_problems() {
        let mut replicas = replicas(&[1, 1, 2]);
        replicas[2].has_internal_replication = false;
        let found = texts(describe_replicas(&cluster(), &replicas, 2));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("shard 2 of `medhub` needs <internal_replication>"), "{found:?}");
        assert!(found[1].starts_with("MEDHUB__CLICKHOUSE__INSERT_QUORUM is 2, but shard 2 of"), "{found:?}");
    }

    #[test]
    fn missing_and_equal_macros_are_problems() {
        let (two, three) = (replicas(&[1, 1]), replicas(&[1, 1, 2]));
        let missing = texts(describe_macros(&two, &macros(&[("1", "a"), ("", "")])));
        assert_eq!(
            missing,
            ["the server host-1:9000 of the cluster lacks the macro `shard` and `replica`: add it to <macros>"]
        );
        let equal = texts(describe_macros(&two, &macros(&[("1", "a"), ("1", "a")])));
        assert!(equal[0].starts_with("the servers host-0:9000 and host-1:9000 have the same macros"), "{equal:?}");
        let shards = texts(describe_macros(&three, &macros(&[("1", "a"), ("1", "b"), ("1", "c")])));
        assert!(shards[0].contains("has 2 shards, but the macro `shard` has 1 values"), "{shards:?}");
    }

    #[test]
    fn a_server_that_is_away_is_a_note() {
        let found = describe_macros(&replicas(&[1, 1]), &macros(&[("1", "a")]));
        let note = ClusterProblem { text: "1 of the 2 servers of the cluster answer".to_owned(), harmful: false };
        assert_eq!(found, [note]);
    }
}
