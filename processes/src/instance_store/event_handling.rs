//! Reacts to events.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{Postgres, Row, Transaction};
use uuid::Uuid;

use super::{DecisionBatch, InstanceKey, InstanceStore, InstanceStoreError, LockWait, lock_instances, postgres_error};
use crate::{InstanceSelector, Process, ProcessInput, any_process::decide, process_projection::ProcessEvent};

impl InstanceStore {
    /// Lets the instances react to events, in order, in one transaction. Events that were handled before change nothing.
    pub(crate) async fn handle_events<P: Process>(
        &self,
        events: &[ProcessEvent<P::Event>],
    ) -> Result<(), InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let keys = self.find_instances::<P>(&mut transaction, events).await?;
        // In reverse: of several events that start the same instance, the first one's correlation counts.
        let starting: BTreeMap<&InstanceKey, Uuid> = events
            .iter()
            .zip(&keys)
            .rev()
            .filter(|(event, _)| P::is_start(&event.event))
            .filter_map(|(event, key)| Some((key.as_ref()?, event.cause.correlation_id)))
            .collect();
        insert_instances(&mut transaction, P::NAME, &starting).await?;
        let all: BTreeSet<&InstanceKey> = keys.iter().flatten().collect();
        let instances = lock_instances(&mut transaction, P::NAME, all.into_iter(), LockWait::Wait).await?;
        let mut batch = DecisionBatch::new(P::NAME, instances);
        for (event, key) in events.iter().zip(&keys) {
            if let Some(key) = key {
                react_to_event::<P>(&mut batch, key, event)?;
            }
        }
        batch.write(&mut transaction).await?;
        self.commit(transaction).await
    }

    /// Whether the event was handled, or belongs to no instance.
    pub(crate) async fn has_handled<P: Process>(
        &self,
        event: &ProcessEvent<P::Event>,
    ) -> Result<bool, InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let keys = self.find_instances::<P>(&mut transaction, std::slice::from_ref(event)).await?;
        let Some(key) = keys.into_iter().flatten().next() else { return Ok(true) };
        let found: Option<Option<i64>> = sqlx::query_scalar(
            "select (handled ->> $4)::bigint from process_instances
             where process = $1 and tenant_id = $2 and instance_id = $3",
        )
        .bind(P::NAME)
        .bind(&key.tenant_id)
        .bind(&key.instance_id)
        .bind(stream_name(event))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(postgres_error("reading an instance of a process"))?;
        Ok(match found {
            Some(handled) => handled.and_then(|handled| u64::try_from(handled).ok()) >= Some(event.sequence),
            None => !P::is_start(&event.event),
        })
    }

    /// The instance of each event; `None` for an event of a stream that no instance follows.
    async fn find_instances<P: Process>(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
        events: &[ProcessEvent<P::Event>],
    ) -> Result<Vec<Option<InstanceKey>>, InstanceStoreError> {
        let by_stream = events.iter().filter(|event| event.selector == InstanceSelector::FollowedStream);
        let (types, streams): (Vec<_>, Vec<_>) =
            by_stream.map(|event| (event.aggregate_type.as_str(), event.aggregate_id.as_str())).unzip();
        let followers = if streams.is_empty() {
            HashMap::new()
        } else {
            load_followers(transaction, P::NAME, &types, &streams).await?
        };
        let key_of = |event: &ProcessEvent<P::Event>| match &event.selector {
            InstanceSelector::Id(id) => {
                Some(InstanceKey { tenant_id: event.tenant_id.clone(), instance_id: id.clone() })
            }
            InstanceSelector::FollowedStream => {
                // A process of one tenant never follows a stream of another.
                let found = followers.get(&(event.aggregate_type.clone(), event.aggregate_id.clone()));
                found.filter(|key| key.tenant_id == event.tenant_id).cloned()
            }
        };
        Ok(events.iter().map(key_of).collect())
    }
}

fn react_to_event<P: Process>(
    batch: &mut DecisionBatch,
    key: &InstanceKey,
    event: &ProcessEvent<P::Event>,
) -> Result<(), InstanceStoreError> {
    if !batch.mark_handled(key, &stream_name(event), event.sequence) {
        return Ok(());
    }
    let Some(instance) = batch.instance(key).filter(|instance| instance.status.is_open()) else { return Ok(()) };
    let decision = decide::<P>(&instance.state, ProcessInput::Event(&event.event))
        .map_err(|source| key.unreadable_state(P::NAME, source))?;
    batch.add_decision(key, decision, event.cause)
}

fn stream_name<E>(event: &ProcessEvent<E>) -> String {
    format!("{}/{}", event.aggregate_type, event.aggregate_id)
}

pub(super) async fn insert_instances(
    transaction: &mut Transaction<'static, Postgres>,
    process: &str,
    starting: &BTreeMap<&InstanceKey, Uuid>,
) -> Result<(), InstanceStoreError> {
    if starting.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("insert.sql"))
        .bind(process)
        .bind(starting.keys().map(|key| key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(starting.keys().map(|key| key.instance_id.as_str()).collect::<Vec<_>>())
        .bind(starting.values().copied().collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(postgres_error("adding instances of a process"))
}

type StreamFollowers = HashMap<(String, String), InstanceKey>;

async fn load_followers(
    transaction: &mut Transaction<'static, Postgres>,
    process: &str,
    types: &[&str],
    streams: &[&str],
) -> Result<StreamFollowers, InstanceStoreError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id, tenant_id, instance_id from process_streams
         where process = $1 and (aggregate_type, aggregate_id) in (select * from unnest($2::text[], $3::text[]))",
    )
    .bind(process)
    .bind(types)
    .bind(streams)
    .fetch_all(&mut **transaction)
    .await
    .map_err(postgres_error("reading the streams that a process follows"))?;
    let decoded = rows
        .iter()
        .map(|row| Ok(((row.try_get("aggregate_type")?, row.try_get("aggregate_id")?), super::key_from_row(row)?)))
        .collect::<Result<BTreeMap<_, _>, sqlx::Error>>();
    Ok(decoded.map_err(postgres_error("decoding the streams that a process follows"))?.into_iter().collect())
}
