//! The views that analysts query: plain views in one database, which all switch to another generation at once.
//!
//! Every view selects from each generation that may be active, under the condition that the table `generation` names
//! it. For a switch, the views are first created over both generations, then the pointer in that table is changed. The
//! server evaluates the condition before it reads, so it reads nothing of the other generation.
//!
//! On a cluster, views and pointer are on every server. The pointer has another name there, so that the views of one server
//! stay as they are until the first generation on the cluster is shown.

use clickhouse::{Row, sql::Identifier};
use serde::Deserialize;

use super::OpportunityAnalytics;
use crate::{QueryError, runtime::ReadModelGeneration, storage::clickhouse::TablePlacement};

/// The views, and whether their tables need `final` to merge the versions of a row.
const VIEWS: [(&str, bool); 12] = [
    ("opportunities", true),
    ("awards", true),
    ("events", true),
    ("engagement", true),
    ("engagement_1m", false),
    ("engagement_1h", false),
    ("engagement_1m_states", false),
    ("engagement_1h_states", false),
    ("generation_requests", true),
    ("generated_sections", true),
    ("generation_results", true),
    ("proposal_generations", false),
];

/// Tables that releases without generations created in the analysts' database.
const LEGACY_TABLES: [&str; 4] = ["opportunities", "awards", "events", "schema_migrations"];

/// The table that names the generation which the views read.
fn pointer_table(placement: &TablePlacement) -> &'static str {
    match placement {
        TablePlacement::SingleServer => "generation",
        TablePlacement::Cluster(_) => "cluster_generation",
    }
}

#[derive(Debug, Row, Deserialize)]
struct ViewColumn {
    database: String,
    name: String,
    r#type: String,
}

impl OpportunityAnalytics {
    /// Switches the views to this generation.
    pub(super) async fn publish_views(&self) -> Result<(), QueryError> {
        let placement = &self.load_placement().await?;
        let database = self.analyst_database();
        let create = format!("create database if not exists ?{}", placement.on_cluster_clause());
        self.store().run_statement(self.server().query(&create).bind(Identifier(database)).execute()).await?;
        let create = placement.place_on_every_server(include_str!("sql/generation_pointer.sql"))?;
        let create = self.server().query(&create).bind(Identifier(database)).bind(Identifier(pointer_table(placement)));
        self.store().run_statement(create.execute()).await?;
        self.move_legacy_tables().await?;
        let published = self.published_generation(placement).await?;
        let other = match published.filter(|published| *published != self.generation()) {
            Some(other) if self.with_generation(other).load_placement().await? == *placement => Some(other),
            // The servers of this generation do not have the tables of the other one.
            Some(_) | None => None,
        };
        // The first views on a cluster replace the views of one server, which have another pointer. The cluster's
        // pointer is moved first, so that each new view has rows from its creation.
        let moves_first = published.is_none() && matches!(placement, TablePlacement::Cluster(_));
        if moves_first {
            self.move_pointer(placement).await?;
        }
        self.create_views(placement, &other.into_iter().chain([self.generation()]).collect::<Vec<_>>()).await?;
        if published != Some(self.generation()) && !moves_first {
            self.move_pointer(placement).await?;
        }
        if published != Some(self.generation()) {
            tracing::info!(generation = %self.generation(), "analysts' views switched to another generation");
        }
        Ok(())
    }

    /// Removes this generation from the views, so that it can be dropped.
    pub(super) async fn withdraw_views(&self, placement: &TablePlacement) -> Result<(), QueryError> {
        let exists = self.server().query("select count() > 0 from system.tables where database = ? and name = ?");
        let exists = exists.bind(self.analyst_database()).bind(pointer_table(placement));
        if !self.store().run_statement(exists.fetch_one::<bool>()).await? {
            return Ok(());
        }
        // On a cluster, the views may belong to generations that are elsewhere, which have another pointer.
        if self.store().cluster().is_some() && !self.is_shown().await? {
            return Ok(());
        }
        match self.published_generation(placement).await? {
            Some(published) if published != self.generation() => self.create_views(placement, &[published]).await,
            // There is no other generation that the views could read.
            Some(_) | None => self.drop_views(placement).await,
        }
    }

