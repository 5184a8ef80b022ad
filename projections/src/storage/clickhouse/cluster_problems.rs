//! What prevents tables on the cluster that the settings name: read from the servers' own tables.

use clickhouse::Row;
use engine_security::setting_variable;
use serde::Deserialize;

use super::{
    ClickHouseClient,
    errors::{error_code, unavailable_error},
    table_placement::{TableCluster, TablePlacement},
};
use crate::{QueryError, storage::StorageProblem};

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
    server: String,
    has_internal_replication: bool,
}

/// The macros of one server; empty for one that it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
struct ServerMacros {
    /// The server's place in the configuration, from 1.
    number: u32,
    shard: String,
    replica: String,
}

#[derive(Debug, Row, Deserialize)]
struct ServerTables {
    number: u32,
    tables: u64,
}

impl ClickHouseClient {
    /// What is wrong with the cluster of the settings; empty if nothing is, or if they name none. `insert_quorum` is the
    /// setting.
    pub(crate) async fn find_cluster_problems(&self, insert_quorum: u32) -> Result<Vec<StorageProblem>, QueryError> {
        let Some(cluster) = self.cluster() else { return Ok(vec![]) };
        let replicas = self.load_configured_replicas(cluster).await?;
        if replicas.is_empty() {
            let known = self.server().query("select distinct cluster from system.clusters order by cluster");
            return Ok(vec![describe_unknown_cluster(cluster, &self.run_statement(known.fetch_all()).await?)]);
        }
        let mut problems = describe_replicas(cluster, &replicas, insert_quorum);
        let keeper = self.server().query("select count() from system.zookeeper where path = '/'");
        match self.run_statement(keeper.fetch_one::<u64>()).await {
            Ok(_) => {}
            Err(error) => match describe_keeper_failure(&error) {
                Some(problem) => problems.push(problem),
                None => return Err(error),
            },
        }
        let macros = self.server().query(include_str!("sql/server_macros.sql")).bind(&cluster.name).bind(&cluster.name);
        let macros: Vec<ServerMacros> = self.run_statement(macros.fetch_all()).await?;
        problems.extend(describe_macros(&replicas, &macros));
        Ok(problems)
    }

    async fn load_configured_replicas(&self, cluster: &TableCluster) -> Result<Vec<ConfiguredReplica>, QueryError> {
        let replicas = self.server().query(include_str!("sql/configured_replicas.sql")).bind(&cluster.name);
        self.run_statement(replicas.fetch_all()).await
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
        let database = TablePlacement::Cluster(cluster.clone()).row_database(self.database());
        let query = self.server().query(include_str!("sql/server_tables.sql")).bind(database).bind(&cluster.name);
        let counts: Vec<ServerTables> = self.run_statement(query.fetch_all()).await?;
        let most = counts.iter().map(|server| server.tables).max().unwrap_or_default();
        let replicas = self.load_configured_replicas(cluster).await?;
        let names = list_servers(&replicas);
        let incomplete = counts.iter().filter(|server| server.tables < most);
        Ok(incomplete.map(|server| name_server(&names, server.number).to_owned()).collect())
    }
}

/// Codes of a server that has no Keeper in its configuration, where the table `system.zookeeper` does not exist either.
const NO_KEEPER_CODES: [u32; 3] = [
    60,  // UNKNOWN_TABLE
    139, // NO_ELEMENTS_IN_CONFIG
    225, // NO_ZOOKEEPER
];

const ACCESS_DENIED: u32 = 497;

