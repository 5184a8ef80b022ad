//! Delivery over SMTP, and what each failure says about the mail.

use std::time::{Duration, Instant};

use mail::{
    ComposedMail, DeliveryError, DeliveryStage, MailComposer, MailContent, MailTransport as _, OutgoingMail,
    SmtpEncryption, SmtpServer, SmtpSetupError, SmtpTransport,
};
use tests::{json_lines, shared_product};
use uuid::Uuid;

use super::smtp_server::TestSmtpServer;

fn composed(user: &str) -> ComposedMail {
    composed_from("MedContractHub <no-reply@medhub.example>", user)
}

fn composed_from(sender: &str, user: &str) -> ComposedMail {
    let mail = OutgoingMail {
        mail_id: Uuid::new_v4(),
        to: format!("{user}@clinic.example"),
        date: "2026-03-09T12:00:00Z".parse().unwrap(),
        content: MailContent {
            subject: "Beds for Größe".to_owned(),
            // A line with a dot alone would end the message.
            text: "First\n.\n..two\nlast".to_owned(),
            html: "<p>First</p>\n.\n<p>last</p>".to_owned(),
        },
        unsubscribe_url: "https://medhub.example/mail/unsubscribe/abc".to_owned(),
    };
    MailComposer::new(sender).unwrap().compose(&mail).unwrap()
}

async fn deliver(server: &SmtpServer, user: &str) -> Result<String, DeliveryError> {
    SmtpTransport::new(server.clone()).unwrap().deliver(&composed(user)).await
}

/// The failure as variant and step.
fn shape(outcome: Result<String, DeliveryError>) -> String {
    match outcome {
        Ok(answer) => format!("delivered: {answer}"),
        Err(DeliveryError::Permanent { stage, reason: _ }) => format!("permanent: {stage:?}"),
        Err(DeliveryError::Transient { stage, reason: _ }) => format!("transient: {stage:?}"),
        Err(DeliveryError::Unknown { reason: _ }) => "unknown".to_owned(),
    }
}

fn with_password(server: &SmtpServer, password: &str) -> SmtpServer {
    SmtpServer { credentials: Some(("medhub".to_owned(), password.to_owned().into())), ..server.clone() }
}

#[tokio::test]
async fn mails_arrive_unchanged_and_share_a_connection() {
    let server = TestSmtpServer::start(SmtpEncryption::None);
    let transport = SmtpTransport::new(server.settings()).unwrap();
    let mails = [composed("ann"), composed("bob")];
    for mail in &mails {
        let answer = transport.deliver(mail).await.unwrap();
        assert!(answer.starts_with("accepted as"), "{answer}");
    }
    let accepted = server.accepted();
    let bytes: Vec<_> = accepted.iter().map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    let sent: Vec<_> =
        mails.iter().map(|mail| String::from_utf8_lossy(mail.as_bytes()).trim_end().to_owned()).collect();
    assert_eq!(bytes.iter().map(|text| text.trim_end()).collect::<Vec<_>>(), sent);
    assert_eq!(accepted[0].1, accepted[1].1, "the second mail uses the connection of the first");
}

#[tokio::test]
async fn refusals_are_permanent_and_other_failures_may_be_tried_again() {
    let server = TestSmtpServer::start(SmtpEncryption::None);
    let settings = server.settings();
    for (user, expected) in [
        ("unknown", "permanent: Recipient"),
        ("relayed", "transient: Recipient"),
        ("full", "transient: Recipient"),
        ("busy", "transient: Recipient"),
        ("rejected", "permanent: Message"),
        ("later", "transient: Message"),
    ] {
        assert_eq!(shape(deliver(&settings, user).await), expected, "{user}");
    }
    // The sender is a setting of this program: an operator repairs it, and the mail is sent then.
    let transport = SmtpTransport::new(settings.clone()).unwrap();
    let banned = transport.deliver(&composed_from("banned@medhub.example", "ann")).await;
    assert_eq!(shape(banned), "transient: Sender");
    assert_eq!(server.accepted(), vec![]);
    let error = deliver(&settings, "unknown").await.unwrap_err().to_string();
    assert!(error.contains("550") && error.contains("no such mailbox"), "{error}");
}

