//! Settings of mail.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__MAIL__TRANSPORT` | `none` | `none`: no mail is sent; `folder`: mails are written into a folder, for local runs; `smtp`: they are sent to a mail server |
//! | `MEDHUB__MAIL__FOLDER` | `medhub-mails` | folder of the transport `folder` |
//! | `MEDHUB__MAIL__SMTP_HOST` | `localhost` | the mail server; its certificate must be for this name |
//! | `MEDHUB__MAIL__SMTP_PORT` | `587` | its port |
//! | `MEDHUB__MAIL__SMTP_ENCRYPTION` | `starttls` | `starttls`; `tls` from the first byte, usually on port 465; `none` for a server on the same machine |
//! | `MEDHUB__MAIL__SMTP_USER` | | user, if the server asks for one |
//! | `MEDHUB__MAIL__SMTP_PASSWORD` | | its password |
//! | `MEDHUB__MAIL__SMTP_CERTIFICATES` | | file of PEM certificates to trust instead of the system's |
//! | `MEDHUB__MAIL__SMTP_TIMEOUT_MS` | `60000` | how long one delivery may take |
//! | `MEDHUB__MAIL__SMTP_CONNECTIONS` | `2` | connections at the same time |
//! | `MEDHUB__MAIL__SENDER` | `MedContractHub <no-reply@localhost>` | the sender's address |
//! | `MEDHUB__MAIL__PUBLIC_URL` | `http://127.0.0.1:8080` | address of the application, which links in mails begin with |
//! | `MEDHUB__MAIL__UNSUBSCRIBE_SECRET` | | signs the links to unsubscribe, at least 16 bytes; the same in all processes |

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    FolderTransport, MIN_SECRET_BYTES, MailComposer, MailRenderer, MailTemplateError, MailTemplates, MailTransport,
    MailerConfig, SmtpEncryption, SmtpServer, SmtpSetupError, SmtpTransport, UnsubscribeTokenSigner,
};

/// Where mails go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTransportKind {
    /// Nowhere: none are sent.
    #[default]
    None,
    /// Into a folder.
    Folder,
    /// To a mail server.
    Smtp,
}

/// Settings of mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// Where mails go.
    pub transport: MailTransportKind,
    /// Folder of the transport `folder`.
    pub folder: PathBuf,
    /// The mail server.
    pub smtp_host: String,
    /// Its port.
    pub smtp_port: u16,
    /// How connections are encrypted: `starttls`, `tls` or `none`.
    pub smtp_encryption: SmtpEncryption,
    /// User, if the server asks for one; empty if it does not.
    pub smtp_user: String,
    /// Its password. A secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub smtp_password: SecretString,
    /// File of PEM certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_certificates: Option<PathBuf>,
    /// How long one delivery may take, in milliseconds.
    pub smtp_timeout_ms: u64,
    /// Connections at the same time.
    pub smtp_connections: u32,
    /// The sender.
    pub sender: String,
    /// Address of the application.
    pub public_url: String,
    /// Signs the links to unsubscribe. A secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub unsubscribe_secret: SecretString,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            transport: MailTransportKind::None,
            folder: PathBuf::from("medhub-mails"),
            smtp_host: "localhost".to_owned(),
            smtp_port: 587,
            smtp_encryption: SmtpEncryption::StartTls,
            smtp_user: String::new(),
            smtp_password: SecretString::default(),
            smtp_certificates: None,
            smtp_timeout_ms: 60_000,
            smtp_connections: 2,
            sender: "MedContractHub <no-reply@localhost>".to_owned(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            unsubscribe_secret: SecretString::default(),
        }
    }
}