/// What a failed question to Keeper means; `None` for a server that is away. A Keeper that does not answer now is no
/// reason to refuse anything: replicated tables can be read without it.
fn describe_keeper_failure(error: &QueryError) -> Option<StorageProblem> {
    let (QueryError::Unavailable { source, .. } | QueryError::Unreadable { source, .. }) = error;
    let error = source.downcast_ref::<clickhouse::error::Error>()?;
    let clickhouse::error::Error::BadResponse(text) = error else { return None };
    let message = text.lines().next().unwrap_or_default();
    let variable = setting_variable("clickhouse.cluster");
    Some(match error_code(error) {
        Some(code) if NO_KEEPER_CODES.contains(&code) => build_harmful_problem(format!(
            "{variable}: the server has no Keeper, without which there are no replicas and no statements for a cluster: \
             configure <zookeeper> and <distributed_ddl> on every server ({message})"
        )),
        Some(ACCESS_DENIED) => build_harmful_problem(format!(
            "{variable}: whether the server has a Keeper cannot be seen: grant SELECT on system.zookeeper to the user of \
             CLICKHOUSE_URL ({message})"
        )),
        Some(_) | None => StorageProblem {
            text: format!("Keeper does not answer the server; writes wait for it ({message})"),
            harmful: false,
        },
    })
}

/// The servers of the configuration in its order, each once: the server numbers its answers by them.
fn list_servers(replicas: &[ConfiguredReplica]) -> Vec<&ConfiguredReplica> {
    let mut servers: Vec<&ConfiguredReplica> = Vec::new();
    for replica in replicas {
        if !servers.iter().any(|known| known.server == replica.server) {
            servers.push(replica);
        }
    }
    servers
}

fn find_server<'a>(servers: &[&'a ConfiguredReplica], number: u32) -> Option<&'a ConfiguredReplica> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    servers.get(index).copied()
}

fn name_server<'a>(servers: &[&'a ConfiguredReplica], number: u32) -> &'a str {
    find_server(servers, number).map_or("of an unknown address", |replica| replica.server.as_str())
}

fn build_harmful_problem(text: String) -> StorageProblem {
    StorageProblem { text, harmful: true }
}

fn describe_unknown_cluster(cluster: &TableCluster, known: &[String]) -> StorageProblem {
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    build_harmful_problem(format!(
        "{}: the server has no cluster `{}` in its remote_servers (it has: {known})",
        setting_variable("clickhouse.cluster"),
        cluster.name
    ))
}

