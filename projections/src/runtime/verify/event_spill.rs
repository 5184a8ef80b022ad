//! Events in temporary files, one file for each further pass of a comparison.
//!
//! Folding all streams at once would need memory for the whole log, and reading the log once for each pass would cost the
//! square of its length. So the log is read once: the first pass folds its own events meanwhile, and those of the other
//! passes are written to files, as a hash join does with partitions that do not fit into memory.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, Write as _},
};

use domain::envelope::RawEnvelope;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use super::VerifyError;
use crate::runtime::{BUCKET_COUNT, VerifyScope, bucket_of};

/// Events that are read from a file at once.
const BATCH_EVENTS: usize = 2_000;

/// The events of all passes but the first one.
pub(super) struct EventSpill {
    /// For each bucket, the index of its pass; `None` where no pass compares it.
    pass_of_bucket: Vec<Option<usize>>,
    /// The file of each pass but the first one. Unlinked when it is created, so that nothing remains of a process that
    /// is killed.
    files: Vec<FrameEncoder<File>>,
}

impl EventSpill {
    /// Creates the files; `None` if there is one pass only, whose events need none.
    pub(super) fn create(passes: &[Vec<VerifyScope>]) -> Result<Option<Self>, VerifyError> {
        if passes.len() < 2 {
            return Ok(None);
        }
        let is_of_pass = |scope: &VerifyScope, bucket| match scope {
            VerifyScope::Buckets(range) => range.contains(&bucket),
            VerifyScope::Totals => false,
        };
        let pass_of = |bucket| passes.iter().position(|scopes| scopes.iter().any(|scope| is_of_pass(scope, bucket)));
        let create_file = |_| tempfile::tempfile().map(FrameEncoder::new);
        let files: io::Result<Vec<_>> = passes.iter().skip(1).map(create_file).collect();
        Ok(Some(Self {
            pass_of_bucket: (0..BUCKET_COUNT).map(pass_of).collect(),
            files: files.map_err(VerifyError::TemporaryFile)?,
        }))
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
        let pass = self.pass_of_bucket.get(bucket_of(&event.aggregate_id) as usize).copied().flatten();
        let Some(file) = pass.and_then(|pass| self.files.get_mut(pass.checked_sub(1)?)) else { return Ok(()) };
        serde_json::to_writer(&mut *file, event)?;
        file.write_all(b"\n")
    }

    /// Ends writing. Returns the events of each pass but the first one.
    pub(super) async fn finish(self) -> Result<Vec<SpilledEvents>, VerifyError> {
        run_blocking(move || {
            let finish = |encoder: FrameEncoder<File>| {
                let mut file = encoder.finish().map_err(io::Error::from)?;
                file.rewind()?;
                Ok(SpilledEvents { lines: BufReader::new(FrameDecoder::new(file)) })
            };
            self.files.into_iter().map(finish).collect()
        })
        .await
    }
}

/// The events of one pass.
pub(super) struct SpilledEvents {
    lines: BufReader<FrameDecoder<File>>,
}

impl SpilledEvents {
    /// The next events; empty at the end.
    pub(super) async fn read_events(mut self) -> Result<(Self, Vec<RawEnvelope>), VerifyError> {
        run_blocking(move || {
            let (mut events, mut line) = (vec![], vec![]);
            while events.len() < BATCH_EVENTS && self.lines.read_until(b'\n', &mut line)? > 0 {
                events.push(serde_json::from_slice(&line)?);
                line.clear();
            }
            Ok((self, events))
        })
        .await
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, VerifyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).and_then(|outcome| outcome).map_err(VerifyError::TemporaryFile)
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
