//! The API: windows, pages that shift while they are read, texts of notices, the quota.

use domain::{
    clock::{Clock as _, SystemClock},
    error_chain::format_error_chain,
};
use sam_gov::{
    SyncSource,
    sync::{DateWindow, SyncOptions, SyncRunOutcome},
};
use serde_json::json;
use tests::sam_gov_server::{ApiFault, generated_notice};

use super::{SamGovFixture, notice_ids};

#[tokio::test]
async fn every_notice_is_recorded_once_and_a_second_run_records_nothing() {
    let fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..35).map(generated_notice).collect();

    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.outcome, summary.requests), (SyncRunOutcome::Complete, 4));
    assert_eq!((summary.counts.rows, summary.counts.imported, summary.counts.events), (35, 35, 35));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..35));
    let offsets: Vec<_> = fixture.server.take_requests().iter().map(|r| r.parameter("offset").to_owned()).collect();
    assert_eq!(offsets, ["0", "10", "20", "30"]);

    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.counts.unchanged, summary.counts.events), (35, 0));
}

#[tokio::test]
async fn pages_that_overlap_or_come_twice_or_shift_lose_nothing_and_record_nothing_twice() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..40).map(generated_notice).collect();
        state.api_faults.push_back(ApiFault::Total(40));
        // The first page again, then a page that overlaps with the one before.
        state.api_faults.push_back(ApiFault::OffsetInstead(0));
        state.api_faults.push_back(ApiFault::OffsetInstead(5));
        // A notice is withdrawn: number 30 moves to a page that was read already.
        state.api_faults.push_back(ApiFault::Change(Box::new(|notices| drop(notices.remove(2)))));
    }
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(summary.outcome, SyncRunOutcome::Complete);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..40));
    assert_eq!(fixture.event_counts().await.values().sum::<i64>(), 40);
}

#[tokio::test]
async fn a_notice_that_is_amended_between_two_pages_is_recorded_in_both_forms() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..15).map(generated_notice).collect();
        state.api_faults.push_back(ApiFault::Total(15));
        state.api_faults.push_back(ApiFault::Change(Box::new(|notices| {
            let mut amended = notices.remove(3);
            amended["title"] = json!("Infusion pumps, revised");
            notices.push(amended);
        })));
    }
    fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..15));
    assert_eq!(fixture.recorded_titles("notice00003").await, ["Infusion pumps, lot 3", "Infusion pumps, revised"]);
    assert_eq!(fixture.event_counts().await.values().sum::<i64>(), 16);
}

#[tokio::test]
async fn a_late_amendment_is_found_because_days_overlap() {
    let fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..3).map(generated_notice).collect();
    fixture.run(SyncSource::Api).await.unwrap();
    let first = fixture.server.take_requests();

    fixture.server.state().notices[1]["title"] = json!("Infusion pumps, revised");
    // A file is added, and nothing else changes.
    let links = json!(["https://sam.gov/files/2/download"]);
    fixture.server.state().notices[2]["resourceLinks"] = links.clone();
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.counts.imported, summary.counts.unchanged, summary.counts.events), (2, 1, 2));
    let statement = "select payload #> '{facts,resource_links}' from events where event_type = 'opportunity.amended' \
                     and payload #>> '{filing,notice_id}' = 'notice00002'";
    let recorded: serde_json::Value = sqlx::query_scalar(statement).fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(recorded, links);
    let second = fixture.server.take_requests();
    let days = |request: &tests::sam_gov_server::ReceivedRequest| {
        ["postedFrom", "postedTo"]
            .map(|name| chrono::NaiveDate::parse_from_str(request.parameter(name), "%m/%d/%Y").unwrap())
    };
    let ([first_from, first_to], [second_from, second_to]) = (days(&first[0]), days(&second[0]));
    assert_eq!((first_to - first_from).num_days(), 30, "the first run reads the last 30 days");
    // The day may have changed between the runs.
    assert_eq!((first_to - second_from).num_days(), 3, "the days before the end of the first run");
    assert!(second_to >= first_to);
}