fn describe_replicas(
    cluster: &TableCluster,
    replicas: &[ConfiguredReplica],
    insert_quorum: u32,
) -> Vec<StorageProblem> {
    let mut problems = Vec::new();
    if let Some(replica) = replicas.iter().find(|replica| !replica.has_internal_replication) {
        problems.push(build_harmful_problem(format!(
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
            problems.push(build_harmful_problem(format!(
                "{} is {insert_quorum}, but shard {shard} of `{}` has {count} replicas, so that no write would count",
                setting_variable("clickhouse.insert_quorum"),
                cluster.name
            )));
        }
    }
    problems
}

/// Compares the macros of the servers with the shards of the configuration: the replicas of a shard, and no others, have
/// the same `shard`, and each has another `replica`.
fn describe_macros(replicas: &[ConfiguredReplica], macros: &[ServerMacros]) -> Vec<StorageProblem> {
    let servers = list_servers(replicas);
    let name = |one: &ServerMacros| name_server(&servers, one.number);
    let shard_of = |one: &ServerMacros| find_server(&servers, one.number).map(|replica| replica.shard);
    let mut problems = Vec::new();
    for one in macros {
        let missing =
            [("shard", &one.shard), ("replica", &one.replica)].into_iter().filter(|(_, value)| value.is_empty());
        let missing: Vec<_> = missing.map(|(macro_name, _)| format!("`{macro_name}`")).collect();
        if !missing.is_empty() {
            problems.push(build_harmful_problem(format!(
                "the server {} of the cluster lacks the macro {}: add it to <macros>",
                name(one),
                missing.join(" and ")
            )));
        }
    }
    for (index, one) in macros.iter().enumerate().filter(|(_, one)| !one.shard.is_empty() && !one.replica.is_empty()) {
        for other in macros[..index].iter().filter(|other| !other.shard.is_empty()) {
            let (same_shard, same_macro) = (shard_of(one) == shard_of(other), one.shard == other.shard);
            if same_macro && one.replica == other.replica {
                problems.push(build_harmful_problem(format!(
                    "the servers {} and {} have the same macros `shard` and `replica`: each replica needs its own name",
                    name(other),
                    name(one)
                )));
            } else if same_shard != same_macro {
                problems.push(build_harmful_problem(format!(
                    "the servers {} and {} are {} shard in remote_servers, but their macros `shard` are `{}` and `{}`: the \
                     replicas of one shard, and no others, have the same",
                    name(other),
                    name(one),
                    if same_shard { "of one" } else { "not of one" },
                    other.shard,
                    one.shard
                )));
            }
        }
    }
    if macros.len() < servers.len() {
        let text = format!("{} of the {} servers of the cluster answer", macros.len(), servers.len());
        problems.push(StorageProblem { text, harmful: false });
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
        let replica = |(index, shard): (usize, &u32)| ConfiguredReplica {
            shard: *shard,
            server: format!("host-{}:9000", index + 1),
            has_internal_replication: true,
        };
        shards.iter().enumerate().map(replica).collect()
    }

    fn macros(values: &[(&str, &str)]) -> Vec<ServerMacros> {
        let server = |(number, (shard, replica)): (u32, &(&str, &str))| ServerMacros {
            number,
            shard: (*shard).to_owned(),
            replica: (*replica).to_owned(),
        };
        (1..).zip(values).map(server).collect()
    }

    fn texts(problems: Vec<StorageProblem>) -> Vec<String> {
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
        let two = replicas(&[1, 1]);
        let missing = texts(describe_macros(&two, &macros(&[("1", "a"), ("", "")])));
        let expected =
            "the server host-2:9000 of the cluster lacks the macro `shard` and `replica`: add it to <macros>";
        assert_eq!(missing, [expected]);
        let equal = texts(describe_macros(&two, &macros(&[("1", "a"), ("1", "a")])));
        assert!(equal[0].starts_with("the servers host-1:9000 and host-2:9000 have the same macros"), "{equal:?}");
    }

    #[test]
    fn macros_that_contradict_the_shards_are_problems() {
        // As many values as shards, and all pairs different: but b and c, and a and d, would be replicas of each other.
        let crossed = macros(&[("1", "a"), ("2", "b"), ("2", "c"), ("1", "d")]);
        let found = texts(describe_macros(&replicas(&[1, 1, 2, 2]), &crossed));
        assert!(found[0].starts_with("the servers host-1:9000 and host-2:9000 are of one shard"), "{found:?}");
        let mixed = texts(describe_macros(&replicas(&[1, 2]), &macros(&[("1", "a"), ("1", "b")])));
        assert!(mixed[0].contains("are not of one shard"), "{mixed:?}");
    }

    #[test]
    fn a_server_that_is_away_is_a_note() {
        let found = describe_macros(&replicas(&[1, 1]), &macros(&[("1", "a")]));
        let note = StorageProblem { text: "1 of the 2 servers of the cluster answer".to_owned(), harmful: false };
        assert_eq!(found, [note]);
    }

    #[test]
    fn a_keeper_that_does_not_answer_now_is_a_note() {
        let describe = |text: &str| {
            let error = clickhouse::error::Error::BadResponse(format!("Code: {text}"));
            describe_keeper_failure(&unavailable_error(error)).unwrap()
        };
        assert!(describe("60. DB::Exception: Unknown table (UNKNOWN_TABLE)").text.contains("has no Keeper"));
        let denied = describe("497. DB::Exception: Not enough privileges");
        assert!(denied.harmful && denied.text.contains("grant SELECT on system.zookeeper"), "{denied:?}");
        assert!(!describe("999. Coordination::Exception: Session expired").harmful);
        assert_eq!(describe_keeper_failure(&unavailable_error(clickhouse::error::Error::TimedOut)), None);
    }
}
