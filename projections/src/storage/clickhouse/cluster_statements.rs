//! Statements of migrations in their form for a cluster. Migrations are written for one server, in a few fixed forms;
//! a statement in another form is an error, not executed as it is.

use super::table_placement::{PlacedStatement, TableCluster, TableTraits};

/// The name of a replica within its shard: a macro of each server.
const REPLICA: &str = "{replica}";
/// The name of a server among all servers of the cluster.
const REPLICA_OF_ALL: &str = "{shard}_{replica}";

/// A statement of a migration that has no form for a cluster: a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("the statement has no form for a cluster: {beginning}")]
pub(crate) struct UnplacedStatement {
    beginning: String,
}

impl UnplacedStatement {
    fn new(statement: &str) -> Self {
        Self { beginning: statement.lines().next().unwrap_or_default().to_owned() }
    }
}

/// The form of a statement for a table that is sharded, for a view of its rows, or for a view of all rows.
///
/// Of a table, `describe_table` knows the column with the id of the row's stream, and the time to live. A table without such
/// a column is filled on each shard by a materialized view, and never written to directly.
pub(super) fn place_on_shards(
    cluster: &TableCluster,
    statement: &str,
    (database, row_database): (&str, String),
    describe_table: impl Fn(&str) -> TableTraits,
) -> Result<Vec<PlacedStatement>, UnplacedStatement> {
    let statement = skip_comments(statement);
    let on_cluster = cluster.on_cluster_clause();
    let place_in_rows = |sql| PlacedStatement { database: row_database.clone(), sql };
    let place_in_front = |sql| PlacedStatement { database: database.to_owned(), sql };
    if let Some((table, rest)) = split_name(statement, "create table if not exists ") {
        let path = format!("{}/{{shard}}/{{database}}/{{table}}", cluster.keeper_path);
        let replicated = replicate_engine(rest, &path, REPLICA).ok_or_else(|| UnplacedStatement::new(statement))?;
        let TableTraits { sharding_column, ttl } = describe_table(table);
        let replicated = add_ttl(replicated, ttl.as_deref());
        let key = sharding_column.map(|column| format!(", cityHash64({column})")).unwrap_or_default();
        let distributed = format!(
            "create table if not exists {table}{on_cluster} as `{}`.{table}\nengine = Distributed('{}', '{}', \
             '{table}'{key})",
            escape_text(&row_database, '`'),
            escape_text(&cluster.name, '\''),
            escape_text(&row_database, '\''),
        );
        let create = format!("create table if not exists {table}{on_cluster}{replicated}");
        return Ok(vec![place_in_rows(create), place_in_front(distributed)]);
    }
    for (prefix, is_of_rows) in
        [("create materialized view if not exists ", true), ("create view if not exists ", false)]
    {
        if let Some((view, rest)) = split_name(statement, prefix) {
            let sql = format!("{prefix}{view}{on_cluster}{rest}");
            return Ok(vec![if is_of_rows { place_in_rows(sql) } else { place_in_front(sql) }]);
        }
    }
    match split_name(statement, "alter table ") {
        Some((view, rest)) if rest.trim_start().starts_with("modify query") => {
            Ok(vec![place_in_rows(format!("alter table {view}{on_cluster}{rest}"))])
        }
        Some(_) | None => Err(UnplacedStatement::new(statement)),
    }
}

/// The form of a statement for a table that every server has as a whole.
pub(super) fn place_on_every_server(cluster: &TableCluster, statement: &str) -> Result<String, UnplacedStatement> {
    let unplaced = || UnplacedStatement::new(statement);
    let (table, rest) = split_name(statement, "create table if not exists ").ok_or_else(unplaced)?;
    let path = format!("{}/all/{{database}}/{{table}}", cluster.keeper_path);
    let rest = replicate_engine(rest, &path, REPLICA_OF_ALL).ok_or_else(unplaced)?;
    Ok(format!("create table if not exists {table}{}{rest}", cluster.on_cluster_clause()))
}

/// Adds a time to live to the definition of a table. A replica that is added later has to be created with the others'
/// definition: the server compares the definitions.
fn add_ttl(definition: String, ttl: Option<&str>) -> String {
    let Some(ttl) = ttl else { return definition };
    match definition.split_once("\nsettings ") {
        Some((before, settings)) => format!("{before}\nttl {ttl}\nsettings {settings}"),
        None => format!("{definition}\nttl {ttl}"),
    }
}

fn skip_comments(mut statement: &str) -> &str {
    while let Some(comment) = statement.strip_prefix("--") {
        statement = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    statement
}

/// Splits what follows the prefix into the name and the rest, which begins with white space.
fn split_name<'a>(statement: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let named = statement.strip_prefix(prefix)?;
    Some(named.split_at(named.find(char::is_whitespace)?))
}