    /// Whether one of the views reads tables of this generation.
    async fn is_shown(&self) -> Result<bool, QueryError> {
        let query = self.server().query(include_str!("sql/view_reads_database.sql"));
        let names: Vec<_> = VIEWS.iter().map(|(name, _)| *name).collect();
        let query = query.bind(self.database()).bind(self.analyst_database()).bind(names);
        self.store().run_statement(query.fetch_one::<bool>()).await
    }

    /// The generation that the views read; `None` if there is none, or its table of events does not exist.
    async fn published_generation(
        &self,
        placement: &TablePlacement,
    ) -> Result<Option<ReadModelGeneration>, QueryError> {
        let number = self
            .server()
            .query("select toInt32(argMax(number, moved)) from ?.?")
            .bind(Identifier(self.analyst_database()))
            .bind(Identifier(pointer_table(placement)));
        let number: i32 = self.store().run_statement(number.fetch_one()).await?;
        let Ok(generation) = ReadModelGeneration::try_new(number) else { return Ok(None) };
        let exists = "select count() > 0 from system.tables where database = ? and name = 'events'";
        let exists = self.server().query(exists).bind(self.with_generation(generation).database());
        Ok(self.store().run_statement(exists.fetch_one::<bool>()).await?.then_some(generation))
    }

    async fn move_pointer(&self, placement: &TablePlacement) -> Result<(), QueryError> {
        let (database, pointer) = (self.analyst_database(), pointer_table(placement));
        let insert = self
            .server()
            .query("insert into ?.? select toUInt32(?), max(moved) + 1 from ?.?")
            .bind(Identifier(database))
            .bind(Identifier(pointer))
            .bind(self.generation().number())
            .bind(Identifier(database))
            .bind(Identifier(pointer));
        self.store().run_statement(insert.execute()).await?;
        let TablePlacement::Cluster(cluster) = placement else { return Ok(()) };
        // Every server reads its own copy of the pointer; afterwards all of them show this generation.
        let sync = format!("system sync replica{} ?.?", cluster.on_cluster_clause());
        let sync = self.server().query(&sync).bind(Identifier(database)).bind(Identifier(pointer));
        self.store().run_statement(sync.execute()).await
    }

    /// Creates or replaces every view over these generations, with the columns of the last one.
    async fn create_views(
        &self,
        placement: &TablePlacement,
        generations: &[ReadModelGeneration],
    ) -> Result<(), QueryError> {
        let databases: Vec<_> =
            generations.iter().map(|generation| self.with_generation(*generation).database()).collect();
        for (name, needs_final) in VIEWS {
            let columns = self.server().query(include_str!("sql/view_columns.sql")).bind(&databases).bind(name);
            let columns: Vec<ViewColumn> = self.store().run_statement(columns.fetch_all()).await?;
            let sources: Vec<_> = generations
                .iter()
                .zip(&databases)
                .map(|(generation, database)| ViewSource {
                    generation: *generation,
                    database,
                    table: name,
                    needs_final,
                })
                .collect();
            let mut statement = self.server().query(&view_statement(placement, &sources, &columns));
            statement = statement.bind(Identifier(self.analyst_database())).bind(Identifier(name));
            for source in &sources {
                statement = source.bind_identifiers(statement, self.analyst_database(), pointer_table(placement));
            }
            self.store().run_statement(statement.execute()).await?;
        }
        Ok(())
    }

    async fn drop_views(&self, placement: &TablePlacement) -> Result<(), QueryError> {
        let drop = format!("drop view if exists ?.?{}", placement.on_cluster_clause());
        for (name, _) in VIEWS {
            let drop = self.server().query(&drop).bind(Identifier(self.analyst_database()));
            self.store().run_statement(drop.bind(Identifier(name)).execute()).await?;
        }
        Ok(())
    }

