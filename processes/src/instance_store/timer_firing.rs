//! Fires due timers: lets their instances react.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::error_chain::format_error_chain;
use sqlx::{Row, postgres::PgRow};
use telemetry::StoredTraceContext;
use uuid::Uuid;

use super::{
    DecisionBatch, InputCause, InstanceKey, InstanceStore, InstanceStoreError, LockWait, key_from_row, lock_instances,
    postgres_error,
};
use crate::AnyProcess;

/// Namespace of ids derived from timers, which are the causes of commands.
const TIMER_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f70_726f_6365_7373_5f74);

struct DueTimer {
    key: InstanceKey,
    name: String,
    set_by_version: i64,
    correlation_id: Uuid,
    /// `None` for timers of earlier releases.
    causation_id: Option<Uuid>,
    trace: Option<StoredTraceContext>,
    due_at: DateTime<Utc>,
}

impl InstanceStore {
    /// Finds which of the processes have due timers.
    pub(crate) async fn find_due_processes(
        &self,
        processes: &[&'static str],
    ) -> Result<Vec<String>, InstanceStoreError> {
        let found = sqlx::query_scalar(include_str!("find_due_processes.sql"));
        found.bind(processes).fetch_all(&self.pool).await.map_err(postgres_error("looking for due timers"))
    }

    /// Lets instances of the process react to timers that are due, `limit` at most; returns how many timers fired.
    pub(crate) async fn fire_due_timers(
        &self,
        process: &dyn AnyProcess,
        limit: u32,
    ) -> Result<usize, InstanceStoreError> {
        let candidates: Vec<String> = sqlx::query_scalar(
            "select distinct tenant_id || ' ' || instance_id from (
                 select tenant_id, instance_id from process_timers
                 where process = $1 and due_at <= now() order by due_at limit $2) due",
        )
        .bind(process.name())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(postgres_error("reading due timers"))?;
        // A tenant's id has no space.
        let keys: BTreeSet<InstanceKey> = candidates
            .iter()
            .filter_map(|pair| pair.split_once(' '))
            .map(|(tenant, id)| InstanceKey { tenant_id: tenant.to_owned(), instance_id: id.to_owned() })
            .collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        // An instance that is locked is taken at the next time.
        let instances = lock_instances(&mut transaction, process.name(), keys.iter(), LockWait::Skip).await?;
        let keys: Vec<InstanceKey> = instances.keys().cloned().collect();
        // Read again under the locks: another runner may have fired the timers meanwhile.
        let rows = sqlx::query(include_str!("take_due_timers.sql"))
            .bind(process.name())
            .bind(keys.iter().map(|key| key.tenant_id.as_str()).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.instance_id.as_str()).collect::<Vec<_>>())
            .fetch_all(&mut *transaction)
            .await
            .map_err(postgres_error("taking due timers"))?;
        let mut timers: Vec<_> =
            rows.iter().map(timer_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding due timers"))?;
        timers.sort_by_key(|timer| timer.due_at);
        let mut batch = DecisionBatch::new(process.name(), instances);
        for timer in &timers {
            // The reaction to another timer may have cancelled this one, or set it again.
            if batch.has_changed_timer(&timer.key, &timer.name) {
                continue;
            }
            let Some(instance) = batch.instance(&timer.key).filter(|instance| instance.status.is_open()) else {
                continue;
            };
            let cause = timer.cause(process.name());
            match process.react_to_timeout(&instance.state, &timer.name) {
                Ok(decision) => batch.add_decision(&timer.key, decision, cause)?,
                Err(source) => {
                    // A program of the release that stored the state handles it; the other instances must not wait.
                    let error = timer.key.unreadable_state(process.name(), source);
                    tracing::warn!(reason = format_error_chain(&error), "timer of a process postponed");
                    batch.postpone_timer(&timer.key, &timer.name, timer.set_by_version, cause);
                }
            }
        }
        batch.write(&mut transaction).await?;
        self.commit(transaction).await?;
        Ok(timers.len())
    }
}

impl DueTimer {
    fn cause(&self, process: &str) -> InputCause {
        let InstanceKey { tenant_id, instance_id } = &self.key;
        let name = format!("{process} {tenant_id} {instance_id} {} {}", self.name, self.set_by_version);
        let id = Uuid::new_v5(&TIMER_NAMESPACE, name.as_bytes());
        InputCause {
            id,
            causation_id: self.causation_id.unwrap_or(id),
            correlation_id: self.correlation_id,
            trace: self.trace,
        }
    }
}

fn timer_from_row(row: &PgRow) -> Result<DueTimer, sqlx::Error> {
    Ok(DueTimer {
        key: key_from_row(row)?,
        name: row.try_get("name")?,
        set_by_version: row.try_get("set_by_version")?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        trace: StoredTraceContext::parse(row.try_get("traceparent")?),
        due_at: row.try_get("due_at")?,
    })
}