#[tokio::test]
async fn a_long_range_is_read_in_windows_of_at_most_a_year_and_does_not_move_the_schedule() {
    let fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..3).map(generated_notice).collect();
    let day = |text: &str| text.parse().unwrap();
    let days = DateWindow::new(day("2024-01-01"), day("2026-02-28"));
    let options = SyncOptions { days, ..SyncOptions::default() };
    let summary = fixture.run_with(SyncSource::Api, &options).await.unwrap();
    assert_eq!((summary.requests, summary.counts.imported, summary.counts.unchanged), (3, 3, 6));
    let requests = fixture.server.take_requests();
    let windows: Vec<_> = requests.iter().map(|r| (r.parameter("postedFrom"), r.parameter("postedTo"))).collect();
    assert_eq!(windows, [("01/01/2024", "12/30/2024"), ("12/31/2024", "12/30/2025"), ("12/31/2025", "02/28/2026")]);
    assert_eq!(fixture.sync().status(SyncSource::Api).await.unwrap().complete_through, None);
}

#[tokio::test]
async fn a_window_that_stays_incomplete_is_not_counted_as_read() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..20).map(generated_notice).collect();
        state.api_faults.extend((0..20).map(|_| ApiFault::Total(50)));
    }
    let error = format_error_chain(&fixture.run(SyncSource::Api).await.unwrap_err());
    assert!(error.contains("announces 50 notices") && error.contains("lists 20"), "{error}");
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..20), "what is listed is recorded");
    let status = fixture.sync().status(SyncSource::Api).await.unwrap();
    assert_eq!((status.complete_through, status.completed_at), (None, None));
    assert!(status.last_error.unwrap().contains("announces 50 notices"));
}

#[tokio::test]
async fn the_quota_ends_a_run_and_the_next_one_continues_at_its_page() {
    let mut fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..45).map(generated_notice).collect();
    fixture.config.daily_quota = 2;
    for _ in 0..2 {
        let summary = fixture.run(SyncSource::Api).await.unwrap();
        assert!(matches!(summary.outcome, SyncRunOutcome::Paused { throttled: false, .. }), "{:?}", summary.outcome);
    }
    assert_eq!(fixture.server.take_requests().len(), 2, "without quota no request is sent");
    let reports = fixture.sync().report_sources(SystemClock.now()).await.unwrap();
    let api = reports.iter().find(|report| report.source == SyncSource::Api).unwrap();
    let quota = api.quota.as_ref().unwrap();
    assert_eq!((quota.daily, quota.left, api.completed_at, api.has_problem()), (2, 0, None, false), "{api:?}");
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..20));

    fixture.config.daily_quota = 100;
    assert_eq!(fixture.run(SyncSource::Api).await.unwrap().outcome, SyncRunOutcome::Complete);
    let offsets: Vec<_> = fixture.server.take_requests().iter().map(|r| r.parameter("offset").to_owned()).collect();
    assert_eq!(offsets, ["20", "30", "40"]);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..45));
}

#[tokio::test]
async fn a_range_that_ends_today_is_continued_on_the_next_day() {
    let mut fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..45).map(generated_notice).collect();
    fixture.config.daily_quota = 2;
    // A range that was not continued, and a range that another run may continue.
    for (name, age) in [("api:2020-01-01:2020-02-01", 31), ("api:2020-01-01:2020-02-02", 29)] {
        let statement = "insert into sam_gov_syncs (name, attempted_at) values ($1, now() - make_interval(days => $2))";
        sqlx::query(statement).bind(name).bind(age).execute(&fixture.pool).await.unwrap();
        let statement = "insert into sam_gov_window_notices (sync_name, notice) values ($1, 'notice00000')";
        sqlx::query(statement).bind(name).execute(&fixture.pool).await.unwrap();
    }
    let day = |text: &str| text.parse().unwrap();
    let options = |today| {
        let days = DateWindow::new(day("2026-02-01"), day(today));
        SyncOptions { days, ends_today: true, ..SyncOptions::default() }
    };
    let summary = fixture.run_with(SyncSource::Api, &options("2026-02-27")).await.unwrap();
    assert!(matches!(summary.outcome, SyncRunOutcome::Paused { .. }), "{:?}", summary.outcome);
    fixture.server.take_requests();

    fixture.config.daily_quota = 100;
    let summary = fixture.run_with(SyncSource::Api, &options("2026-02-28")).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.imported), (SyncRunOutcome::Complete, 25));
    let requests = fixture.server.take_requests();
    let pages: Vec<_> =
        requests.iter().map(|r| ["postedFrom", "postedTo", "offset"].map(|name| r.parameter(name)).join(" ")).collect();
    // The day that was not over is read again.
    let last_days = (0..5).map(|page| format!("02/27/2026 02/28/2026 {}", page * 10));
    let first_days = [20, 30, 40].map(|offset| format!("02/01/2026 02/27/2026 {offset}"));
    assert_eq!(pages, first_days.into_iter().chain(last_days).collect::<Vec<_>>());
    let names = "select name from sam_gov_syncs union select sync_name from sam_gov_window_notices";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&fixture.pool).await.unwrap();
    assert_eq!(names, ["api:2020-01-01:2020-02-02"]);
}

