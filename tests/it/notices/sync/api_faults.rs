//! The API: answers that are no pages, refusals, and a run that ends in the middle.

use std::time::Duration;

use domain::error_chain::format_error_chain;
use sam_gov::{
    SyncSource,
    sync::{SyncOptions, SyncRunOutcome},
};
use tests::{
    eventually,
    sam_gov_server::{API_KEY, ApiFault, SamGovServer, generated_notice},
};

use super::{SamGovFixture, SilentObserver, notice_ids};

fn page_text(text: &str) -> ApiFault {
    ApiFault::Answer(200, vec![], text.to_owned())
}

#[tokio::test]
async fn answers_that_are_no_pages_are_requested_again() {
    let fixture = SamGovFixture::start().await;
    let faults = [
        page_text("<!DOCTYPE html><html><body>Scheduled maintenance</body></html>"),
        page_text(r#"{"totalRecords": 12, "opportunitiesData": [{"noticeId": "#),
        page_text(r#"{"message": "ok"}"#),
        page_text(""),
        ApiFault::Answer(503, vec![], "<html>".to_owned()),
        ApiFault::Answer(500, vec![], "{}".to_owned()),
        ApiFault::CutOff,
        ApiFault::Total(u64::MAX / 2),
    ];
    let count = faults.len();
    {
        let mut state = fixture.server.state();
        state.notices = (0..90).map(generated_notice).collect();
        // A page without a fault between two of them: no request fails twice.
        for fault in faults {
            state.api_faults.push_back(fault);
            state.api_faults.push_back(ApiFault::Total(90));
        }
    }
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.events), (SyncRunOutcome::Complete, 90));
    assert_eq!(fixture.server.take_requests().len(), 9 + count);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..90));
}

#[tokio::test]
async fn a_fault_that_stays_ends_the_run_after_the_attempts_and_names_the_page() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.attempts = 3;
    {
        let mut state = fixture.server.state();
        state.notices = (0..30).map(generated_notice).collect();
        state.api_faults.push_back(ApiFault::Total(30));
        state.api_faults.extend((0..3).map(|_| page_text("<html>")));
    }
    let error = format_error_chain(&fixture.run(SyncSource::Api).await.unwrap_err());
    assert!(error.contains("from number 11, in 3 attempts"), "{error}");
    assert!(error.contains("a web page (HTML) instead of a page of notices"), "{error}");
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..10));

    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.requests), (SyncRunOutcome::Complete, 2));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..30));
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up() {
    let mut fixture = SamGovFixture::start().await;
    // As short as the answers of the stand-in allow on a busy machine.
    fixture.config.request_timeout_ms = 1_000;
    {
        let mut state = fixture.server.state();
        state.notices = (0..5).map(generated_notice).collect();
        state.api_faults.push_back(ApiFault::Stall);
    }
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(summary.counts.events, 5);
    assert!(fixture.server.take_requests().len() >= 2);
}

#[tokio::test]
async fn the_key_is_in_no_error_and_follows_no_redirect() {
    let mut fixture = SamGovFixture::start().await;
    let other = SamGovServer::start().await;
    let location = vec![("location", other.api_url())];
    fixture.server.state().api_faults.push_back(ApiFault::Answer(302, location, String::new()));
    let error = format_error_chain(&fixture.run(SyncSource::Api).await.unwrap_err());
    assert!(error.contains("redirects to 127.0.0.1") && error.contains("MEDHUB__SAM_GOV__API_URL"), "{error}");
    assert_eq!(other.take_requests().len(), 0);
    assert_eq!(fixture.server.take_requests().len(), 1, "a redirect is not requested again");

    let quoting = format!("invalid api_key {API_KEY} of the caller");
    fixture.server.state().api_faults.push_back(ApiFault::Answer(401, vec![], quoting));
    let error = fixture.run(SyncSource::Api).await.unwrap_err();
    let text = format!("{} {error:?}", format_error_chain(&error));
    assert!(text.contains("does not accept the key") && text.contains("invalid api_key ***"), "{text}");
    assert!(!text.contains(API_KEY), "{text}");
    let status = fixture.sync().status(SyncSource::Api).await.unwrap();
    assert!(!status.last_error.unwrap().contains(API_KEY));

    // A server that cannot be reached: the address, which contains the key, is not in the error.
    fixture.config.api_url = "http://127.0.0.1:1/opportunities".to_owned();
    let error = fixture.run(SyncSource::Api).await.unwrap_err();
    let text = format!("{} {error:?}", format_error_chain(&error));
    assert!(text.contains("the connection to SAM.gov failed") && !text.contains(API_KEY), "{text}");
    assert!(!format!("{:?}", fixture.config).contains(API_KEY), "nor in the settings as they are printed");
}

