//! Whether mails can be delivered: connects to the mail server and authenticates, and sends no mail.

use domain::error_chain::format_error_chain;
use mail::{DeliveryError, DeliveryStage, MailConfig, MailTransportKind};
use serde::Serialize;

/// How long the check of the mail server may take, unless the settings allow it less.
const CHECK_TIMEOUT_MS: u64 = 15_000;

/// Whether mails can be delivered.
#[derive(Debug, Serialize)]
pub(super) struct MailDiagnosis {
    /// The transport, with the server's address or the folder.
    pub(super) at: String,
    pub(super) usable: bool,
    /// Why not.
    pub(super) reason: Option<String>,
    /// What an operator can do about it.
    pub(super) advice: Option<&'static str>,
}

/// Checks the settings of mail, and the mail server if there is one; `None` if no mail is sent.
pub(super) async fn check_mail(config: &MailConfig) -> Option<MailDiagnosis> {
    let at = match config.transport {
        MailTransportKind::None => return None,
        MailTransportKind::Folder => format!("folder {}", config.folder.display()),
        MailTransportKind::Smtp => format!("{}:{}", config.smtp_host, config.smtp_port),
    };
    let (reason, advice) = match find_problem(config).await {
        None => (None, None),
        Some((reason, advice)) => (Some(reason), Some(advice)),
    };
    Some(MailDiagnosis { at, usable: reason.is_none(), reason, advice })
}

/// The problem, and what an operator can do about it.
async fn find_problem(config: &MailConfig) -> Option<(String, &'static str)> {
    const CORRECT: &str = "correct the setting; without mail, set MEDHUB__MAIL__TRANSPORT to none";
    const ADDRESS: &str = "start the mail server there, or correct MEDHUB__MAIL__SMTP_HOST, MEDHUB__MAIL__SMTP_PORT or \
                           MEDHUB__MAIL__SMTP_ENCRYPTION";
    // The transport keeps the limit, so that the reason names the step that took too long.
    let smtp_timeout_ms = config.smtp_timeout_ms.min(CHECK_TIMEOUT_MS);
    let services = match (MailConfig { smtp_timeout_ms, ..config.clone() }).open() {
        Ok(Some(services)) => services,
        Ok(None) => return None,
        Err(error) => return Some((format_error_chain(&error), CORRECT)),
    };
    match services.transport.check().await {
        Ok(()) => None,
        Err(DeliveryError::Unknown { reason }) => Some((reason, ADDRESS)),
        Err(DeliveryError::Permanent { stage, reason } | DeliveryError::Transient { stage, reason }) => {
            let advice = match stage {
                DeliveryStage::Tls => {
                    "correct MEDHUB__MAIL__SMTP_ENCRYPTION, or name the server's authority in \
                     MEDHUB__MAIL__SMTP_CERTIFICATES"
                }
                DeliveryStage::Authentication => "correct MEDHUB__MAIL__SMTP_USER and MEDHUB__MAIL__SMTP_PASSWORD",
                DeliveryStage::Connection
                | DeliveryStage::Sender
                | DeliveryStage::Recipient
                | DeliveryStage::Data
                | DeliveryStage::Message => ADDRESS,
            };
            Some((format!("failed while {stage}: {reason}"), advice))
        }
    }
}
