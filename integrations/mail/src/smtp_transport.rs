//! Delivery over SMTP by `lettre`, step by step: which step failed decides whether a mail may be sent again.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::error_chain::format_error_chain;
use futures::future::BoxFuture;
use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
    commands::{Data, Mail, Rcpt},
    extension::ClientId,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{ComposedMail, DeliveryError, DeliveryStage, MailTransport};

/// How long an unused connection is kept. Servers close theirs after some minutes.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Deliveries over one connection.
const MAX_DELIVERIES: u32 = 100;
/// How long closing a connection politely may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SmtpEncryption {
    /// Not at all: for a server on the same machine.
    #[serde(rename = "none")]
    None,
    /// By STARTTLS, which the server must offer.
    #[serde(rename = "starttls")]
    StartTls,
    /// From the first byte.
    #[serde(rename = "tls")]
    ImplicitTls,
}

/// A mail server and how to reach it.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// Name of the host, which its certificate must be for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How connections are encrypted.
    pub encryption: SmtpEncryption,
    /// User and password, if the server asks for them. They are not sent over a connection that is not encrypted.
    pub credentials: Option<(String, SecretString)>,
    /// Certificates (PEM) to trust instead of the system's.
    pub trusted_certificates: Option<Vec<u8>>,
    /// How long one delivery may take, with the connection.
    pub timeout: Duration,
    /// Connections at the same time.
    pub max_connections: u32,
}

/// Why a server's settings are not usable.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The certificates cannot be used.
    #[error("the certificates to trust cannot be used; name a file of PEM certificates")]
    Certificates(#[source] lettre::transport::smtp::Error),
    /// A password would be sent in clear text.
    #[error("a user and password need an encrypted connection; use STARTTLS or TLS")]
    PasswordInClear,
}

/// Delivers over SMTP. Clones share their connections.
#[derive(Clone)]
pub struct SmtpTransport {
    shared: Arc<SharedConnections>,
}

struct SharedConnections {
    server: SmtpServer,
    tls: Option<TlsParameters>,
    slots: Semaphore,
    idle: Mutex<Vec<SmtpSession>>,
}

struct SmtpSession {
    connection: AsyncSmtpConnection,
    deliveries: u32,
    idle_since: Instant,
}

impl SmtpTransport {
    /// Checks the settings. Connects with the first delivery.
    ///
    /// # Errors
    /// [`SmtpSetupError`].
    pub fn new(server: SmtpServer) -> Result<Self, SmtpSetupError> {
        let tls = match server.encryption {
            SmtpEncryption::None if server.credentials.is_some() => return Err(SmtpSetupError::PasswordInClear),
            SmtpEncryption::None => None,
            SmtpEncryption::StartTls | SmtpEncryption::ImplicitTls => {
                Some(tls_parameters(&server).map_err(SmtpSetupError::Certificates)?)
            }
        };
        let slots = Semaphore::new(usize::try_from(server.max_connections.max(1)).unwrap_or(1));
        Ok(Self { shared: Arc::new(SharedConnections { server, tls, slots, idle: Mutex::default() }) })
    }
}

impl MailTransport for SmtpTransport {
    fn check(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(self.shared.check())
    }

    fn deliver<'a>(&'a self, mail: &'a ComposedMail) -> BoxFuture<'a, Result<String, DeliveryError>> {
        Box::pin(self.shared.deliver(mail))
    }
}

fn tls_parameters(server: &SmtpServer) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.trusted_certificates {
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(Certificate::from_pem(pem)?);
    }
    parameters.build_rustls()
}

impl SharedConnections {
    /// Opens a connection, which the next delivery uses.
    async fn check(&self) -> Result<(), DeliveryError> {
        // Never closed.
        let _slot = self.slots.acquire().await;
        let deadline = Instant::now() + self.server.timeout;
        let session = match self.take_idle(deadline).await {
            Some(session) => session,
            None => self.connect(deadline).await?,
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Ok(())
    }

    async fn deliver(&self, mail: &ComposedMail) -> Result<String, DeliveryError> {
        // Never closed.
        let _slot = self.slots.acquire().await;
        let deadline = Instant::now() + self.server.timeout;
        let mut session = match self.take_idle(deadline).await {
            Some(session) => session,
            None => self.connect(deadline).await?,
        };
        let outcome = session.send(mail, deadline).await;
        session.deliveries += 1;
        let is_answering = !matches!(outcome, Err(DeliveryError::Unknown { .. })) && Instant::now() < deadline;
        if outcome.is_ok() && session.deliveries < MAX_DELIVERIES {
            session.idle_since = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        } else if is_answering {
            // The outcome is known; the server need not be polite.
            let quit = session.connection.quit();
            if !matches!(tokio::time::timeout(QUIT_TIMEOUT, quit).await, Ok(Ok(_))) {
                tracing::debug!("connection to the mail server was not closed by QUIT");
            }
        }
        outcome
    }

    /// A connection that was used before and still answers.
    async fn take_idle(&self, deadline: Instant) -> Option<SmtpSession> {
        loop {
            let mut session = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let answers =
                async { session.idle_since.elapsed() < MAX_IDLE && session.connection.test_connected().await };
            if matches!(timeout_at(deadline, answers).await, Ok(true)) {
                return Some(session);
            }
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<SmtpSession, DeliveryError> {
        let SmtpServer { host, port, encryption, .. } = &self.server;
        let hello = ClientId::default();
        let implicit = if *encryption == SmtpEncryption::ImplicitTls { self.tls.clone() } else { None };
        let connecting = AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), None, &hello, implicit, None);
        let mut connection = run_step(DeliveryStage::Connection, deadline, connecting).await?;
        if let (SmtpEncryption::StartTls, Some(tls)) = (encryption, &self.tls) {
            run_step(DeliveryStage::Tls, deadline, connection.starttls(tls.clone(), &hello)).await?;
        }
        if let Some((user, password)) = &self.server.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            run_step(DeliveryStage::Authentication, deadline, connection.auth(&mechanisms, &credentials)).await?;
        }
        Ok(SmtpSession { connection, deliveries: 0, idle_since: Instant::now() })
    }
}