/// Replaces the engine by its replicated form; `None` if it is not one of the `MergeTree` family.
fn replicate_engine(definition: &str, path: &str, replica: &str) -> Option<String> {
    let (columns, engine) = definition.split_once("\nengine = ")?;
    let (name, rest) = engine.split_at(engine.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(engine.len()));
    if !name.ends_with("MergeTree") || name.starts_with("Replicated") {
        return None;
    }
    let (arguments, rest) = match rest.strip_prefix('(') {
        Some(arguments) => arguments.split_once(')').map(|(arguments, rest)| (format!(", {arguments}"), rest))?,
        None => (String::new(), rest),
    };
    Some(format!("{columns}\nengine = Replicated{name}('{path}', '{replica}'{arguments}){rest}"))
}

pub(super) fn escape_text(text: &str, quote: char) -> String {
    text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> TableCluster {
        TableCluster { name: "medhub".to_owned(), keeper_path: "/clickhouse/tables".to_owned() }
    }

    fn place(statement: &str) -> Result<Vec<(String, String)>, UnplacedStatement> {
        let describe = |table: &str| TableTraits {
            sharding_column: (table == "awards").then_some("opportunity_id"),
            ttl: (table == "awards").then(|| "awarded_on + toIntervalDay(7)".to_owned()),
        };
        let placed = place_on_shards(&cluster(), statement, ("m_g1", "m_g1_shard".to_owned()), describe)?;
        Ok(placed.into_iter().map(|placed| (placed.database, placed.sql)).collect())
    }

    #[test]
    fn a_table_becomes_a_replicated_one_for_the_rows_and_a_distributed_one_in_front() {
        let placed = place(
            "-- One row per award.\ncreate table if not exists awards\n(\n    opportunity_id String\n)\n\
             engine = ReplacingMergeTree(sequence)\norder by opportunity_id\nsettings index_granularity = 512",
        );
        let expected = [
            (
                "m_g1_shard",
                "create table if not exists awards on cluster `medhub`\n(\n    opportunity_id String\n)\n\
                 engine = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', \
                 sequence)\norder by opportunity_id\nttl awarded_on + toIntervalDay(7)\nsettings index_granularity = 512",
            ),
            (
                "m_g1",
                "create table if not exists awards on cluster `medhub` as `m_g1_shard`.awards\n\
                 engine = Distributed('medhub', 'm_g1_shard', 'awards', cityHash64(opportunity_id))",
            ),
        ];
        assert_eq!(placed.unwrap(), expected.map(|(database, sql)| (database.to_owned(), sql.to_owned())));
    }

    #[test]
    fn a_time_to_live_stands_before_the_settings() {
        let added = |definition: &str| add_ttl(definition.to_owned(), Some("a + toIntervalDay(1)"));
        assert_eq!(added("\norder by a"), "\norder by a\nttl a + toIntervalDay(1)");
        assert_eq!(added("\norder by a\nsettings b = 1"), "\norder by a\nttl a + toIntervalDay(1)\nsettings b = 1");
        assert_eq!(add_ttl("\norder by a".to_owned(), None), "\norder by a");
    }

    #[test]
    fn a_table_that_a_view_fills_has_no_sharding_key() {
        let placed =
            place("create table if not exists states\n(\n    a UInt8\n)\nengine = AggregatingMergeTree\norder by a");
        let placed = placed.unwrap();
        assert!(placed[0].1.contains(
            "ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')\norder"
        ));
        assert!(placed[1].1.ends_with("Distributed('medhub', 'm_g1_shard', 'states')"), "{placed:?}");
    }

    #[test]
    fn a_materialized_view_is_beside_the_rows_and_a_view_in_front_of_all() {
        let (rows, front) = ("m_g1_shard".to_owned(), "m_g1".to_owned());
        assert_eq!(
            place("create materialized view if not exists a to b as\nselect 1 from c").unwrap(),
            [(
                rows.clone(),
                "create materialized view if not exists a on cluster `medhub` to b as\nselect 1 from c".to_owned()
            )]
        );
        assert_eq!(
            place("-- one\n-- two\nalter table a modify query\nselect 2 from c").unwrap(),
            [(rows, "alter table a on cluster `medhub` modify query\nselect 2 from c".to_owned())]
        );
        assert_eq!(
            place("create view if not exists v as\nselect 1").unwrap(),
            [(front, "create view if not exists v on cluster `medhub` as\nselect 1".to_owned())]
        );
    }

    #[test]
    fn a_table_of_every_server_has_one_path_for_all_shards() {
        let placed = place_on_every_server(
            &cluster(),
            "create table if not exists ?.?\n(\n    n UInt32\n)\nengine = ReplacingMergeTree(moved)\norder by tuple()",
        );
        assert_eq!(
            placed.unwrap(),
            "create table if not exists ?.? on cluster `medhub`\n(\n    n UInt32\n)\n\
             engine = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}_{replica}', moved)\n\
             order by tuple()"
        );
    }

    #[test]
    fn a_statement_in_another_form_is_an_error() {
        for statement in [
            "drop table awards",
            "create table awards\n(\n    a UInt8\n)\nengine = MergeTree\norder by a",
            "create table if not exists awards\n(\n    a UInt8\n)\nengine = Memory",
            "alter table awards add column b UInt8",
            "insert into awards values (1)",
            "",
        ] {
            assert!(place(statement).is_err(), "{statement}");
        }
    }
}
