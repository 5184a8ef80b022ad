//! Each mail is sent at most once, even after redelivery, kills and outages.

use std::sync::Arc;

use domain::inbox::{Inbox, InboxCommand, MailAddress, MailAttemptId, MailCategory, MailId, NotificationIds};
use futures::future::BoxFuture;
use mail::{AddressDigest, ComposedMail, DeliveryError, MailTransport, MailerError, SmtpEncryption};
use tokio_util::sync::CancellationToken;
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
        let running = CancellationToken::new();
        let (first, second) = tokio::join!(first.run_once(&running), second.run_once(&running));
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
        fixture.smtp_mailer(server.settings()).run_once(&CancellationToken::new()).await.unwrap();
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
    fixture
        .send::<Inbox>(USER, |stamp| InboxCommand::StartMailAttempt { mail_id, attempt_id, obstacle: None, stamp })
        .await;
    fixture.deliver().await;
    fixture.smtp_mailer(server.settings()).run_once(&CancellationToken::new()).await.unwrap();
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
        handled += mailer.run_once(&CancellationToken::new()).await.unwrap();
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
    mailer.run_once(&CancellationToken::new()).await.unwrap();
    fixture.notify(2).await;
    assert_eq!(fixture.history().await, ["requested", "attempted", "failed bounced"]);

    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(3).await;
    fixture.deliver().await;
    mailer.run_once(&CancellationToken::new()).await.unwrap();
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
    let failed = fixture.smtp_mailer(absent).run_once(&CancellationToken::new()).await;
    assert!(matches!(failed, Err(MailerError::Server(_))), "{failed:?}");
    assert_eq!(fixture.history().await, ["requested", "requested"]);

    assert_eq!(fixture.smtp_mailer(server.settings()).run_once(&CancellationToken::new()).await.unwrap(), 2);
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
    fixture.send_into_folder().await;
    assert_eq!(fixture.history().await, ["requested", "suppressed handled"]);
    assert_eq!((fixture.mails(), fixture.queue.count_waiting().await.unwrap()), (vec![], 0));
}

#[tokio::test]
async fn former_members_receive_no_mail() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.remove_user().await;
    fixture.deliver().await;
    fixture.send_into_folder().await;
    assert_eq!(fixture.history().await, ["requested", "suppressed not_a_member"]);
    assert_eq!((fixture.mails(), fixture.queue.count_waiting().await.unwrap()), (vec![], 0));
}

#[tokio::test]
async fn an_address_that_has_stopped_mail_receives_none_from_any_user() {
    let fixture = MailFixture::create().await;
    let stopped = AddressDigest::from_address(&MailAddress::try_new("Stranger@clinic.example").unwrap());
    fixture.queue.add_opt_out(&stopped, MailCategory::Documents).await.unwrap();
    fixture.set_address("stranger+1@clinic.example", 7).await;
    fixture.notify(1).await;
    fixture.deliver().await;
    fixture.send_into_folder().await;
    fixture.queue.remove_opt_out(&stopped, MailCategory::Documents).await.unwrap();
    fixture.notify(2).await;
    fixture.deliver().await;
    fixture.send_into_folder().await;
    assert_eq!(fixture.history().await, ["requested", "suppressed unsubscribed", "requested", "attempted", "sent"]);
    assert_eq!(fixture.mails().len(), 1);
}

/// A transport during whose first delivery the program is stopped.
struct StoppingTransport {
    stop: CancellationToken,
}

impl MailTransport for StoppingTransport {
    fn check(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async { Ok(()) })
    }

    fn deliver<'a>(&'a self, _mail: &'a ComposedMail) -> BoxFuture<'a, Result<String, DeliveryError>> {
        self.stop.cancel();
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok("accepted".to_owned())
        })
    }
}

#[tokio::test]
async fn a_mailer_that_is_stopped_completes_its_deliveries_and_begins_no_other() {
    let fixture = MailFixture::create().await;
    fixture.set_address("ann@clinic.example", 7).await;
    for number in 0..8 {
        fixture.notify(number).await;
    }
    fixture.deliver().await;
    let stop = CancellationToken::new();
    let handled = fixture.mailer(Arc::new(StoppingTransport { stop: stop.clone() })).run_once(&stop).await.unwrap();
    assert!((1..=4).contains(&handled), "at most those that had begun: {handled}");
    let history = fixture.history().await;
    let count = |event| history.iter().filter(|found| *found == event).count();
    assert_eq!((count("attempted"), count("sent")), (handled, handled));

    // Those that were not begun are sent by another one.
    fixture.send_into_folder().await;
    assert_eq!(fixture.mails().len(), 8 - handled);
}
