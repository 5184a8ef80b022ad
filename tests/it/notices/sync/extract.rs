//! The extract: a day without changes, and notices that leave it.

use domain::error_chain::format_error_chain;
use sam_gov::{
    SyncSource,
    sync::{SyncOptions, SyncRunOutcome},
};
use tests::sam_gov_server::{csv_extract, csv_row};

use super::{SamGovFixture, notice_ids};

/// The rows of notices with their first title.
fn rows(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| csv_row(n, "Surgical beds")).collect()
}

fn publish(fixture: &SamGovFixture, rows: &[String], etag: &str) {
    fixture.server.state().extract = (csv_extract(rows), format!("\"{etag}\""));
}

async fn phases(fixture: &SamGovFixture, notice: usize) -> Vec<String> {
    let statement = "select e.event_type from events e join events first using (aggregate_id) \
                     where first.sequence = 1 and first.payload #>> '{filing,notice_id}' = $1 order by e.sequence";
    let id = format!("notice{notice:05}");
    sqlx::query_scalar(statement).bind(id).fetch_all(&fixture.pool).await.unwrap()
}

#[tokio::test]
async fn a_day_without_changes_records_nothing() {
    let fixture = SamGovFixture::start().await;
    publish(&fixture, &rows(0..700), "v1");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.imported, summary.counts.events), (700, 700));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..700));

    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.rows, summary.bytes), (SyncRunOutcome::NotModified, 0, 0));

    // Another file with the same notices.
    publish(&fixture, &rows((0..700).rev()), "v2");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.outcome, summary.counts.unchanged, summary.counts.events), (SyncRunOutcome::Complete, 700, 0));

    let mut changed = rows(0..700);
    changed[7] = csv_row(7, "Surgical beds and rails");
    publish(&fixture, &changed, "v3");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.imported, summary.counts.unchanged, summary.counts.events), (1, 699, 1));
    assert_eq!(fixture.recorded_titles("notice00007").await, ["Surgical beds", "Surgical beds and rails"]);
}

#[tokio::test]
async fn an_opportunity_is_archived_when_its_notice_is_missing_twice_and_reopened_when_it_is_back() {
    let fixture = SamGovFixture::start().await;
    publish(&fixture, &rows(0..20), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();

    // Notices 3 and 4 are missing once, notice 4 is back.
    publish(&fixture, &rows((0..20).filter(|n| ![3, 4].contains(n))), "v2");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived, summary.counts.events), (2, 0, 0));
    publish(&fixture, &rows((0..20).filter(|n| *n != 3)), "v3");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived, summary.counts.events), (0, 1, 1));
    publish(&fixture, &rows((0..20).filter(|n| ![3, 4].contains(n))), "v4");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived), (1, 0), "its absences are counted from the beginning");
    assert_eq!(phases(&fixture, 3).await, ["opportunity.discovered", "opportunity.archived"]);
    assert_eq!(phases(&fixture, 4).await, ["opportunity.discovered"]);

    publish(&fixture, &rows(0..20), "v5");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.imported, summary.counts.events), (1, 1));
    assert_eq!(phases(&fixture, 3).await, ["opportunity.discovered", "opportunity.archived", "opportunity.amended"]);
}

#[tokio::test]
async fn the_same_file_again_does_not_count_as_a_second_absence() {
    let fixture = SamGovFixture::start().await;
    publish(&fixture, &rows(0..20), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    for etag in ["v2", "v3", "v4"] {
        publish(&fixture, &rows(1..20), etag);
        assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 0, "{etag}");
    }
}

#[tokio::test]
async fn an_extract_that_lacks_many_notices_archives_nothing_unless_it_is_allowed() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.absences_before_archive = 1;
    publish(&fixture, &rows(0..20), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();

    let mut truncated = rows(0..14);
    truncated[0] = csv_row(0, "Surgical beds and rails");
    publish(&fixture, &truncated, "v2");
    let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
    assert!(error.contains("lacks 6 of the 20 notices") && error.contains("--max-removed-percent 100"), "{error}");
    let events = fixture.event_counts().await;
    assert_eq!(events.get("opportunity.archived"), None);
    assert_eq!(events.get("opportunity.amended"), Some(&1), "what changed is recorded");

    let options = SyncOptions { max_removed_percent: Some(100), ..SyncOptions::default() };
    let summary = fixture.run_with(SyncSource::Extract, &options).await.unwrap();
    assert_eq!((summary.archived, summary.counts.unchanged), (6, 14));
    assert_eq!(fixture.event_counts().await.get("opportunity.archived"), Some(&6));
}

#[tokio::test]
async fn an_opportunity_with_another_listed_notice_or_a_newer_one_stays_open() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.absences_before_archive = 1;
    // Notice 20 is a second one of the opportunity of notice 0.
    let second = csv_row(20, "Surgical beds").replace("36C24526Q0020", "36C24526Q0000");
    let first = rows(0..20);
    publish(&fixture, &[first.clone(), vec![second.clone()]].concat(), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    publish(&fixture, &[first[1..].to_vec(), vec![second]].concat(), "v2");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived), (1, 0));
    publish(&fixture, &first[1..], "v3");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived), (1, 1), "its last notice has left");
}

