//! Writes batches of changes to opportunities and to the figures of their agencies.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use projections::{
    runtime::{Projection as _, ProjectionError},
    storage::redis::{
        FigureDelta, FigureKind, FigureTarget, SequenceGap, StateBatch, StateKey, StateTransition, VersionedState,
    },
};

use super::{
    NoticeCount,
    queries::{AgencyFigures, NOTICES, OPPORTUNITIES, agency_code},
};

/// The events of one opportunity in a batch.
struct OpportunityBatch<'a> {
    figures: &'a AgencyFigures,
    stream: &'a str,
    keys: [StateKey; 1],
    changes: Vec<&'a NoticeCount>,
}

impl AgencyFigures {
    pub(super) async fn write_changes(&self, changes: &[NoticeCount]) -> Result<(), ProjectionError> {
        let mut streams = BTreeMap::<&str, OpportunityBatch<'_>>::new();
        for change in changes {
            let stream = change.stream.as_str();
            let new_batch =
                || OpportunityBatch { figures: self, stream, keys: [self.state_key(stream)], changes: vec![] };
            streams.entry(stream).or_insert_with(new_batch).changes.push(change);
        }
        self.store.apply(streams.into_values().collect()).await
    }
}

impl StateBatch for OpportunityBatch<'_> {
    type State = i64;

    fn keys(&self) -> &[StateKey] {
        &self.keys
    }

    fn is_new_stream(&self) -> bool {
        self.changes.first().is_some_and(|change| change.sequence == 1)
    }

    fn initial_state(&self, _index: usize) -> i64 {
        0
    }

    fn parse_state(&self, _index: usize, _version: u64, text: &str) -> Result<i64, Box<dyn Error + Send + Sync>> {
        Ok(text.parse()?)
    }

    fn fold(&self, stored: Vec<VersionedState<i64>>) -> Result<Vec<StateTransition<i64>>, ProjectionError> {
        let Some(VersionedState { version: from, state: before }) = stored.into_iter().next() else {
            return Ok(vec![]);
        };
        let (mut version, mut notices) = (from, before);
        for change in &self.changes {
            // A repeated event.
            if change.sequence <= version {
                continue;
            }
            if change.sequence != version + 1 {
                let (stream, next) = (self.stream.to_owned(), change.sequence);
                let gap = SequenceGap { read_model: AgencyFigures::NAME, stream, stored: version, next };
                return Err(ProjectionError::poison(gap));
            }
            (version, notices) = (change.sequence, notices + change.notices);
        }
        if version == from {
            return Ok(vec![]);
        }
        let key = self.figures.figures_key(agency_code(self.stream));
        let target = Arc::new(FigureTarget { key, kind: FigureKind::OwnCounts, expires_at: 0 });
        let to_delta =
            |field: &'static str, delta| FigureDelta { target: Arc::clone(&target), field: field.into(), delta };
        let figures = vec![to_delta(OPPORTUNITIES, i64::from(from == 0)), to_delta(NOTICES, notices - before)];
        let to = VersionedState { version, state: notices };
        Ok(vec![StateTransition { index: 0, from, to, text: notices.to_string(), ttl_seconds: 0, figures }])
    }
}