#[tokio::test]
async fn a_mail_without_an_answer_after_its_end_may_have_been_accepted() {
    let server = TestSmtpServer::start(SmtpEncryption::None);
    assert_eq!(shape(deliver(&server.settings(), "lost").await), "unknown");
    let hasty = SmtpServer { timeout: Duration::from_millis(400), ..server.settings() };
    assert_eq!(shape(deliver(&hasty, "mute").await), "unknown");
    let users: Vec<_> = server.accepted().into_iter().map(|(user, ..)| user).collect();
    assert_eq!(users, ["lost", "mute"], "both were accepted in fact");
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_time_limit_only() {
    let server = TestSmtpServer::start(SmtpEncryption::None);
    let hasty = SmtpServer { timeout: Duration::from_millis(300), ..server.settings() };
    let begun = Instant::now();
    assert_eq!(shape(deliver(&hasty, "silent").await), "transient: Recipient");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(server.accepted(), vec![]);
}

#[tokio::test]
async fn starttls_with_a_password_delivers_and_never_falls_back() {
    let server = TestSmtpServer::start(SmtpEncryption::StartTls);
    let settings = server.settings();
    let delivered = shape(deliver(&with_password(&settings, "the right one"), "ann").await);
    assert!(delivered.starts_with("delivered: accepted as 1-ann-"), "{delivered}");

    let wrong = deliver(&with_password(&settings, "a wrong one"), "ann").await;
    assert_eq!(shape(wrong), "transient: Authentication");
    let unencrypted = SmtpServer { encryption: SmtpEncryption::None, ..settings.clone() };
    assert_eq!(shape(deliver(&unencrypted, "ann").await), "transient: Sender", "the server requires TLS");
    let distrusting = SmtpServer { trusted_certificates: None, ..settings.clone() };
    assert_eq!(shape(deliver(&with_password(&distrusting, "the right one"), "ann").await), "transient: Tls");

    let without_tls = TestSmtpServer::start(SmtpEncryption::None);
    let demanding = SmtpServer { encryption: SmtpEncryption::StartTls, ..without_tls.settings() };
    assert_eq!(shape(deliver(&demanding, "ann").await), "transient: Tls", "the server does not offer it");
    assert_eq!((server.accepted().len(), without_tls.accepted().len()), (1, 0));
}

#[tokio::test]
async fn implicit_tls_delivers_to_a_server_with_the_right_name_only() {
    let server = TestSmtpServer::start(SmtpEncryption::ImplicitTls);
    let delivered = shape(deliver(&server.settings(), "ann").await);
    assert!(delivered.starts_with("delivered: accepted as 1-ann-"), "{delivered}");
    let other_name = SmtpServer { host: "127.0.0.1".to_owned(), ..server.settings() };
    assert_eq!(shape(deliver(&other_name, "ann").await), "transient: Connection");
    assert_eq!(server.accepted().len(), 1);
}

#[tokio::test]
async fn unusable_settings_are_refused_and_an_absent_server_is_tried_again() {
    let server = TestSmtpServer::start(SmtpEncryption::None);
    let settings = server.settings();
    drop(server);
    assert!(matches!(SmtpTransport::new(with_password(&settings, "secret")), Err(SmtpSetupError::PasswordInClear)));
    let no_certificate = SmtpServer {
        encryption: SmtpEncryption::StartTls,
        trusted_certificates: Some(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_vec()),
        ..settings.clone()
    };
    assert!(matches!(SmtpTransport::new(no_certificate), Err(SmtpSetupError::Certificates(_))));
    assert_eq!(shape(deliver(&settings, "ann").await), "transient: Connection");
    assert_eq!(DeliveryStage::Connection.to_string(), "connecting");
}

#[tokio::test]
async fn doctor_connects_to_the_mail_server_and_sends_no_mail() {
    let server = TestSmtpServer::start(SmtpEncryption::StartTls);
    let certificates = server.authority();
    let product = shared_product().await;
    let diagnose = async |password: &str, port: u16| {
        let mut command = product.medhub_command(&["doctor", "--json"]);
        command
            .env("MEDHUB__MAIL__TRANSPORT", "smtp")
            .env("MEDHUB__MAIL__SMTP_PORT", port.to_string())
            .env("MEDHUB__MAIL__SMTP_CERTIFICATES", &certificates)
            .env("MEDHUB__MAIL__SMTP_USER", "medhub")
            .env("MEDHUB__MAIL__SMTP_PASSWORD", password)
            .env("MEDHUB__MAIL__UNSUBSCRIBE_SECRET", "a secret of the test");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        json_lines(&output)[0]["mail"].clone()
    };
    let port = server.settings().port;
    let (right, wrong, absent) =
        tokio::join!(diagnose("the right one", port), diagnose("a wrong one", port), diagnose("the right one", 1));
    assert_eq!((&right["usable"], &right["reason"]), (&true.into(), &serde_json::Value::Null), "{right}");
    assert_eq!(right["at"], format!("localhost:{port}"));
    for (diagnosis, reason, advice) in [
        (&wrong, "failed while authenticating: ", "SMTP_PASSWORD"),
        (&absent, "failed while connecting: ", "SMTP_PORT"),
    ] {
        assert_eq!(diagnosis["usable"], false, "{diagnosis}");
        assert!(diagnosis["reason"].as_str().unwrap().starts_with(reason), "{diagnosis}");
        assert!(diagnosis["advice"].as_str().unwrap().contains(advice), "{diagnosis}");
    }
    assert_eq!(server.accepted(), vec![]);
}