/// Why the settings of mail are not usable.
#[derive(Debug, thiserror::Error)]
pub enum MailSetupError {
    /// The secret is missing or too short.
    #[error("mail.unsubscribe_secret must have at least {MIN_SECRET_BYTES} bytes; it signs the links to unsubscribe")]
    Secret,
    /// The sender is no address.
    #[error("mail.sender {0:?} is no address; write e.g. \"MedContractHub <no-reply@example.com>\"")]
    Sender(String),
    /// The address of the application is no URL.
    #[error("mail.public_url {0:?} is no address of a site; write e.g. \"https://medhub.example.com\"")]
    PublicUrl(String),
    /// The file of certificates cannot be read.
    #[error("reading mail.smtp_certificates, {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The settings of the server contradict each other.
    #[error("setting up the connection to the mail server {0}")]
    Smtp(String, #[source] SmtpSetupError),
    /// A template is invalid: a defect of this program.
    #[error(transparent)]
    Template(#[from] MailTemplateError),
}

/// What sends mails, made from the settings.
pub struct MailServices {
    /// Renders mails.
    pub renderer: MailRenderer,
    /// Delivers them.
    pub transport: Arc<dyn MailTransport>,
    /// Settings of the mailer.
    pub mailer: MailerConfig,
    /// How long one delivery may take.
    pub delivery_timeout: Duration,
}

impl MailConfig {
    /// Checks the settings and sets up what sends mails; `None` if no mail is sent.
    ///
    /// # Errors
    /// [`MailSetupError`], which names the setting.
    pub fn open(&self) -> Result<Option<MailServices>, MailSetupError> {
        let transport: Arc<dyn MailTransport> = match self.transport {
            MailTransportKind::None => return Ok(None),
            MailTransportKind::Folder => Arc::new(FolderTransport::new(&self.folder)),
            MailTransportKind::Smtp => Arc::new(self.smtp_transport()?),
        };
        let signer = self.token_signer().ok_or(MailSetupError::Secret)?;
        let composer = MailComposer::new(&self.sender).map_err(|_| MailSetupError::Sender(self.sender.clone()))?;
        let public_url = self.parse_public_url()?;
        let delivery_timeout = Duration::from_millis(self.smtp_timeout_ms);
        let mailer = MailerConfig {
            // Twice the delivery, and recording the attempt and its outcome.
            lease: delivery_timeout.saturating_mul(2) + Duration::from_mins(1),
            concurrency: usize::try_from(self.smtp_connections).unwrap_or(1),
            ..MailerConfig::default()
        };
        let renderer = MailRenderer::new(MailTemplates::new()?, composer, signer, public_url);
        Ok(Some(MailServices { renderer, transport, mailer, delivery_timeout }))
    }

    /// What checks links to unsubscribe; `None` without a secret.
    pub fn token_signer(&self) -> Option<UnsubscribeTokenSigner> {
        let is_usable = self.unsubscribe_secret.expose_secret().len() >= MIN_SECRET_BYTES;
        is_usable.then(|| UnsubscribeTokenSigner::new(&self.unsubscribe_secret))
    }

    fn parse_public_url(&self) -> Result<Url, MailSetupError> {
        let invalid = || MailSetupError::PublicUrl(self.public_url.clone());
        let url = Url::parse(&self.public_url).map_err(|_| invalid())?;
        let is_site = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
        if is_site && url.as_str().is_ascii() { Ok(url) } else { Err(invalid()) }
    }

    fn smtp_transport(&self) -> Result<SmtpTransport, MailSetupError> {
        let certificates = self.smtp_certificates.as_ref().map(|path| {
            std::fs::read(path).map_err(|source| MailSetupError::Certificates { path: path.clone(), source })
        });
        let server = SmtpServer {
            host: self.smtp_host.clone(),
            port: self.smtp_port,
            encryption: self.smtp_encryption,
            credentials: (!self.smtp_user.is_empty()).then(|| (self.smtp_user.clone(), self.smtp_password.clone())),
            trusted_certificates: certificates.transpose()?,
            timeout: Duration::from_millis(self.smtp_timeout_ms.max(1)),
            max_connections: self.smtp_connections,
        };
        SmtpTransport::new(server).map_err(|error| MailSetupError::Smtp(self.smtp_host.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_config() -> MailConfig {
        MailConfig {
            transport: MailTransportKind::Folder,
            unsubscribe_secret: "a secret of the test".into(),
            ..MailConfig::default()
        }
    }

    fn setup_error(config: &MailConfig) -> String {
        config.open().err().unwrap().to_string()
    }

    #[test]
    fn without_a_transport_nothing_is_set_up() {
        assert!(MailConfig::default().open().unwrap().is_none());
        assert!(folder_config().open().unwrap().is_some());
    }

    #[test]
    fn an_invalid_setting_is_named() {
        let config = MailConfig { unsubscribe_secret: "short".into(), ..folder_config() };
        assert!(setup_error(&config).starts_with("mail.unsubscribe_secret must have at least 16 bytes"));
        let config = MailConfig { sender: "nobody".to_owned(), ..folder_config() };
        assert!(setup_error(&config).starts_with("mail.sender \"nobody\" is no address"));
        for url in ["medhub.example", "ftp://medhub.example", "https://medhub.example/?a=1"] {
            let config = MailConfig { public_url: url.to_owned(), ..folder_config() };
            assert!(setup_error(&config).starts_with("mail.public_url"), "{url}");
        }
        let config = MailConfig {
            transport: MailTransportKind::Smtp,
            smtp_certificates: Some("absent.pem".into()),
            ..folder_config()
        };
        assert_eq!(setup_error(&config), "reading mail.smtp_certificates, absent.pem");
        let config = MailConfig {
            transport: MailTransportKind::Smtp,
            smtp_encryption: SmtpEncryption::None,
            smtp_user: "medhub".to_owned(),
            ..folder_config()
        };
        assert_eq!(setup_error(&config), "setting up the connection to the mail server localhost");
    }
}
