//! Daily digests: one a day for each user, with the matches since the last one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::inbox::{Inbox, InboxCommand, MailCategory};
use futures::future::BoxFuture;
use mail::{
    DigestPeriod, DigestRequester, DigestResults, DigestSource, DigestSourceError, DigestSummary, SearchMatchSource,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::mail_fixture::{MailFixture, TENANT, USER};

/// Records a match of a saved search with daily notification.
async fn add_match(fixture: &MailFixture, user: &str, opportunity: &str, at: DateTime<Utc>) {
    sqlx::query(
        "insert into search_matches (tenant_id, user_id, search_id, opportunity_id, search_name, title, agency_name,
                                     frequency, event_id, matched_at)
         values ($1, $2, $3, $4, 'lifts', 'Patient lifts ' || $4, 'VA', 'daily', $3, $5)",
    )
    .bind(TENANT)
    .bind(user)
    .bind(Uuid::new_v4())
    .bind(opportunity)
    .bind(at)
    .execute(&fixture.pool)
    .await
    .unwrap();
}

/// When the user's next digest is due.
async fn next_digest(fixture: &MailFixture) -> Option<DateTime<Utc>> {
    sqlx::query_scalar("select next_digest_at from mail_recipients").fetch_one(&fixture.pool).await.unwrap()
}

async fn request_due(fixture: &MailFixture, now: DateTime<Utc>) -> (u32, u32, u32) {
    request_from(fixture, Arc::new(SearchMatchSource::new(fixture.pool.clone())), now).await
}

async fn request_from(fixture: &MailFixture, source: Arc<dyn DigestSource>, now: DateTime<Utc>) -> (u32, u32, u32) {
    let requester = DigestRequester::new(fixture.queue.clone(), Arc::clone(&fixture.dispatcher), source);
    let summary = requester.request_due(now, &CancellationToken::new()).await.unwrap();
    let DigestSummary { requested, empty, failed } = summary;
    (requested, empty, failed)
}

#[tokio::test]
async fn a_user_has_one_digest_a_day_with_what_was_found_since_the_last() {
    let fixture = MailFixture::create().await;
    let now: DateTime<Utc> = std::time::SystemTime::now().into();
    add_match(&fixture, USER, "036:OLD", now - TimeDelta::days(2)).await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    assert_eq!(due.with_timezone(&chrono_tz::America::New_York).format("%H:%M").to_string(), "07:00");
    for number in 1..=52 {
        add_match(&fixture, USER, &format!("036:{number}"), due + TimeDelta::seconds(number)).await;
    }
    add_match(&fixture, "bob", "036:BOB", due).await;

    assert_eq!(request_due(&fixture, due - TimeDelta::seconds(1)).await, (0, 0, 0), "not due yet");
    // Three days late: missed digests are caught up by one.
    assert_eq!(request_due(&fixture, due + TimeDelta::days(3)).await, (1, 0, 0));
    assert_eq!(request_due(&fixture, due + TimeDelta::days(3)).await, (0, 0, 0));
    fixture.deliver().await;
    fixture.send_into_folder().await;
    let mails = fixture.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Subject: 52 new results of your saved searches"), "{}", mails[0]);
    assert!(mails[0].contains("Patient lifts 036:52 (lifts)") && mails[0].contains("... and 2 more."), "{}", mails[0]);
    assert!(!mails[0].contains("036:OLD") && !mails[0].contains("036:BOB"));

    let next = next_digest(&fixture).await.unwrap();
    assert!(next > due + TimeDelta::days(3) && next <= due + TimeDelta::days(4) + TimeDelta::hours(1), "{next}");
    assert_eq!(request_due(&fixture, next).await, (0, 1, 0), "nothing new");
    assert_eq!(fixture.history().await, ["requested", "attempted", "sent"]);
}

/// How often each opportunity number is named in a mail, which names it in its text and its HTML.
fn count_results(mail: &str, number: u32) -> usize {
    mail.matches(&format!("Patient lifts 036:{number}")).count()
}

#[tokio::test]
async fn a_second_digest_on_one_day_waits_for_the_next_day() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 0).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:1", due + TimeDelta::seconds(1)).await;
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(10)).await, (1, 0, 0));
    // As after a change of the hour on the same day.
    add_match(&fixture, USER, "036:2", due + TimeDelta::minutes(6)).await;
    sqlx::query("update mail_recipients set next_digest_at = $1").bind(due).execute(&fixture.pool).await.unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(20)).await, (0, 1, 0));
    let tomorrow = next_digest(&fixture).await.unwrap();
    assert_eq!(request_due(&fixture, tomorrow).await, (1, 0, 0));
    fixture.deliver().await;
    fixture.send_into_folder().await;
    let mut results: Vec<_> =
        fixture.mails().iter().map(|mail| (count_results(mail, 1), count_results(mail, 2))).collect();
    results.sort_unstable();
    assert_eq!(results, [(0, 2), (2, 0)], "each digest lists one result");
}