#[tokio::test]
async fn a_pass_that_is_continued_after_a_pause_is_judged_as_a_whole() {
    let mut fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..20).map(generated_notice).collect();
        state.api_faults.extend((0..3).map(|_| ApiFault::Total(24)));
        // The second pass finds another notice on its first page, after which the quota is used up.
        state.api_faults.push_back(ApiFault::Change(Box::new(|notices| notices.insert(0, generated_notice(20)))));
        state.api_faults.extend((0..7).map(|_| ApiFault::Total(24)));
    }
    fixture.config.daily_quota = 4;
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert!(matches!(summary.outcome, SyncRunOutcome::Paused { .. }), "{:?}", summary.outcome);
    fixture.server.take_requests();

    fixture.config.daily_quota = 100;
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(summary.outcome, SyncRunOutcome::Complete);
    assert!(summary.warnings[0].contains("announces 24 notices"), "{:?}", summary.warnings);
    let requests = fixture.server.take_requests();
    let offsets: Vec<_> = requests.iter().map(|r| r.parameter("offset")).collect();
    // A third pass, since the second one has found a notice.
    assert_eq!(offsets, ["10", "20", "21", "0", "10", "20", "21"]);
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..21));
}

#[tokio::test]
async fn texts_are_fetched_from_the_host_of_the_api_only_and_within_the_quota() {
    let mut fixture = SamGovFixture::start().await;
    let foreign = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..3).map(generated_notice).collect();
        state.notices[0]["description"] = json!(fixture.server.description_url("notice00000"));
        state.notices[1]["description"] = json!(fixture.server.description_url("notice00001"));
        state.descriptions.insert("notice00000".to_owned(), "<p>Three pumps.</p>".to_owned());
    }
    fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!(fixture.server.take_requests().len(), 1, "without the setting no text is fetched");

    fixture.config.fetch_descriptions = true;
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.descriptions, summary.requests, summary.counts.events), (2, 3, 1));
    let text = "select payload #>> '{facts,description}' from events where event_type = 'opportunity.amended'";
    let texts: Vec<String> = sqlx::query_scalar(text).fetch_all(&fixture.pool).await.unwrap();
    assert_eq!(texts, ["<p>Three pumps.</p>"]);
    assert_eq!(fixture.run(SyncSource::Api).await.unwrap().requests, 1, "no text is fetched twice");

    fixture.server.state().notices[2]["description"] = json!(foreign.server.description_url("notice00002"));
    fixture.server.state().notices[2]["title"] = json!("Infusion pumps, revised");
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert!(summary.warnings[0].contains("the key is not sent there"), "{:?}", summary.warnings);
    assert_eq!((summary.counts.events, foreign.server.take_requests().len()), (1, 0));
}

#[tokio::test]
async fn a_preview_records_nothing_and_counts_what_it_would() {
    let fixture = SamGovFixture::start().await;
    fixture.server.state().notices = (0..45).map(generated_notice).collect();
    let options = SyncOptions { preview: true, ..SyncOptions::default() };
    let summary = fixture.run_with(SyncSource::Api, &options).await.unwrap();
    assert_eq!((summary.counts.imported, summary.counts.events, summary.requests), (45, 45, 5));
    assert_eq!(fixture.discovered_notices().await, Vec::<String>::new());
    let summary = fixture.run(SyncSource::Api).await.unwrap();
    assert_eq!((summary.counts.imported, summary.requests), (45, 5), "the run begins at the first page");
}