#[tokio::test]
async fn no_request_is_sent_before_the_time_that_a_refusal_names() {
    let fixture = SamGovFixture::start().await;
    let body =
        r#"{"code":"900804","message":"Message throttled out","nextAccessTime":"2099-Nov-30 00:00:00+0000 UTC"}"#;
    {
        let mut state = fixture.server.state();
        state.notices = (0..30).map(generated_notice).collect();
        state.api_faults.push_back(ApiFault::Total(30));
        state.api_faults.push_back(ApiFault::Answer(429, vec![], body.to_owned()));
    }
    for _ in 0..2 {
        let summary = fixture.run(SyncSource::Api).await.unwrap();
        assert!(matches!(summary.outcome, SyncRunOutcome::Paused { throttled: true, .. }), "{:?}", summary.outcome);
    }
    assert_eq!(fixture.server.take_requests().len(), 2);

    // The time has come.
    sqlx::query("update sam_gov_api_usage set throttled_until = now()").execute(&fixture.pool).await.unwrap();
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.requests), (SyncRunOutcome::Complete, 2));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..30));
}

#[tokio::test]
async fn a_short_refusal_is_waited_for_and_an_endless_one_ends_the_run() {
    let fixture = SamGovFixture::start().await;
    let refusal = || ApiFault::Answer(429, vec![("retry-after", "0".to_owned())], String::new());
    {
        let mut state = fixture.server.state();
        state.notices = (0..5).map(generated_notice).collect();
        state.api_faults.extend([refusal(), refusal()]);
    }
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.requests, summary.counts.events), (SyncRunOutcome::Complete, 3, 5));

    fixture.server.state().api_faults.extend((0..9).map(|_| refusal()));
    fixture.server.take_requests();
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert!(matches!(summary.outcome, SyncRunOutcome::Paused { throttled: true, .. }), "{:?}", summary.outcome);
    assert_eq!(fixture.server.take_requests().len(), 5);
}

#[tokio::test]
async fn a_run_that_is_cut_off_in_the_middle_continues_without_loss() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..50).map(generated_notice).collect();
        state.api_faults.extend([ApiFault::Total(50), ApiFault::Total(50), ApiFault::Stall]);
    }
    {
        let run = fixture.run(SyncSource::Api);
        let third_request = eventually(async || {
            let requests = fixture.server.state().requests.len();
            if requests == 3 { Ok(()) } else { Err(format!("{requests} requests")) }
        });
        tokio::select! {
            ended = run => panic!("the run ended: {ended:?}"),
            () = third_request => {}
        }
    }
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..20), "two pages before the run was dropped");
    fixture.server.take_requests();
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(summary.outcome, SyncRunOutcome::Complete);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..50));
    assert_eq!(fixture.event_counts().await.values().sum::<i64>(), 50);
    let first = fixture.server.take_requests()[0].parameter("offset").to_owned();
    assert_eq!(first, "20", "the page that was cut off");
}

#[tokio::test]
async fn a_stopped_run_says_so_and_ends_at_once() {
    let fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..5).map(generated_notice).collect();
    fixture.server.state().api_faults.push_back(ApiFault::Stall);
    let stop = tokio_util::sync::CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stopping.cancel();
    });
    let summary = fixture.sync().run(SyncSource::Api, &SyncOptions::default(), &mut SilentObserver, &stop).await;
    assert_eq!(summary.unwrap().outcome, SyncRunOutcome::Interrupted);
}

