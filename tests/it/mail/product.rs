//! Mail through the whole product: a notification becomes one mail in the folder, a link in it stops further ones, and
//! a rebuild sends none.

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    inbox::{Inbox, InboxCommand, Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle},
    value::{TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use tests::{EnvironmentVariables, ProductInstance, SignedInUser, error_code, eventually, json_lines, output_text};
use uuid::Uuid;

use super::mail_fixture::read_mails;

const SITE: &str = "https://medhub.example/hub";

async fn notify_ann(pool: &PgPool, number: u128) {
    let store = PgEventStore::<()>::new(pool.clone(), &PostgresConfig::default());
    let dispatcher = CommandDispatcher::new(store, std::sync::Arc::new(SystemClock));
    let caller = Caller::new(UserId::from_program("system:test"), TenantId::try_new("acme").unwrap());
    let sender = CommandSender { caller, authority: CallerAuthority::System };
    let notification = Notification::new(
        NotificationId::new(Uuid::from_u128(number)),
        NotificationKind::TaskFinished,
        NotificationTitle::try_new(&format!("Task {number} finished")).unwrap(),
        NotificationBody::try_new("It is done.").unwrap(),
    );
    let command = InboxCommand::Notify { notification, stamp: dispatcher.stamp(&sender) };
    dispatcher.dispatch::<Inbox>(&sender, "ann", &CommandPreconditions::default(), command).await.unwrap();
}

async fn count_events(pool: &PgPool, event_type: &str) -> i64 {
    let count = "select count(*) from events where event_type = $1";
    sqlx::query_scalar(count).bind(event_type).fetch_one(pool).await.unwrap()
}

/// The token of the link to unsubscribe in a mail.
fn unsubscribe_token(mail: &str) -> String {
    let line = mail.lines().find(|line| line.starts_with("List-Unsubscribe: ")).unwrap();
    let begin = format!("List-Unsubscribe: <{SITE}/mail/unsubscribe/");
    line.strip_prefix(&begin).unwrap().strip_suffix('>').unwrap().to_owned()
}

#[tokio::test]
async fn a_notification_is_one_mail_and_its_link_stops_further_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mails");
    let product = ProductInstance::start_with(EnvironmentVariables::from([
        ("MEDHUB__MAIL__TRANSPORT".to_owned(), "folder".to_owned()),
        ("MEDHUB__MAIL__FOLDER".to_owned(), mails.display().to_string()),
        ("MEDHUB__MAIL__PUBLIC_URL".to_owned(), SITE.to_owned()),
        ("MEDHUB__MAIL__UNSUBSCRIBE_SECRET".to_owned(), "a secret of the test".to_owned()),
    ]))
    .await;
    let config =
        PostgresConfig { url: product.variable("DATABASE_URL").to_owned().into(), ..PostgresConfig::default() };
    let pool = eventstore::postgres::open_pool(&config).unwrap();
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let set = "changeMailPreferences(input: { address: \"ann@clinic.example\", timeZone: \"America/New_York\",
        unsubscribed: [SYSTEM] })";
    {
        let bad_zone =
            "mutation { changeMailPreferences(input: { address: \"ann@clinic.example\", timeZone: \"Mars/Olympus\" })
            { __typename } }";
        assert_eq!(error_code(&ann.send_document(bad_zone, json!({})).await), "INVALID_INPUT");
        let changed = ann.apply_change(set, json!({})).await;
        let preferences = "{ mailPreferences { address timeZone digestHour unsubscribed bounced } }";
        assert_eq!(
            ann.query_since(&changed, preferences, json!({})).await["mailPreferences"],
            json!({ "address": "ann@clinic.example", "timeZone": "America/New_York", "digestHour": 7,
                    "unsubscribed": ["SYSTEM"], "bounced": false })
        );
    }

    notify_ann(&pool, 1).await;
    let mail = eventually(async || read_mails(&mails).pop().ok_or("no mail")).await;
    assert!(mail.contains("Subject: Task 1 finished") && mail.contains("To: ann@clinic.example"), "{mail}");
    eventually(async || if count_events(&pool, "inbox.mail_sent").await == 1 { Ok(()) } else { Err("not recorded") })
        .await;

    // What reads the log again sends nothing.
    let rebuilt = product.run_medhub(&["rebuild", "workspace"]).await;
    assert!(rebuilt.status.success(), "{}", output_text(&rebuilt));

    let (client, site) = (tests::new_http_client(), format!("{}/mail/unsubscribe/", product.http()));
    let token = unsubscribe_token(&mail);
    let page = client.get(format!("{site}{token}")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("Stop mail about tasks for acme?"));
    for bad in [&token[..token.len() - 1], "nonsense"] {
        let answer = client.post(format!("{site}{bad}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{bad}");
    }
    assert_eq!(count_events(&pool, "inbox.mail_unsubscribed").await, 0, "a GET and invalid links change nothing");
    for _ in 0..2 {
        let one_click = client
            .post(format!("{site}{token}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("List-Unsubscribe=One-Click");
        assert_eq!(one_click.send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(count_events(&pool, "inbox.mail_unsubscribed").await, 1);

    notify_ann(&pool, 2).await;
    assert_eq!(count_events(&pool, "inbox.notified").await, 2);
    assert_eq!((count_events(&pool, "inbox.mail_requested").await, read_mails(&mails).len()), (1, 1));

    // Who names the address again cannot undo what its owner has done by the link.
    ann.apply_change(set, json!({})).await;
    notify_ann(&pool, 3).await;
    let suppressed = async || count_events(&pool, "inbox.mail_suppressed").await;
    eventually(async || if suppressed().await == 1 { Ok(()) } else { Err("not suppressed") }).await;
    let resume = client.post(format!("{site}{token}")).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(resume.body("resume=yes").send().await.unwrap().status(), StatusCode::OK);
    let opt_outs = sqlx::query_scalar("select count(*) from mail_opt_outs").fetch_one(&pool).await;
    assert_eq!((opt_outs.unwrap(), read_mails(&mails).len()), (0_i64, 1));

    let listed = product.run_medhub(&["jobs", "list", "--json"]).await;
    let jobs: Vec<_> = json_lines(&listed).iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(jobs, ["daily-digest", "process-clean-up", "search-match-clean-up"]);
    let run = product.run_medhub(&["jobs", "run", "process-clean-up"]).await;
    assert!(
        output_text(&run).contains("succeeded: 0 instances removed that ended 90 days ago"),
        "{}",
        output_text(&run)
    );
}
