//! Compares what clients were told with the log, the topics and the read models.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use eventstore::topic::KafkaConfig;
use sqlx::{Connection as _, PgConnection};

use super::{client_load::LoadLedger, newer_release::NewerRelease};
use crate::{
    ProductHandle,
    chaos::comparison,
    faults::{
        bounded_wait::wait_until,
        evidence_reader,
        log_audit::{AuditEvidence, DisturbancePeriod, LogEvent},
    },
};

/// How long everything may take to catch up after the load.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);

/// How many findings of a kind are described.
const MAX_EXAMPLES: usize = 10;

/// The user that records what the process of a document decides.
const DOCUMENT_PROCESS: &str = "system:document-analysis";

/// Effects of the process of each document: three tasks, and one notification.
const EFFECTS: [(&str, u64); 2] = [("task.requested", 3), ("inbox.notified", 1)];

/// What an audit found.
pub(super) struct PromiseFindings {
    pub(super) events: usize,
    /// Rows of read models that were compared.
    pub(super) rows: u64,
    pub(super) violations: Vec<String>,
}

/// Waits until the process of every document has ended, and the relay and every projection have caught up; then compares.
pub(super) async fn audit_promises(
    product: &ProductHandle,
    kafka: &KafkaConfig,
    ledger: &LoadLedger,
    newer: Option<&NewerRelease>,
    disturbances: Vec<DisturbancePeriod>,
) -> anyhow::Result<PromiseFindings> {
    let mut violations = vec![];
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await?;
    let documents = wait_for_document_processes(&mut connection, ledger.documents.len(), CATCH_UP_TIMEOUT).await;
    violations.extend(documents.err().map(|error| format!("the processes of documents: {error:#}")));
    let caught_up = comparison::wait_until_caught_up(product, CATCH_UP_TIMEOUT).await;
    violations.extend(caught_up.err().map(|error| format!("not caught up: {error:#}")));

    let log = evidence_reader::read_log(&mut connection).await?;
    violations.extend(compare_with_commands(&log, ledger));
    violations.extend(count_document_effects(&mut connection, ledger.documents.len()).await?);
    let evidence = AuditEvidence {
        records: evidence_reader::read_topics(kafka).await?,
        incarnation: Some(evidence_reader::read_incarnation(&mut connection).await?),
        log,
        ledger: vec![],
        disturbances,
    };
    connection.close().await?;
    let found = evidence.audit_topics();
    violations.extend(found.violations.iter().take(MAX_EXAMPLES).map(ToString::to_string));
    if let Some(newer) = newer {
        newer.let_verify_know_events().await?;
    }
    let compared = comparison::compare_read_models(product).await?;
    violations.extend(compared.violations);
    Ok(PromiseFindings { events: evidence.log.len(), rows: compared.rows, violations })
}

/// Every acknowledged command has its event, and no other event is in the streams of clients.
fn compare_with_commands(log: &[LogEvent], ledger: &LoadLedger) -> Vec<String> {
    let mut recorded = HashMap::<&str, Vec<u64>>::new();
    for event in log {
        // Streams of companies have its name in front.
        let id = event.aggregate_id.strip_prefix(&format!("{}:", event.tenant_id)).unwrap_or(&event.aggregate_id);
        recorded.entry(id).or_default().push(event.sequence);
    }
    let mut acknowledged = HashMap::<&str, Vec<u64>>::new();
    for command in &ledger.commands {
        acknowledged.entry(&command.aggregate_id).or_default().push(command.version);
    }
    let mut violations = vec![];
    for (aggregate_id, mut versions) in acknowledged {
        versions.sort_unstable();
        let sequences = recorded.get(aggregate_id).cloned().unwrap_or_default();
        if sequences != versions {
            violations.push(format!("{aggregate_id}: acknowledged {versions:?}, the log has {sequences:?}"));
        }
    }
    violations.sort();
    violations.truncate(MAX_EXAMPLES);
    violations
}

/// Waits until as many processes have ended as documents were uploaded, and no command of one is pending.
async fn wait_for_document_processes(
    connection: &mut PgConnection,
    documents: usize,
    timeout: Duration,
) -> anyhow::Result<()> {
    let ended = "select (select count(*) from process_instances where status = 'finished'),
                        (select count(*) from process_commands)";
    let expected = (i64::try_from(documents)?, 0);
    wait_until(timeout, async || {
        let found: (i64, i64) = sqlx::query_as(ended).fetch_one(&mut *connection).await?;
        anyhow::ensure!(found == expected, "{found:?} have ended and commands are pending, not {expected:?}");
        Ok(())
    })
    .await
}

/// Each effect of the process of each document is recorded once.
async fn count_document_effects(connection: &mut PgConnection, documents: usize) -> anyhow::Result<Vec<String>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select event_type, count(*) from events where metadata ->> 'user_id' = $1 group by 1")
            .bind(DOCUMENT_PROCESS)
            .fetch_all(connection)
            .await
            .context("counting what the processes of documents recorded")?;
    let found: HashMap<_, _> = rows.into_iter().collect();
    let mut violations = vec![];
    for (event_type, per_document) in EFFECTS {
        let expected = i64::try_from(documents)? * i64::try_from(per_document)?;
        let count = found.get(event_type).copied().unwrap_or_default();
        if count != expected {
            violations.push(format!("{count} times {event_type} for {documents} documents, not {expected}"));
        }
    }
    Ok(violations)
}