impl SmtpSession {
    async fn send(&mut self, mail: &ComposedMail, deadline: Instant) -> Result<String, DeliveryError> {
        let connection = &mut self.connection;
        let sender = Mail::new(mail.envelope.from().cloned(), vec![]);
        run_step(DeliveryStage::Sender, deadline, connection.command(sender)).await?;
        for recipient in mail.envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), vec![]);
            run_step(DeliveryStage::Recipient, deadline, connection.command(recipient)).await?;
        }
        run_step(DeliveryStage::Data, deadline, connection.command(Data)).await?;
        let answer = run_step(DeliveryStage::Message, deadline, connection.message(&mail.bytes)).await?;
        Ok(truncate(&answer.message().collect::<Vec<_>>().join(" ")))
    }
}

/// Runs a step within the deadline.
async fn run_step<T>(
    stage: DeliveryStage,
    deadline: Instant,
    step: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, DeliveryError> {
    match timeout_at(deadline, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(classify(stage, &error)),
        Err(_elapsed) => Err(unanswered_step_error(stage, "no answer in time".to_owned())),
    }
}

/// What a failed step says about the mail. A refusal before the recipient is named concerns this program and its
/// settings, not the mail: it is tried again after an operator has repaired them.
fn classify(stage: DeliveryStage, error: &lettre::transport::smtp::Error) -> DeliveryError {
    let reason = truncate(&format_error_chain(error));
    match stage {
        DeliveryStage::Recipient if is_bounce(error) => DeliveryError::Permanent { stage, reason },
        DeliveryStage::Data | DeliveryStage::Message if error.is_permanent() => {
            DeliveryError::Permanent { stage, reason }
        }
        DeliveryStage::Message if error.is_transient() => DeliveryError::Transient { stage, reason },
        DeliveryStage::Connection
        | DeliveryStage::Tls
        | DeliveryStage::Authentication
        | DeliveryStage::Sender
        | DeliveryStage::Recipient
        | DeliveryStage::Data
        | DeliveryStage::Message => unanswered_step_error(stage, reason),
    }
}

/// Whether the answer to a recipient says that its mailbox does not exist or is closed. Servers also refuse recipients for
/// reasons that concern this program, such as its network address or the right to relay, and for full mailboxes.
fn is_bounce(error: &lettre::transport::smtp::Error) -> bool {
    let answer = error.source().map(ToString::to_string).unwrap_or_default();
    error.status().is_some_and(|code| is_bounce_answer(u16::from(code), &answer))
}

/// Whether this is a bounce by its reply code and its enhanced status code (RFC 3463), if it has one: `5.1.7` and `5.1.8`
/// are about the sender.
fn is_bounce_answer(code: u16, answer: &str) -> bool {
    let is_about_mailbox = match enhanced_status(answer) {
        Some((5, 1, detail)) => detail != 7 && detail != 8,
        Some(status) => status == (5, 2, 1),
        None => true,
    };
    matches!(code, 550 | 551 | 553) && is_about_mailbox
}

/// The enhanced status code that an answer begins with, e.g. `5.1.1`.
fn enhanced_status(answer: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = answer.split_whitespace().next()?.split('.').map(str::parse);
    match (numbers.next()?.ok(), numbers.next()?.ok(), numbers.next()?.ok(), numbers.next()) {
        (Some(class), Some(subject), Some(detail), None) => Some((class, subject, detail)),
        _ => None,
    }
}

/// A step that the server did not answer. Once the message is on its way, the server may have accepted it.
fn unanswered_step_error(stage: DeliveryStage, reason: String) -> DeliveryError {
    match stage {
        DeliveryStage::Message => DeliveryError::Unknown { reason },
        DeliveryStage::Connection
        | DeliveryStage::Tls
        | DeliveryStage::Authentication
        | DeliveryStage::Sender
        | DeliveryStage::Recipient
        | DeliveryStage::Data => DeliveryError::Transient { stage, reason },
    }
}

/// At most [`MAX_REASON`] characters without control characters: a server's answer goes into events and logs.
fn truncate(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_about_the_mailbox_are_bounces() {
        for (code, answer) in [
            (550, "5.1.1 no such mailbox"),
            (550, "5.2.1 mailbox disabled"),
            (551, "5.1.6 moved"),
            (553, "5.1.3 bad address"),
            (550, "no such user"),
        ] {
            assert!(is_bounce_answer(code, answer), "{code} {answer}");
        }
        for (code, answer) in [
            (554, "5.7.1 relay access denied"),
            (550, "5.7.1 client host blocked"),
            (550, "5.1.8 sender rejected"),
            (552, "5.2.2 mailbox full"),
            (554, "5.1.1 no such mailbox"),
            (554, "transaction failed"),
            (450, "4.2.0 mailbox busy"),
        ] {
            assert!(!is_bounce_answer(code, answer), "{code} {answer}");
        }
    }
}
