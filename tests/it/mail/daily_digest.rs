//! Daily digests: one a day for each user, with the matches since the last one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::company::{Company, CompanyCommand};
use domain::value::UserId;
use mail::{DigestRequester, DigestSummary, SearchMatchSource};
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
    let source = Arc::new(SearchMatchSource::new(fixture.pool.clone()));
    let requester = DigestRequester::new(fixture.queue.clone(), Arc::clone(&fixture.dispatcher), source);
    let DigestSummary { requested, empty, failed } = requester.request_due(now).await.unwrap();
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
    fixture.folder_mailer().run_once().await.unwrap();
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

#[tokio::test]
async fn a_second_digest_on_one_day_waits_for_the_next_day() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 0).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:1", due).await;
    assert_eq!(request_due(&fixture, due).await, (1, 0, 0));
    // As after a change of the hour on the same day.
    add_match(&fixture, USER, "036:2", due + TimeDelta::seconds(1)).await;
    sqlx::query("update mail_recipients set next_digest_at = $1").bind(due).execute(&fixture.pool).await.unwrap();
    assert_eq!(request_due(&fixture, due + TimeDelta::seconds(2)).await, (0, 1, 0));
    let tomorrow = next_digest(&fixture).await.unwrap();
    assert_eq!(request_due(&fixture, tomorrow).await, (1, 0, 0));
    fixture.deliver().await;
    fixture.folder_mailer().run_once().await.unwrap();
    let mut subjects: Vec<_> = fixture.mails().iter().map(|mail| mail.matches("Patient lifts 036:").count()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, [2, 2], "each digest lists one result, in its text and its HTML");
}

#[tokio::test]
async fn who_left_the_company_receives_no_digest() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.deliver().await;
    let due = next_digest(&fixture).await.unwrap();
    add_match(&fixture, USER, "036:1", due).await;
    let bob = UserId::try_new("bob").unwrap();
    fixture
        .send::<Company>(TENANT, |stamp| CompanyCommand::AddMember {
            user: bob,
            role: domain::company::Role::Admin,
            stamp,
        })
        .await;
    let ann = UserId::try_new(USER).unwrap();
    fixture.send::<Company>(TENANT, |stamp| CompanyCommand::RemoveMember { user: ann, stamp }).await;
    assert_eq!(request_due(&fixture, due).await, (0, 1, 0));
    assert_eq!((next_digest(&fixture).await, fixture.history().await.len()), (None, 0));
}
