//! What an import does with rows, conflicts and interruptions, over a log in memory.

use std::{io::Cursor, sync::Mutex};

use super::*;
use crate::{
    mem_log::MemLog,
    sam::{self, Format, generate},
};

#[derive(Default)]
struct Notes {
    lines: Vec<u64>,
    columns: Vec<String>,
    batches: u64,
    stop_after: Option<(u64, CancellationToken)>,
}

impl Observer for Notes {
    fn progress(&mut self, _: &Summary) {
        self.batches += 1;
        if let Some((batches, stop)) = &self.stop_after
            && self.batches == *batches
        {
            stop.cancel();
        }
    }

    fn rejected(&mut self, line: u64, _: &RowError) -> std::io::Result<()> {
        self.lines.push(line);
        Ok(())
    }

    fn left_out(&mut self, _: u64, value: &RowError) -> std::io::Result<()> {
        self.columns.extend(value.column().map(str::to_owned));
        Ok(())
    }
}

fn generated(rows: u64) -> Vec<u8> {
    let mut file = Vec::new();
    generate::write_csv(&mut file, rows, 3, |_| {}).unwrap();
    file
}

async fn import(log: &MemLog, file: Vec<u8>, notes: &mut Notes) -> Result<Summary, ImportError> {
    let rows = sam::rows(Box::new(Cursor::new(file)), Format::Csv, sam::Encoding::Auto).unwrap();
    let stop = notes.stop_after.as_ref().map(|(_, stop)| stop.clone()).unwrap_or_default();
    Import::new(log, 100).run(&Caller::system("system:test"), rows, notes, stop).await
}

#[tokio::test]
async fn every_row_is_accounted_for_and_a_second_import_changes_nothing() {
    let (log, file) = (MemLog::default(), generated(1_000));

    let first = import(&log, file.clone(), &mut Notes::default()).await.unwrap();
    let second = import(&log, file, &mut Notes::default()).await.unwrap();

    assert_eq!((first.rows, first.rejected), (1_000, 0));
    assert_eq!(first.imported + first.unchanged, 1_000);
    assert_eq!(u64::try_from(log.len()).unwrap(), first.events);
    assert_eq!((second.imported, second.unchanged, second.events), (0, 1_000, 0));
}

#[tokio::test]
async fn a_rejected_row_is_told_with_its_line_and_the_rest_goes_in() {
    let (log, mut notes) = (MemLog::default(), Notes::default());
    let text = String::from_utf8(generated(20)).unwrap();
    let header_end = text.find('\n').unwrap() + 1;
    let file = format!("{}only,three,fields\n{}", &text[..header_end], &text[header_end..]);

    let summary = import(&log, file.into_bytes(), &mut notes).await.unwrap();

    assert_eq!(notes.lines, [2]);
    assert_eq!((summary.rows, summary.rejected), (21, 1));
    assert_eq!(summary.imported + summary.unchanged, 20);
}

#[tokio::test]
async fn a_faster_writer_makes_the_batch_decide_anew() {
    let (done, file) = (MemLog::default(), generated(50));
    import(&done, file.clone(), &mut Notes::default()).await.unwrap();
    let all = done.events.into_inner().unwrap();
    let log = MemLog { rivals: Mutex::new(all[..10].to_vec()), ..MemLog::default() };

    let summary = import(&log, file, &mut Notes::default()).await.unwrap();

    assert_eq!(log.len(), all.len(), "as many events as without the rival");
    assert_eq!(summary.events, u64::try_from(all.len()).unwrap() - 10);
}

#[tokio::test]
async fn an_interrupted_import_leaves_whole_batches_and_a_second_one_completes_them() {
    let (whole, file) = (MemLog::default(), generated(1_000));
    import(&whole, file.clone(), &mut Notes::default()).await.unwrap();
    let log = MemLog::default();
    let mut notes = Notes { stop_after: Some((3, CancellationToken::new())), ..Notes::default() };

    let stopped = import(&log, file.clone(), &mut notes).await.unwrap();
    assert!(stopped.interrupted);
    assert_eq!(stopped.rows, 300);

    import(&log, file, &mut Notes::default()).await.unwrap();
    assert_eq!(log.len(), whole.len());
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named() {
    let (log, file) = (MemLog::default(), generated(1));
    import(&log, file.clone(), &mut Notes::default()).await.unwrap();
    log.events.lock().unwrap()[0].payload = "{\"type\":\"unheard_of\"}".to_owned();

    let outcome = import(&log, file, &mut Notes::default()).await;

    assert!(matches!(outcome, Err(ImportError::Batch(BatchError::Corrupt { sequence: 1, .. }))), "{outcome:?}");
}
