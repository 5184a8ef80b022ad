//! The extract: downloads that break, and answers that are no extract.

use std::io::Write as _;

use domain::error_chain::format_error_chain;
use flate2::{Compression, write::GzEncoder};
use sam_gov::{
    SyncSource,
    sync::{SyncOptions, SyncRunOutcome},
};
use synthetic::notice_generator;
use tests::sam_gov_server::{ExtractFault, ReceivedRequest, csv_extract, csv_row};
use tokio_util::sync::CancellationToken;

use super::{SamGovFixture, SilentObserver, notice_ids};

/// About a megabyte of generated notices.
fn generated_extract(rows: u64) -> Vec<u8> {
    let mut csv = Vec::new();
    notice_generator::write_csv(&mut csv, rows, 7, |_| {}).unwrap();
    csv
}

#[tokio::test]
async fn a_download_that_breaks_is_continued_at_its_byte() {
    let fixture = SamGovFixture::start().await;
    let extract = generated_extract(600);
    let size = u64::try_from(extract.len()).unwrap();
    {
        let mut state = fixture.server.state();
        state.extract = (extract, "\"v1\"".to_owned());
        state.extract_faults.extend([
            ExtractFault::BreakAfter(300_000),
            ExtractFault::Answer(503, vec![], String::new()),
            ExtractFault::BreakAfter(100_000),
        ]);
    }
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.rows, summary.bytes), (SyncRunOutcome::Complete, 600, size));
    let requests = fixture.server.take_requests();
    let start = |request: &ReceivedRequest| -> Option<u64> {
        request.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    };
    let starts: Vec<_> = requests.iter().map(start).collect();
    // What the server has not sent before the connection breaks is requested again.
    let [None, Some(first), Some(repeated), Some(second)] = starts[..] else { panic!("{starts:?}") };
    assert!(0 < first && first == repeated && first <= second && second <= 400_000, "{starts:?}");
    assert!(requests[1..].iter().all(|request| request.header("if-range") == "\"v1\""));

    // The same extract in one piece leads to the same events.
    let other = SamGovFixture::start().await;
    other.server.state().extract = (generated_extract(600), "\"v1\"".to_owned());
    other.run(SyncSource::Extract).await.unwrap();
    assert_eq!(fixture.event_counts().await, other.event_counts().await);
}

#[tokio::test]
async fn an_extract_that_changes_while_it_is_read_is_read_again_by_the_next_run() {
    let fixture = SamGovFixture::start().await;
    let extract = |title: &str| csv_extract(&(0..2_000).map(|n| csv_row(n, title)).collect::<Vec<_>>());
    {
        let mut state = fixture.server.state();
        state.extract = (extract("Surgical beds"), "\"v1\"".to_owned());
        state.extract_faults.push_back(ExtractFault::BreakAfter(100_000));
        state.extract_faults.push_back(ExtractFault::Change(extract("Surgical beds revised"), "\"v2\""));
    }
    let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
    assert!(error.contains("the extract changed while it was downloaded"), "{error}");

    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.rows), (SyncRunOutcome::Complete, 2_000));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..2_000));
    let titles = "select count(distinct aggregate_id) from events where payload #>> '{facts,title}' like '%revised'";
    assert_eq!(sqlx::query_scalar::<_, i64>(titles).fetch_one(&fixture.pool).await.unwrap(), 2_000);
}

