//! Events in temporary files, one file for each further pass of a comparison.
//!
//! Folding all streams at once would need memory for the whole log, and reading the log once for each pass would cost
//! the square of its length. So the log is read once: the first pass folds its own events meanwhile, and the events of
//! the other passes are written to files, as a hash join does with partitions that do not fit into memory.

use std::io;

use domain::envelope::RawEnvelope;

use super::{
    VerifyError,
    spill_file::{SpillReader, SpillWriter, run_blocking},
    verify_plan::PassIndex,
};
use crate::runtime::{RowScope, VerifyScope};

/// Events that are read from a file at once.
const BATCH_EVENTS: usize = 2_000;

/// The events of all passes but the first one.
pub(super) struct EventSpill {
    passes: PassIndex,
    /// The file of each pass but the first one.
    files: Vec<SpillWriter>,
}

impl EventSpill {
    /// Creates the files; `None` if there is one pass only, whose events need none.
    pub(super) fn create(passes: &[Vec<VerifyScope>]) -> Result<Option<Self>, VerifyError> {
        if passes.len() < 2 {
            return Ok(None);
        }
        let files: io::Result<Vec<_>> = passes.iter().skip(1).map(|_| SpillWriter::create()).collect();
        Ok(Some(Self { passes: PassIndex::new(passes), files: files.map_err(VerifyError::TemporaryFile)? }))
    }

    /// Writes the events of the further passes, in their order, on a thread that may block.
    pub(super) async fn write_events(mut self, events: Vec<RawEnvelope>) -> Result<Self, VerifyError> {
        run_blocking(move || {
            for event in &events {
                self.write_event(event)?;
            }
            Ok(self)
        })
        .await
    }

    fn write_event(&mut self, event: &RawEnvelope) -> io::Result<()> {
        let pass = self.passes.find(RowScope::of_stream(&event.aggregate_id));
        match pass.and_then(|pass| self.files.get_mut(pass.checked_sub(1)?)) {
            Some(file) => file.write_value(event),
            None => Ok(()),
        }
    }

    /// Ends writing. Returns the events of each pass but the first one.
    pub(super) async fn finish(self) -> Result<Vec<SpilledEvents>, VerifyError> {
        let finish = |file: SpillWriter| Ok(SpilledEvents { file: file.finish()? });
        run_blocking(move || self.files.into_iter().map(finish).collect()).await
    }
}

/// The events of one pass.
pub(super) struct SpilledEvents {
    file: SpillReader,
}

impl SpilledEvents {
    /// The next events; empty at the end.
    pub(super) async fn read_events(mut self) -> Result<(Self, Vec<RawEnvelope>), VerifyError> {
        run_blocking(move || {
            let mut events = vec![];
            while events.len() < BATCH_EVENTS
                && let Some(event) = self.file.read_value()?
            {
                events.push(event);
            }
            Ok((self, events))
        })
        .await
    }

    /// Starts again with the first event.
    pub(super) async fn rewind(self) -> Result<Self, VerifyError> {
        run_blocking(move || Ok(Self { file: self.file.rewind()? })).await
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::envelope::EventMetadata;
    use uuid::Uuid;

    use super::*;

    fn event_of(aggregate_id: String, position: u64) -> RawEnvelope {
        RawEnvelope {
            position,
            event_id: Uuid::from_u128(position.into()),
            tenant_id: "public".to_owned(),
            aggregate_type: "opportunity".to_owned(),
            aggregate_id,
            sequence: 1,
            event_type: "opportunity.discovered".to_owned(),
            event_version: "2.0".to_owned(),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            metadata: EventMetadata { user_id: "a \"user\"\nof two lines".to_owned(), ..EventMetadata::default() },
            payload: format!("{{\"number\": {position}, \"text\": \"é\\n\"}}"),
        }
    }

    #[tokio::test]
    async fn each_pass_gets_its_events_in_their_order() {
        let passes: Vec<_> =
            [0..=99, 100..=199, 200..=255].into_iter().map(|range| vec![VerifyScope::Buckets(range)]).collect();
        let events: Vec<_> = (1..=5_000).map(|number| event_of(format!("097:{}", number % 700), number)).collect();
        let mut spill = EventSpill::create(&passes).unwrap().unwrap();
        for part in events.chunks(1_700) {
            spill = spill.write_events(part.to_vec()).await.unwrap();
        }
        let spilled = spill.finish().await.unwrap();
        assert_eq!(spilled.len(), 2, "the first pass has no file");
        for (mut file, scopes) in spilled.into_iter().zip(&passes[1..]) {
            let mut found = vec![];
            loop {
                let (rest, batch) = file.read_events().await.unwrap();
                if batch.is_empty() {
                    break;
                }
                found.extend(batch);
                file = rest;
            }
            let is_of_pass = |event: &&RawEnvelope| scopes[0].contains_stream(&event.aggregate_id);
            let expected: Vec<_> = events.iter().filter(is_of_pass).cloned().collect();
            assert!(expected.len() > 500);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn one_pass_needs_no_file() {
        assert!(EventSpill::create(&[vec![VerifyScope::all_buckets(), VerifyScope::Totals]]).unwrap().is_none());
    }
}
