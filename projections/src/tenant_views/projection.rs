//! What the log's events become here.

use std::{collections::BTreeMap, fmt, time::Duration};

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{
    aggregate_list::ListCursor,
    queries::{MARKER, TenantViews},
    stored_aggregate::AggregateFold,
    stored_rows::{list_row, stream_row},
    tenant_aggregate::AggregateDescriptor,
    write::local_id,
};
use crate::{
    QueryError,
    runtime::{BatchLimits, Generation, Projection, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope},
};

/// One event of something that a tenant owns.
#[derive(Clone)]
pub struct TenantViewChange {
    pub(super) kind: &'static AggregateDescriptor,
    pub(super) event: RawEnvelope,
}

impl fmt::Debug for TenantViewChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkspaceChange").field("kind", &self.kind.name).field("event", &self.event).finish()
    }
}

impl Projection for TenantViews {
    const NAME: &'static str = "workspace";

    type Change = TenantViewChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[
            BoundedContext::Proposals,
            BoundedContext::Documents,
            BoundedContext::Resources,
            BoundedContext::Tasks,
            BoundedContext::System,
        ]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(5), rebuild_events: 5_000 }
    }

    fn with_generation(&self, generation: Generation) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<TenantViewChange>, ProjectionError> {
        let Some(kind) = AggregateDescriptor::find(&event.aggregate_type) else { return Ok(vec![]) };
        (kind.check_event)(event)?;
        Ok(vec![TenantViewChange { kind, event: event.clone() }])
    }

    async fn apply(&self, changes: &[TenantViewChange]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    async fn skip_event(&self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        match AggregateDescriptor::find(&event.aggregate_type) {
            Some(kind) => self.skip_sequence(kind, event).await,
            None => Ok(()),
        }
    }

    async fn is_applied(&self, change: &TenantViewChange) -> Result<bool, QueryError> {
        let key = self.stream_key(change.kind.name, &change.event.aggregate_id);
        let (version,): (Option<u64>,) = self.run_pipeline(redis::pipe().hget(key, "version")).await?;
        Ok(version.unwrap_or_default() >= change.event.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.run_pipeline::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.set_marker().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.remove_keys().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(TenantViewFold { scope: scope.clone(), generation: self.generation, streams: BTreeMap::new() })
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        self.scan_rows(scope).await
    }
}

/// A stream: whose it is, its id there, and what it has come to.
type ExpectedStream = (String, String, Box<dyn AggregateFold>);

/// What the log says that a generation should hold.
struct TenantViewFold {
    scope: VerifyScope,
    generation: Generation,
    /// By kind and stream.
    streams: BTreeMap<(&'static str, String), ExpectedStream>,
}

impl ReadModelFold for TenantViewFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let Some(kind) = AggregateDescriptor::find(&event.aggregate_type) else { return Ok(()) };
        if !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        let key = (kind.name, event.aggregate_id.clone());
        if !self.streams.contains_key(&key) {
            let empty = (kind.restore)(0, None).map_err(ProjectionError::poison)?;
            self.streams.insert(key.clone(), (event.tenant_id.clone(), local_id(event).to_owned(), empty));
        }
        let Some((_, _, folding)) = self.streams.get_mut(&key) else { return Ok(()) };
        match folding.version() {
            version if event.sequence <= version => Ok(()),
            version if event.sequence == version + 1 => folding.apply_event(event),
            version => Err(ProjectionError::poison(format!(
                "stream {}: event {} follows event {version}",
                event.aggregate_id, event.sequence
            ))),
        }
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        match self.scope {
            VerifyScope::Buckets(_) => {
                let rows = self.streams.iter().filter_map(|((kind, stream), (_, _, folding))| {
                    Some(stream_row(kind, stream, folding.version(), &folding.to_json().ok()?))
                });
                rows.collect()
            }
            VerifyScope::Totals => {
                let marker = ReadModelRow::new(MARKER, MARKER, self.generation.to_string());
                let lists = self.streams.iter().flat_map(|((kind, _), (tenant, id, folding))| {
                    let member = ListCursor::new(folding.created_at_millis(), id).to_string();
                    folding
                        .groups()
                        .into_iter()
                        .map(move |group| list_row(&format!("{kind}:{tenant}:{group}"), &member))
                });
                lists.chain([marker]).collect()
            }
        }
    }
}