    /// Moves tables with the name of a view, and other tables of earlier releases, to the database `<name>_before`.
    async fn move_legacy_tables(&self) -> Result<(), QueryError> {
        let (database, target) = (self.analyst_database(), format!("{}_before", self.analyst_database()));
        let names: Vec<_> = VIEWS.iter().map(|(name, _)| *name).chain(LEGACY_TABLES).collect();
        let superseded = |database: &str| {
            let query = self.server().query(include_str!("sql/superseded_tables.sql"));
            query.bind(database).bind(&names).fetch_all::<String>()
        };
        let tables = self.store().run_statement(superseded(database)).await?;
        if tables.is_empty() {
            return Ok(());
        }
        self.store()
            .run_statement(self.server().query("create database if not exists ?").bind(Identifier(&target)).execute())
            .await?;
        for table in tables {
            let rename =
                self.server().query("rename table ?.? to ?.?").bind(Identifier(database)).bind(Identifier(&table));
            self.store().run_statement(rename.bind(Identifier(&target)).bind(Identifier(&table)).execute()).await?;
            tracing::warn!(
                table.from = database,
                table.to = target,
                table.name = table,
                "table of an earlier release moved to another database"
            );
        }
        Ok(())
    }
}

/// The table of one generation that a view selects from.
struct ViewSource<'a> {
    generation: ReadModelGeneration,
    database: &'a str,
    table: &'a str,
    needs_final: bool,
}

impl ViewSource<'_> {
    /// Selects the columns in the order of `view_columns`; one that this generation lacks has the default of its type.
    fn select_statement(&self, view_columns: &[&ViewColumn], columns: &[ViewColumn]) -> String {
        let has = |name: &str| columns.iter().any(|column| column.database == self.database && column.name == name);
        let column = |column: &&ViewColumn| {
            let ViewColumn { name, r#type, .. } = column;
            if has(name) { format!("`{name}`") } else { default_column(name, r#type) }
        };
        let list = view_columns.iter().map(column).collect::<Vec<_>>().join(", ");
        let modifier = if self.needs_final { " final" } else { "" };
        let number = self.generation.number();
        format!("select {list} from ?.?{modifier} where (select argMax(number, moved) from ?.?) = {number}")
    }

    fn bind_identifiers(
        &self,
        query: clickhouse::query::Query,
        analyst_database: &str,
        pointer: &str,
    ) -> clickhouse::query::Query {
        let query = query.bind(Identifier(self.database)).bind(Identifier(self.table));
        query.bind(Identifier(analyst_database)).bind(Identifier(pointer))
    }
}

fn default_column(name: &str, r#type: &str) -> String {
    format!("defaultValueOfTypeName('{}') as `{name}`", r#type.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn view_statement(placement: &TablePlacement, sources: &[ViewSource<'_>], columns: &[ViewColumn]) -> String {
    let newest = sources.last().map(|source| source.database);
    let view_columns: Vec<_> = columns.iter().filter(|column| Some(column.database.as_str()) == newest).collect();
    let selects: Vec<_> = sources.iter().map(|source| source.select_statement(&view_columns, columns)).collect();
    format!("create or replace view ?.?{} as {}", placement.on_cluster_clause(), selects.join(" union all "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_a_generation_lacks_has_the_default_of_its_type() {
        let column = |database: &str, name: &str, r#type: &str| ViewColumn {
            database: database.to_owned(),
            name: name.to_owned(),
            r#type: r#type.to_owned(),
        };
        let columns = [
            column("m_g1", "id", "String"),
            column("m_g1", "removed", "String"),
            column("m_g2", "id", "String"),
            column("m_g2", "at", "DateTime64(6, 'UTC')"),
        ];
        let source = |number, database| ViewSource {
            generation: ReadModelGeneration::try_new(number).unwrap(),
            database,
            table: "awards",
            needs_final: true,
        };
        let sources = [source(1, "m_g1"), source(2, "m_g2")];
        let view = view_statement(&TablePlacement::SingleServer, &sources, &columns);
        let pointer = "where (select argMax(number, moved) from ?.?)";
        assert_eq!(
            view,
            format!(
                "create or replace view ?.? as select `id`, defaultValueOfTypeName('DateTime64(6, \\'UTC\\')') as `at` \
                 from ?.? final {pointer} = 1 union all select `id`, `at` from ?.? final {pointer} = 2"
            )
        );
    }
}
