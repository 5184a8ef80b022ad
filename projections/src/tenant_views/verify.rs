//! The rows that verify expects, folded from the log.

use std::collections::BTreeMap;

use domain::envelope::RawEnvelope;

use super::{
    aggregate_list::ListCursor,
    read_back::{list_row, stream_row},
    stored_aggregate::AggregateFold,
    tenant_aggregate::AggregateDescriptor,
};
use crate::{
    runtime::{ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope},
    storage::redis::GENERATION_ROW,
};

/// A stream: its tenant, the aggregate's id there, and the folded state.
type ExpectedStream = (String, String, Box<dyn AggregateFold>);

/// The expected streams, or the expected entries of lists.
pub(super) struct TenantViewFold {
    scope: VerifyScope,
    generation: ReadModelGeneration,
    /// By aggregate type and stream.
    streams: BTreeMap<(&'static str, String), ExpectedStream>,
}

impl TenantViewFold {
    pub(super) fn new(scope: VerifyScope, generation: ReadModelGeneration) -> Self {
        Self { scope, generation, streams: BTreeMap::new() }
    }
}

impl ReadModelFold for TenantViewFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let Some(kind) = AggregateDescriptor::find(&event.aggregate_type) else { return Ok(()) };
        if !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        let key = (kind.name, event.aggregate_id.clone());
        if !self.streams.contains_key(&key) {
            let stream = (event.tenant_id.clone(), event.local_id().to_owned(), (kind.create)());
            self.streams.insert(key.clone(), stream);
        }
        let Some((_, _, folded)) = self.streams.get_mut(&key) else { return Ok(()) };
        match folded.version() {
            version if event.sequence <= version => Ok(()),
            version if event.sequence == version + 1 => folded.apply_event(event),
            version => Err(ProjectionError::poison(format!(
                "stream {}: event {} follows event {version}",
                event.aggregate_id, event.sequence
            ))),
        }
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        match self.scope {
            VerifyScope::Buckets(_) => {
                let rows = self.streams.iter().filter_map(|((kind, stream), (_, _, folded))| {
                    Some(stream_row(kind, stream, folded.version(), &folded.to_json().ok()?))
                });
                rows.collect()
            }
            VerifyScope::Totals => {
                let marker = ReadModelRow::new(GENERATION_ROW, GENERATION_ROW, self.generation.to_string());
                let lists = self.streams.iter().flat_map(|((kind, _), (tenant, id, folded))| {
                    let member = ListCursor::new(folded.created_at_millis(), id).to_string();
                    folded.groups().into_iter().map(move |group| list_row(&format!("{kind}:{tenant}:{group}"), &member))
                });
                lists.chain([marker]).collect()
            }
        }
    }
}