/// `count` notices with the addresses of their texts.
fn publish_notices_with_texts(fixture: &SamGovFixture, count: usize) {
    let mut state = fixture.server.state();
    state.notices = (0..count).map(generated_notice).collect();
    for (n, notice) in state.notices.iter_mut().enumerate() {
        notice["description"] = fixture.server.description_url(&format!("notice{n:05}")).into();
    }
    state.descriptions = notice_ids(0..count).into_iter().map(|id| (id, "Three pumps.".to_owned())).collect();
}

async fn count_described(fixture: &SamGovFixture) -> i64 {
    let statement = "select count(distinct aggregate_id) from events where payload #>> '{facts,description}' <> ''";
    sqlx::query_scalar(statement).fetch_one(&fixture.pool).await.unwrap()
}

#[tokio::test]
async fn one_bad_text_does_not_keep_the_others_from_being_fetched() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.fetch_descriptions = true;
    publish_notices_with_texts(&fixture, 6);
    let bad = |status, body: &str| ApiFault::Answer(status, vec![], body.to_owned());
    let too_large = "x".repeat((1 << 20) + 1);
    {
        let mut state = fixture.server.state();
        let faults = [bad(200, "<!DOCTYPE html>"), bad(200, "no JSON"), bad(400, "{}"), bad(200, &too_large)];
        state.description_faults = notice_ids(0..4).into_iter().zip(faults).collect();
    }
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.descriptions, summary.counts.imported, summary.requests), (2, 6, 7));
    assert!(summary.warnings[0].contains("the text of notice notice00000 could not be fetched"), "{summary:?}");
    // One that is too large is not requested again.
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.descriptions, summary.counts.events, summary.requests), (3, 3, 4));
    assert_eq!(fixture.run(SyncSource::Api).await.unwrap().requests, 1);
}

#[tokio::test]
async fn texts_are_not_fetched_after_a_failure_that_concerns_all_or_five_in_a_row() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.fetch_descriptions = true;
    publish_notices_with_texts(&fixture, 8);
    let unavailable = ApiFault::Answer(503, vec![], String::new());
    fixture.server.state().description_faults.insert("notice00001".to_owned(), unavailable);
    assert_eq!(fixture.run(SyncSource::Api).await.unwrap().requests, 3);

    let page = || ApiFault::Answer(200, vec![], "<!DOCTYPE html>".to_owned());
    fixture.server.state().description_faults = notice_ids(1..8).into_iter().map(|id| (id, page())).collect();
    assert_eq!(fixture.run(SyncSource::Api).await.unwrap().requests, 6);
    assert_eq!(count_described(&fixture).await, 1);
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_fetches_texts_keeps_those_it_has() {
    let mut fixture = SamGovFixture::start().await;
    (fixture.config.fetch_descriptions, fixture.config.page_size) = (true, 100);
    publish_notices_with_texts(&fixture, 30);
    fixture.server.state().description_faults.insert("notice00027".to_owned(), ApiFault::Stall);
    let stop = tokio_util::sync::CancellationToken::new();
    let (sync, options) = (fixture.sync(), SyncOptions::default());
    let stop_at_stall = async {
        eventually(async || {
            let requests = fixture.server.state().requests.len();
            if requests == 29 { Ok(()) } else { Err(format!("{requests} requests")) }
        })
        .await;
        assert_eq!(fixture.discovered_notices().await, notice_ids(0..25), "a portion is recorded");
        stop.cancel();
    };
    let mut observer = SilentObserver;
    let run = sync.run(SyncSource::Api, &options, &mut observer, &stop);
    let (summary, ()) = tokio::join!(run, stop_at_stall);
    assert_eq!(summary.unwrap().outcome, SyncRunOutcome::Interrupted);
    assert_eq!((fixture.discovered_notices().await, count_described(&fixture).await), (notice_ids(0..27), 27));

    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.descriptions, summary.requests), (SyncRunOutcome::Complete, 3, 4));
    assert_eq!((fixture.discovered_notices().await, count_described(&fixture).await), (notice_ids(0..30), 30));
}