#[tokio::test]
async fn a_row_of_an_unknown_notice_keeps_the_run_from_archiving() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.absences_before_archive = 1;
    publish(&fixture, &rows(0..20), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();

    let mut damaged = rows(0..20);
    damaged[5] = "notice00005,cut off".to_owned();
    publish(&fixture, &damaged, "v2");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.rejected, summary.archived), (1, 0));
    assert!(summary.warnings[0].contains("1 rejected rows do not say which notice they are"), "{:?}", summary.warnings);

    // A damaged row that says which notice it is does not, nor does a rejected one.
    let id = "f7de794d27e242e89584e27bd9e2b7aa";
    damaged[5] = csv_row(5, "");
    damaged.push(format!("{id},cut off"));
    publish(&fixture, &[&damaged[..3], &damaged[4..]].concat(), "v3");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.rejected, summary.missing, summary.archived), (2, 1, 1));
    assert_eq!(phases(&fixture, 3).await, ["opportunity.discovered", "opportunity.archived"]);
    assert_eq!(phases(&fixture, 5).await, ["opportunity.discovered"]);
}

#[tokio::test]
async fn a_row_of_an_unknown_notice_among_a_thousand_does_not_keep_the_run_from_archiving() {
    let fixture = SamGovFixture::start().await;
    let without_3 = |mut rows: Vec<String>| {
        rows.remove(3);
        rows
    };
    publish(&fixture, &rows(0..1_001), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    let mut damaged = rows(0..1_001);
    damaged[5] = "notice00005,cut off".to_owned();
    publish(&fixture, &without_3(damaged), "v2");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.counts.rejected, summary.missing, summary.archived), (1, 2, 0));
    assert!(summary.warnings[0].contains("their notices count as absent"), "{:?}", summary.warnings);
    publish(&fixture, &without_3(rows(0..1_001)), "v3");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 1);
    assert_eq!(phases(&fixture, 3).await, ["opportunity.discovered", "opportunity.archived"]);
    assert_eq!(phases(&fixture, 5).await, ["opportunity.discovered"]);
}

#[tokio::test]
async fn two_extracts_that_are_cut_off_alike_archive_nothing() {
    let fixture = SamGovFixture::start().await;
    publish(&fixture, &rows(0..40), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    publish(&fixture, &rows(0..34), "v2");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().missing, 6);
    let mut cut_off = rows(0..34);
    cut_off[0] = csv_row(0, "Surgical beds and rails");
    publish(&fixture, &cut_off, "v3");
    let error = format_error_chain(&fixture.run(SyncSource::Extract).await.unwrap_err());
    assert!(error.contains("6 of 40 notices have left the extracts, more than the 10 %"), "{error}");
    assert_eq!(fixture.event_counts().await.get("opportunity.archived"), None);

    // The next one is whole.
    publish(&fixture, &rows(0..40), "v4");
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.counts.imported), (0, 1));
}

#[tokio::test]
async fn an_opportunity_whose_current_notice_has_left_first_is_archived_with_its_last_one() {
    let mut fixture = SamGovFixture::start().await;
    fixture.config.absences_before_archive = 1;
    // Notice 20 is the second and so the current one of the opportunity of notice 0.
    let second = csv_row(20, "Surgical beds").replace("36C24526Q0020", "36C24526Q0000");
    publish(&fixture, &[rows(0..20), vec![second]].concat(), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    publish(&fixture, &rows(0..20), "v2");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 0);
    publish(&fixture, &rows(1..20), "v3");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 1);
    let archived = phases(&fixture, 0).await;
    assert_eq!(archived.last().map(String::as_str), Some("opportunity.archived"), "{archived:?}");
}

#[tokio::test]
async fn a_run_that_dies_while_it_archives_counts_no_absence_twice_and_ends_no_listed_opportunity() {
    let fixture = SamGovFixture::start().await;
    publish(&fixture, &rows(0..20), "v1");
    fixture.run(SyncSource::Extract).await.unwrap();
    // The state after a crash: what comes later was not saved.
    let forget = async |statement: &'static str| sqlx::query(statement).execute(&fixture.pool).await.unwrap();
    let forget_version = "update sam_gov_syncs set etag = null, content_sha256 = null";

    publish(&fixture, &rows(1..20), "v2");
    for _ in 0..3 {
        assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 0, "one version without it");
        forget(forget_version).await;
    }
    publish(&fixture, &rows(1..20).into_iter().rev().collect::<Vec<_>>(), "v3");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().archived, 1);

    forget("update sam_gov_notices set removed = false").await;
    forget(forget_version).await;
    let summary = fixture.run(SyncSource::Extract).await.unwrap();
    assert_eq!((summary.missing, summary.archived, summary.counts.events), (0, 0, 0), "it was archived before");

    forget("update sam_gov_notices set removed = false").await;
    publish(&fixture, &rows(0..20), "v4");
    assert_eq!(fixture.run(SyncSource::Extract).await.unwrap().counts.imported, 1);
    assert_eq!(phases(&fixture, 0).await, ["opportunity.discovered", "opportunity.archived", "opportunity.amended"]);
}
