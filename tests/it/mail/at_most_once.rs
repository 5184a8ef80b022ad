//! Each mail is sent at most once, whatever is delivered again, killed or away.

use domain::inbox::{Inbox, InboxCommand, MailAttemptId, MailId, NotificationIds};
use mail::{MailerError, SmtpEncryption};
use uuid::Uuid;

use super::{
    mail_fixture::{MailFixture, USER},
    smtp_server::TestSmtpServer,
};

#[tokio::test]
async fn a_notification_is_one_mail_however_often_its_event_is_delivered() {
    let fixture = MailFixture::create().await;
    fixture.notify(1).await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(2).await;
    for _ in 0..3 {
        fixture.deliver().await;
        let (first, second) = (fixture.folder_mailer(), fixture.folder_mailer());
        let (first, second) = tokio::join!(first.run_once(), second.run_once());
        first.unwrap();
        second.unwrap();
    }
    let mails = fixture.mails();
    assert_eq!(mails.len(), 1, "none of the notification before the address: {mails:?}");
    assert!(mails[0].contains("Subject: Document 2 analysed") && mails[0].contains("To: ann@clinic.example"));
    assert_eq!(fixture.history().await, ["requested", "attempted", "sent"]);
    assert_eq!(fixture.queue.count_waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn a_mail_that_may_have_been_accepted_is_not_sent_again() {
    let (fixture, server) = (MailFixture::create().await, TestSmtpServer::start(SmtpEncryption::None));
    fixture.set_address("lost@clinic.example", 7).await;
    fixture.notify(1).await;
    for _ in 0..2 {
        fixture.deliver().await;
        fixture.smtp_mailer(server.settings()).run_once().await.unwrap();
    }
    assert_eq!(fixture.history().await, ["requested", "attempted", "failed unknown"]);
    assert_eq!(server.accepted().len(), 1);
}

#[tokio::test]
async fn an_attempt_of_a_mailer_that_died_is_not_repeated() {
    let (fixture, server) = (MailFixture::create().await, TestSmtpServer::start(SmtpEncryption::None));
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(1).await;
    let (mail_id, attempt_id) = (MailId::new(Uuid::from_u128(1)), MailAttemptId::new(Uuid::from_u128(10)));
    fixture.send::<Inbox>(USER, |stamp| InboxCommand::StartMailAttempt { mail_id, attempt_id, stamp }).await;
    fixture.deliver().await;
    fixture.smtp_mailer(server.settings()).run_once().await.unwrap();
    assert_eq!(fixture.history().await, ["requested", "attempted", "failed unknown"]);
    assert_eq!((server.accepted().len(), fixture.queue.count_waiting().await.unwrap()), (0, 0));
}

#[tokio::test]
async fn a_busy_mailbox_is_tried_again_and_given_up_in_the_end() {
    let (fixture, server) = (MailFixture::create().await, TestSmtpServer::start(SmtpEncryption::None));
    fixture.set_address("busy@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.deliver().await;
    let mailer = fixture.smtp_mailer(server.settings());
    let mut handled = 0;
    for _ in 0..4 {
        handled += mailer.run_once().await.unwrap();
    }
    assert_eq!(handled, 3);
    let attempt = ["attempted", "failed postponed"];
    assert_eq!(
        fixture.history().await,
        [&["requested"], &attempt[..], &attempt, &["attempted", "failed abandoned"]].concat()
    );
    assert_eq!(server.accepted().len(), 0);
}

#[tokio::test]
async fn a_bounce_is_recorded_and_stops_mail_to_the_address() {
    let (fixture, server) = (MailFixture::create().await, TestSmtpServer::start(SmtpEncryption::None));
    fixture.set_address("unknown@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.deliver().await;
    let mailer = fixture.smtp_mailer(server.settings());
    mailer.run_once().await.unwrap();
    fixture.notify(2).await;
    assert_eq!(fixture.history().await, ["requested", "attempted", "failed bounced"]);

    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(3).await;
    fixture.deliver().await;
    mailer.run_once().await.unwrap();
    assert_eq!(fixture.history().await[3..], ["requested", "attempted", "sent"]);
    assert_eq!(server.accepted().len(), 1);
}

#[tokio::test]
async fn while_the_server_is_away_nothing_is_attempted_and_afterwards_each_mail_is_sent() {
    let (fixture, server) = (MailFixture::create().await, TestSmtpServer::start(SmtpEncryption::None));
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.notify(2).await;
    fixture.deliver().await;
    let mut absent = server.settings();
    absent.port = TestSmtpServer::start(SmtpEncryption::None).settings().port;
    let failed = fixture.smtp_mailer(absent).run_once().await;
    assert!(matches!(failed, Err(MailerError::Server(_))), "{failed:?}");
    assert_eq!(fixture.history().await, ["requested", "requested"]);

    assert_eq!(fixture.smtp_mailer(server.settings()).run_once().await.unwrap(), 2);
    assert_eq!(server.accepted().len(), 2);
}

#[tokio::test]
async fn a_notification_that_was_read_before_is_not_sent() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.deliver().await;
    let read = NotificationIds::try_new([domain::inbox::NotificationId::new(Uuid::from_u128(1))]).unwrap();
    fixture.send::<Inbox>(USER, |stamp| InboxCommand::MarkRead { notification_ids: read, stamp }).await;
    fixture.folder_mailer().run_once().await.unwrap();
    assert_eq!(fixture.history().await, ["requested", "suppressed handled"]);
    assert_eq!((fixture.mails(), fixture.queue.count_waiting().await.unwrap()), (vec![], 0));
}
