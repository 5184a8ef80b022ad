//! Migrates the database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use super::{
    OpportunityAnalytics,
    award_row::AwardRow,
    engagement_row::EngagementRow,
    event_row::EventRow,
    generation_rows::{GeneratedSectionRow, GenerationRequestRow, GenerationResultRow},
    opportunity_row::OpportunityRow,
};
use crate::{
    QueryError,
    storage::{
        StorageProblem,
        clickhouse::{MigrationSet, TablePlacement, TableRetention, split_statements},
    },
};

const MIGRATIONS: MigrationSet = MigrationSet { scripts: SCRIPTS, sharding_columns: SHARDING_COLUMNS };

/// On a cluster, all rows of a stream are on one shard.
const SHARDING_COLUMNS: &[(&str, &str)] = &[
    (EventRow::TABLE, "aggregate_id"),
    (OpportunityRow::TABLE, "id"),
    (AwardRow::TABLE, "opportunity_id"),
    (EngagementRow::TABLE, "aggregate_id"),
    (GenerationRequestRow::TABLE, "aggregate_id"),
    (GeneratedSectionRow::TABLE, "aggregate_id"),
    (GenerationResultRow::TABLE, "aggregate_id"),
];

/// The migrations in order; a released one never changes.
const SCRIPTS: &[(&str, &str)] = &[
    ("0001_events", include_str!("../../../migrations/clickhouse/0001_events.sql")),
    ("0002_opportunities", include_str!("../../../migrations/clickhouse/0002_opportunities.sql")),
    ("0003_awards", include_str!("../../../migrations/clickhouse/0003_awards.sql")),
    ("0004_engagement", include_str!("../../../migrations/clickhouse/0004_engagement.sql")),
    ("0005_engagement_aggregates", include_str!("../../../migrations/clickhouse/0005_engagement_aggregates.sql")),
    ("0006_engagement_window", include_str!("../../../migrations/clickhouse/0006_engagement_window.sql")),
    ("0007_proposal_generations", include_str!("../../../migrations/clickhouse/0007_proposal_generations.sql")),
];

impl OpportunityAnalytics {
    /// Creates this generation's database and tables, and sets their time to live.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects a statement, or when the cluster of the settings cannot have
    /// the tables.
    pub async fn migrate(&self) -> Result<(), QueryError> {
        self.store().refuse_unusable_cluster(self.config().insert_quorum).await?;
        let placement = self.load_placement().await?;
        self.store().apply_migrations(&MIGRATIONS, &placement, &self.retentions()).await?;
        for retention in self.retentions() {
            self.store().set_table_ttl(&placement, retention).await?;
        }
        Ok(())
    }

    fn retentions(&self) -> [TableRetention; 4] {
        let config = self.config();
        [
            TableRetention { table: EventRow::TABLE, time: "toDateTime(recorded_at)", days: config.raw_ttl_days },
            TableRetention { table: EngagementRow::TABLE, time: "toDateTime(recorded_at)", days: config.raw_ttl_days },
            TableRetention { table: "engagement_1m_states", time: "minute", days: config.minute_ttl_days },
            TableRetention { table: "engagement_1h_states", time: "hour", days: config.hour_ttl_days },
        ]
    }

    /// The statements that create the tables of this generation on the cluster of the settings, or on one server if they
    /// name none: each with the database in which it is executed. For an operator who reviews them.
    ///
    /// # Errors
    /// [`QueryError`] when a migration has no form for a cluster: a defect of this program.
    pub fn migration_statements(&self) -> Result<Vec<(String, String)>, QueryError> {
        let placement = self.store().cluster().cloned().map_or(TablePlacement::SingleServer, TablePlacement::Cluster);
        let retentions = self.retentions();
        let describe_table = |table: &str| MIGRATIONS.describe_table(table, &retentions);
        let mut statements = Vec::new();
        for statement in MIGRATIONS.scripts.iter().flat_map(|(_, script)| split_statements(script)) {
            let placed = placement.place_statement(statement, &self.database(), describe_table)?;
            statements.extend(placed.into_iter().map(|placed| (placed.database, placed.sql)));
        }
        Ok(statements)
    }

    /// Where the tables of this generation are.
    pub(super) async fn load_placement(&self) -> Result<TablePlacement, QueryError> {
        self.store().load_placement(EventRow::TABLE).await
    }

    /// What is wrong with the cluster that the settings name, or should name; empty if nothing is.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn find_cluster_problems(&self) -> Result<Vec<StorageProblem>, QueryError> {
        let mut problems = self.store().find_cluster_problems(self.config().insert_quorum).await?;
        if problems.iter().any(|problem| problem.harmful) {
            return Ok(problems);
        }
        if self.store().cluster().is_none() {
            return Ok(self.store().find_unnamed_cluster(EventRow::TABLE).await?.into_iter().collect());
        }
        if let TablePlacement::Cluster(cluster) = self.load_placement().await? {
            let incomplete = self.store().find_incomplete_servers(&cluster).await?;
            problems.extend(incomplete.into_iter().map(|server| StorageProblem {
                text: format!(
                    "the server {server} of the cluster lacks tables of generation {}: run `medhub migrate`",
                    self.generation()
                ),
                harmful: false,
            }));
        }
        Ok(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::clickhouse::ClickHouseConfig;

    #[test]
    fn migrations_are_numbered_without_gaps_and_have_statements() {
        for (index, (name, script)) in SCRIPTS.iter().enumerate() {
            assert_eq!(name.split_once('_').unwrap().0, format!("{:04}", index + 1));
            assert!(split_statements(script).count() >= 1, "{name}");
        }
    }

    #[test]
    fn every_migration_has_a_form_for_a_cluster_and_can_be_repeated() {
        let config = ClickHouseConfig { cluster: "medhub".to_owned(), ..ClickHouseConfig::default() };
        let analytics = OpportunityAnalytics::new(&config).unwrap();
        let placed = analytics.migration_statements().unwrap();
        for (database, sql) in &placed {
            assert!(sql.contains(" on cluster `medhub`"), "{sql}");
            assert!(sql.contains(" if not exists ") || sql.contains(" modify query"), "{sql}");
            let is_of_rows =
                sql.contains("engine = Replicated") || sql.contains(" materialized ") || sql.contains(" modify ");
            assert_eq!(database, if is_of_rows { "medhub_g1_shard" } else { "medhub_g1" }, "{sql}");
        }
        let written: Vec<_> = placed.iter().filter(|(_, sql)| sql.contains(", cityHash64(")).collect();
        assert_eq!(written.len(), SHARDING_COLUMNS.len(), "{written:?}");
        let with_ttl: Vec<_> = placed.iter().filter(|(_, sql)| sql.contains("\nttl ")).collect();
        assert_eq!(with_ttl.len(), analytics.retentions().len(), "{with_ttl:?}");
    }

    #[test]
    fn one_server_gets_the_statements_of_the_scripts() {
        let analytics = OpportunityAnalytics::new(&ClickHouseConfig::default()).unwrap();
        let scripts = SCRIPTS.iter().flat_map(|(_, script)| split_statements(script));
        let expected: Vec<_> = scripts.map(|statement| ("medhub_g1".to_owned(), statement.to_owned())).collect();
        assert_eq!(analytics.migration_statements().unwrap(), expected);
    }
}