#[tokio::test]
async fn a_result_whose_transaction_ends_after_a_digest_is_in_the_next_one() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(2)).await, (0, 1, 0));
    // It has the time at which its transaction began.
    add_match(&fixture, USER, "036:1", due + TimeDelta::seconds(1)).await;
    let next = next_digest(&fixture).await.unwrap();
    assert_eq!(request_due(&fixture, next).await, (1, 0, 0));
}

#[tokio::test]
async fn a_digest_whose_program_died_before_it_marked_the_results_is_not_repeated() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    let row = "select digested_until from mail_recipients";
    let covered: DateTime<Utc> = sqlx::query_scalar(row).fetch_one(&fixture.pool).await.unwrap();
    add_match(&fixture, USER, "036:1", due + TimeDelta::seconds(1)).await;
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(10)).await, (1, 0, 0));
    // The tables as they were when the request was recorded.
    sqlx::query("update search_matches set notified_at = null").execute(&fixture.pool).await.unwrap();
    let reset = "update mail_recipients set next_digest_at = $1, digested_until = $2";
    sqlx::query(reset).bind(due).bind(covered).execute(&fixture.pool).await.unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(20)).await, (0, 1, 0));
    assert_eq!(request_due(&fixture, next_digest(&fixture).await.unwrap()).await, (0, 1, 0), "nothing new");
    let marked = "select count(*) from search_matches where notified_at is not null";
    assert_eq!(sqlx::query_scalar::<_, i64>(marked).fetch_one(&fixture.pool).await.unwrap(), 1);
}

#[tokio::test]
async fn a_digest_that_is_late_does_not_use_up_the_next_day() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 23).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:1", due + TimeDelta::seconds(1)).await;
    // After midnight.
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(90)).await, (1, 0, 0));
    let next = next_digest(&fixture).await.unwrap();
    assert!(next < due + TimeDelta::hours(26), "{next}");
    add_match(&fixture, USER, "036:2", next - TimeDelta::minutes(10)).await;
    assert_eq!(request_due(&fixture, next).await, (1, 0, 0));
}

#[tokio::test]
async fn who_left_the_company_receives_no_digest_before_returning() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:1", due + TimeDelta::seconds(1)).await;
    fixture.remove_user().await;
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(10)).await, (0, 1, 0));
    assert_eq!(fixture.history().await.len(), 0);

    fixture.add_user_again().await;
    let next = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:2", next - TimeDelta::minutes(10)).await;
    assert_eq!(request_due(&fixture, next).await, (1, 0, 0));
    fixture.deliver().await;
    fixture.send_into_folder().await;
    let mails = fixture.mails();
    assert_eq!((mails.len(), count_results(&mails[0], 1), count_results(&mails[0], 2)), (1, 0, 2));
}

#[tokio::test]
async fn who_subscribes_again_does_not_receive_what_was_found_meanwhile() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    let category = MailCategory::DailyDigest;
    fixture.send::<Inbox>(USER, |stamp| InboxCommand::UnsubscribeMail { category, stamp }).await;
    fixture.deliver().await;
    assert_eq!(next_digest(&fixture).await, None);
    let now: DateTime<Utc> = std::time::SystemTime::now().into();
    add_match(&fixture, USER, "036:1", now).await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(10)).await, (0, 1, 0));
}

#[tokio::test]
async fn results_that_were_only_counted_are_a_digest() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    sqlx::query(
        "insert into search_match_overflows (tenant_id, user_id, search_id, hour, search_name, frequency, opportunities)
         values ($1, $2, $3, $4, 'lifts', 'daily', 7)",
    )
    .bind(TENANT)
    .bind(USER)
    .bind(Uuid::new_v4())
    .bind(due)
    .execute(&fixture.pool)
    .await
    .unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::minutes(66)).await, (1, 0, 0));
    fixture.deliver().await;
    fixture.send_into_folder().await;
    assert!(fixture.mails()[0].contains("Subject: 7 new results of your saved searches"), "{:?}", fixture.mails());
}

/// A source that fails.
struct FailingSource;

impl DigestSource for FailingSource {
    fn find_results<'a>(
        &'a self,
        _period: DigestPeriod<'a>,
        _limit: usize,
    ) -> BoxFuture<'a, Result<DigestResults, DigestSourceError>> {
        Box::pin(async { Err("planted".into()) })
    }

    fn mark_announced<'a>(&'a self, _period: DigestPeriod<'a>) -> BoxFuture<'a, Result<(), DigestSourceError>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_digest_that_fails_does_not_delay_other_users_digests() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    // As many as are read at once, none of whom belongs to the company.
    sqlx::query(
        "insert into mail_recipients (tenant_id, user_id, time_zone, digest_hour, next_digest_at, sequence)
         select $1, 'user-' || number, 'UTC', 7, $2, 1 from generate_series(1, 200) number",
    )
    .bind(TENANT)
    .bind(due + TimeDelta::seconds(1))
    .execute(&fixture.pool)
    .await
    .unwrap();
    let handled = request_from(&fixture, Arc::new(FailingSource), due + TimeDelta::minutes(10)).await;
    assert_eq!(handled, (0, 200, 1));
    let first_due = "select min(next_digest_at) from mail_recipients";
    let first_due: DateTime<Utc> = sqlx::query_scalar(first_due).fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(first_due, due, "the one that failed is tried again");
}
