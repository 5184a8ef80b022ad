//! The trait of what delivers mails, and how a delivery can fail.

use std::fmt;

use futures::future::BoxFuture;

use crate::ComposedMail;

/// Delivers mails to a server, or into a folder.
pub trait MailTransport: Send + Sync {
    /// Checks that mails can be delivered now, without sending one.
    fn check(&self) -> BoxFuture<'_, Result<(), DeliveryError>>;

    /// Delivers one mail, within a limited time. Returns what the server answered.
    fn deliver<'a>(&'a self, mail: &'a ComposedMail) -> BoxFuture<'a, Result<String, DeliveryError>>;
}

/// The step of a delivery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStage {
    /// Connecting, with the server's greeting.
    Connection,
    /// Encrypting the connection.
    Tls,
    /// Authenticating with the configured user.
    Authentication,
    /// `MAIL FROM`: the sender.
    Sender,
    /// `RCPT TO`: the recipient.
    Recipient,
    /// `DATA`: the announcement of the message.
    Data,
    /// The message itself, up to the server's answer after the final dot.
    Message,
}

impl fmt::Display for DeliveryStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connecting",
            Self::Tls => "encrypting the connection",
            Self::Authentication => "authenticating",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Data => "announcing the message",
            Self::Message => "sending the message",
        })
    }
}

/// Why a mail was not delivered, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The server refused it for good. It is not sent again.
    #[error("the mail server refused the mail while {stage}: {reason}")]
    Permanent {
        /// The step.
        stage: DeliveryStage,
        /// The server's answer.
        reason: String,
    },
    /// It was not accepted; another attempt may succeed.
    #[error("the mail server could not take the mail while {stage}: {reason}")]
    Transient {
        /// The step.
        stage: DeliveryStage,
        /// The server's answer, or the error of the connection.
        reason: String,
    },
    /// The message was sent and no answer came: the server may have accepted it. It is not sent again.
    #[error("the mail server did not answer after the message, it may have accepted it: {reason}")]
    Unknown {
        /// The error of the connection.
        reason: String,
    },
}
