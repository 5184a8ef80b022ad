//! Imports into an in-memory log: rejected rows, conflicts and interruptions.

use std::{
    io::{BufReader, Cursor, Read},
    sync::Mutex,
};

use commands::in_memory_log::InMemoryLog;
use synthetic::notice_generator;

use super::*;
use crate::{SourceEncoding, SourceFormat};

#[derive(Default)]
struct RecordingObserver {
    lines: Vec<u64>,
    columns: Vec<String>,
    batches: u64,
    stop_after: Option<(u64, CancellationToken)>,
}

impl ImportObserver for RecordingObserver {
    fn on_progress(&mut self, _: &ImportSummary) {
        self.batches += 1;
        if let Some((batches, stop)) = &self.stop_after
            && self.batches == *batches
        {
            stop.cancel();
        }
    }

    fn on_rejected_row(&mut self, line: u64, _: &NoticeRowError) -> std::io::Result<()> {
        self.lines.push(line);
        Ok(())
    }

    fn on_omitted_value(&mut self, _: u64, value: &NoticeRowError) -> std::io::Result<()> {
        self.columns.extend(value.column().map(str::to_owned));
        Ok(())
    }
}

fn generate_csv(rows: u64) -> Vec<u8> {
    let mut file = Vec::new();
    notice_generator::write_csv(&mut file, rows, 3, |_| {}).unwrap();
    file
}

async fn import(
    log: &InMemoryLog,
    file: Vec<u8>,
    observer: &mut RecordingObserver,
) -> Result<ImportSummary, ImportError> {
    let rows = crate::read_notices(Box::new(Cursor::new(file)), SourceFormat::Csv, SourceEncoding::Auto).unwrap();
    let stop = observer.stop_after.as_ref().map(|(_, stop)| stop.clone()).unwrap_or_default();
    NoticeImport::new(log, 100).import_notices(&Caller::for_program("system:test"), rows, observer, stop).await
}

#[tokio::test]
async fn every_row_is_counted_and_a_second_import_appends_nothing() {
    let (log, file) = (InMemoryLog::default(), generate_csv(1_000));

    let first = import(&log, file.clone(), &mut RecordingObserver::default()).await.unwrap();
    let second = import(&log, file, &mut RecordingObserver::default()).await.unwrap();

    assert_eq!((first.rows, first.rejected), (1_000, 0));
    assert_eq!(first.imported + first.unchanged, 1_000);
    assert_eq!(u64::try_from(log.event_count()).unwrap(), first.events);
    assert_eq!((second.imported, second.unchanged, second.events), (0, 1_000, 0));
}

#[tokio::test]
async fn a_rejected_row_is_reported_with_its_line_and_the_others_are_imported() {
    let (log, mut observer) = (InMemoryLog::default(), RecordingObserver::default());
    let text = String::from_utf8(generate_csv(20)).unwrap();
    let header_end = text.find('\n').unwrap() + 1;
    let file = format!("{}only,three,fields\n{}", &text[..header_end], &text[header_end..]);

    let summary = import(&log, file.into_bytes(), &mut observer).await.unwrap();

    assert_eq!(observer.lines, [2]);
    assert_eq!((summary.rows, summary.rejected), (21, 1));
    assert_eq!(summary.imported + summary.unchanged, 20);
}

#[tokio::test]
async fn a_batch_that_conflicts_with_another_writer_is_decided_again() {
    let (complete, file) = (InMemoryLog::default(), generate_csv(50));
    import(&complete, file.clone(), &mut RecordingObserver::default()).await.unwrap();
    let all = complete.events.into_inner().unwrap();
    let log = InMemoryLog { competing_events: Mutex::new(all[..10].to_vec()), ..InMemoryLog::default() };

    let summary = import(&log, file, &mut RecordingObserver::default()).await.unwrap();

    assert_eq!(log.event_count(), all.len(), "as many events as without the other writer");
    assert_eq!(summary.events, u64::try_from(all.len()).unwrap() - 10);
}

#[tokio::test]
async fn an_interrupted_import_records_whole_batches_and_a_second_import_completes_it() {
    let (complete, file) = (InMemoryLog::default(), generate_csv(1_000));
    import(&complete, file.clone(), &mut RecordingObserver::default()).await.unwrap();
    let log = InMemoryLog::default();
    let mut observer =
        RecordingObserver { stop_after: Some((3, CancellationToken::new())), ..RecordingObserver::default() };

    let stopped = import(&log, file.clone(), &mut observer).await.unwrap();
    assert!(stopped.interrupted);
    assert_eq!(stopped.rows, 300);

    import(&log, file, &mut RecordingObserver::default()).await.unwrap();
    assert_eq!(log.event_count(), complete.event_count());
}

#[tokio::test]
async fn a_reader_that_panics_is_not_the_end_of_the_source() {
    struct PanickingReader;
    impl Read for PanickingReader {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("the reader fails, as the test wants")
        }
    }
    let log = InMemoryLog::default();
    let source = Cursor::new(generate_csv(300)).chain(BufReader::new(PanickingReader));
    let rows = crate::read_notices(Box::new(source), SourceFormat::Csv, SourceEncoding::Auto).unwrap();
    let mut observer = RecordingObserver::default();
    let import = NoticeImport::new(&log, 100);
    let outcome =
        import.import_notices(&Caller::for_program("system:test"), rows, &mut observer, CancellationToken::new()).await;

    assert!(matches!(outcome, Err(ImportError::Source(SourceError::Read(_)))), "{outcome:?}");
    assert!(observer.batches > 0, "the batches before are recorded");
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_reported_with_its_sequence() {
    let (log, file) = (InMemoryLog::default(), generate_csv(1));
    import(&log, file.clone(), &mut RecordingObserver::default()).await.unwrap();
    log.events.lock().unwrap()[0].payload = "{\"type\":\"unheard_of\"}".to_owned();

    let outcome = import(&log, file, &mut RecordingObserver::default()).await;

    assert!(matches!(outcome, Err(ImportError::Batch(BatchAppendError::Corrupt { sequence: 1, .. }))), "{outcome:?}");
}
