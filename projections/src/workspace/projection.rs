//! What the log's events become here.

use std::{collections::BTreeMap, fmt, time::Duration};

use domain::{context::Context, envelope::RawRecorded};

use super::{
    content::{list_row, stream_row},
    kept::Folding,
    kind::Kind,
    list::ListCursor,
    store::{MARKER, Workspace},
    write::local_id,
};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// One event of something that a tenant owns.
#[derive(Clone)]
pub struct WorkspaceChange {
    pub(super) kind: &'static Kind,
    pub(super) event: RawRecorded,
}

impl fmt::Debug for WorkspaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkspaceChange").field("kind", &self.kind.name).field("event", &self.event).finish()
    }
}

impl Projection for Workspace {
    const NAME: &'static str = "workspace";

    type Change = WorkspaceChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Proposals, Context::Documents, Context::Resources, Context::Tasks, Context::System]
    }

    fn pace() -> Pace {
        Pace { batch_events: 1_000, linger: Duration::from_millis(5), rebuild_events: 5_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<WorkspaceChange>, ProjectionError> {
        let Some(kind) = Kind::of_aggregate(&event.aggregate_type) else { return Ok(vec![]) };
        (kind.check)(event)?;
        Ok(vec![WorkspaceChange { kind, event: event.clone() }])
    }

    async fn apply(&self, changes: &[WorkspaceChange]) -> Result<(), ProjectionError> {
        self.write(changes).await
    }

    async fn give_up(&self, event: &RawRecorded) -> Result<(), ProjectionError> {
        match Kind::of_aggregate(&event.aggregate_type) {
            Some(kind) => self.skip(kind, event).await,
            None => Ok(()),
        }
    }

    async fn holds(&self, change: &WorkspaceChange) -> Result<bool, QueryError> {
        let key = self.stream_key(change.kind.name, &change.event.aggregate_id);
        let (version,): (Option<u64>,) = self.ask(redis::pipe().hget(key, "version")).await?;
        Ok(version.unwrap_or_default() >= change.event.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ask::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.mark().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.remove().await
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        Box::new(Expected { scope: scope.clone(), generation: self.generation, streams: BTreeMap::new() })
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.content(scope).await
    }
}

/// A stream: whose it is, its id there, and what it has come to.
type Stream = (String, String, Box<dyn Folding>);

/// What the log says that a generation should hold.
struct Expected {
    scope: Scope,
    generation: Generation,
    /// By kind and stream.
    streams: BTreeMap<(&'static str, String), Stream>,
}

impl Fold for Expected {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        let Some(kind) = Kind::of_aggregate(&event.aggregate_type) else { return Ok(()) };
        if !self.scope.holds(&event.aggregate_id) {
            return Ok(());
        }
        let key = (kind.name, event.aggregate_id.clone());
        if !self.streams.contains_key(&key) {
            let empty = (kind.stored)(0, None).map_err(ProjectionError::poison)?;
            self.streams.insert(key.clone(), (event.tenant_id.clone(), local_id(event).to_owned(), empty));
        }
        let Some((_, _, folding)) = self.streams.get_mut(&key) else { return Ok(()) };
        match folding.version() {
            version if event.sequence <= version => Ok(()),
            version if event.sequence == version + 1 => folding.take(event),
            version => Err(ProjectionError::poison(format!(
                "stream {}: event {} follows event {version}",
                event.aggregate_id, event.sequence
            ))),
        }
    }

    fn rows(&self) -> Vec<Row> {
        match self.scope {
            Scope::Buckets(_) => {
                let rows = self.streams.iter().filter_map(|((kind, stream), (_, _, folding))| {
                    Some(stream_row(kind, stream, folding.version(), &folding.text().ok()?))
                });
                rows.collect()
            }
            Scope::Totals => {
                let marker = Row::new(MARKER, MARKER, self.generation.to_string());
                let lists = self.streams.iter().flat_map(|((kind, _), (tenant, id, folding))| {
                    let member = ListCursor::new(folding.since(), id).to_string();
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