#[tokio::test]
async fn an_answer_that_is_no_extract_ends_the_run_and_archives_nothing() {
    let mut fixture = SamGovFixture::start().await;
    (fixture.config.absences_before_archive, fixture.config.attempts) = (1, 2);
    let rows: Vec<_> = (0..20).map(|n| csv_row(n, "Surgical beds")).collect();
    fixture.server.state().extract = (csv_extract(&rows), "\"v1\"".to_owned());
    fixture.run(SyncSource::Extract).await.unwrap();

    let html = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    let answer = |status, headers: &[(&'static str, String)], body: &str| {
        vec![ExtractFault::Answer(status, headers.to_vec(), body.to_owned())]
    };
    let redirect = [("location", "http://extract.example/x.csv".to_owned())];
    let unavailable = || ExtractFault::Answer(503, vec![], String::new());
    for (faults, expected) in [
        (answer(200, &html, "<html>maintenance</html>"), "a web page (HTML) instead of a CSV file"),
        (answer(200, &[], "<html>maintenance</html>"), "the header has the wrong columns"),
        (answer(200, &[], ""), "the source is empty"),
        (answer(404, &[], ""), "HTTP status 404"),
        (vec![unavailable(), unavailable()], "HTTP status 503"),
        (answer(302, &redirect, ""), "to an address without TLS"),
        (answer(302, &[], ""), "without an address"),
    ] {
        fixture.server.state().extract_faults.extend(faults);
        let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // The header and no row: the rest is missing.
    fixture.server.state().extract = (csv_extract(&[]), "\"v2\"".to_owned());
    let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
    assert!(error.contains("lacks 20 of the 20 notices"), "{error}");
    assert_eq!(fixture.event_counts().await.get("opportunity.archived"), None);
}

#[tokio::test]
async fn a_download_that_brings_nothing_more_ends_after_the_attempts() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.attempts = 3;
    let rows: Vec<_> = (0..100).map(|n| csv_row(n, "Surgical beds")).collect();
    {
        let mut state = fixture.server.state();
        state.extract = (csv_extract(&rows), "\"v1\"".to_owned());
        state.extract_faults.extend([5_000, 0, 0, 0, 0].map(ExtractFault::BreakAfter));
    }
    let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
    assert!(error.contains("the connection failed after 5000 bytes"), "{error}");
    assert_eq!(fixture.server.take_requests().len(), 3);
}

#[tokio::test]
async fn a_run_that_is_stopped_before_the_extract_arrives_ends_at_once() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.extract = (csv_extract(&[csv_row(0, "Surgical beds")]), "\"v1\"".to_owned());
        state.extract_faults.push_back(ExtractFault::StallAfter(0));
    }
    let stop = CancellationToken::new();
    let stop_after_request = async {
        tests::eventually(async || match fixture.server.state().requests.len() {
            0 => Err("no request yet"),
            _ => Ok(()),
        })
        .await;
        stop.cancel();
    };
    let (sync, options) = (fixture.sync(), SyncOptions::default());
    let mut observer = SilentObserver;
    let run = sync.run(SyncSource::Extract, &options, &mut observer, &stop);
    let (summary, ()) = tokio::join!(run, stop_after_request);
    assert_eq!(summary.unwrap().outcome, SyncRunOutcome::Interrupted);
}

#[tokio::test]
async fn a_compressed_extract_behind_a_redirect_is_read() {
    let fixture = SamGovFixture::start().await;
    let rows: Vec<_> = (0..30).map(|n| csv_row(n, "Surgical beds")).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&csv_extract(&rows)).unwrap();
    let location = vec![("location", fixture.server.extract_url())];
    {
        let mut state = fixture.server.state();
        state.extract = (gzip.finish().unwrap(), "\"v1\"".to_owned());
        state.extract_faults.push_back(ExtractFault::Answer(302, location, String::new()));
    }
    fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..30));
}

#[tokio::test]
async fn a_run_that_is_dropped_in_the_middle_is_completed_by_the_next_one() {
    let fixture = SamGovFixture::start().await;
    let rows: Vec<_> = (0..2_000).map(|n| csv_row(n, "Surgical beds")).collect();
    {
        let mut state = fixture.server.state();
        state.extract = (csv_extract(&rows), "\"v1\"".to_owned());
        state.extract_faults.push_back(ExtractFault::StallAfter(200_000));
    }
    {
        let run = fixture.run(SyncSource::Extract);
        let first_batch = tests::eventually(async || match fixture.discovered_notices().await.len() {
            0 => Err("nothing is recorded yet"),
            _ => Ok(()),
        });
        tokio::select! {
            biased;
            () = first_batch => {}
            ended = run => panic!("the run ended: {ended:?}"),
        }
    }
    assert!(fixture.discovered_notices().await.len() < 2_000, "the run was complete before it was dropped");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!(summary.outcome, SyncRunOutcome::Complete);
    assert!(summary.counts.unchanged > 0);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..2_000));
    assert_eq!(fixture.event_counts().await.values().sum::<i64>(), 2_000);
}
