//! Mail: templates, messages, and their delivery over SMTP or into a folder.

mod folder_transport;
mod mail_message;
mod mail_template;
mod mail_transport;
mod smtp_transport;
mod unsubscribe_token;

pub use self::{
    folder_transport::FolderTransport,
    mail_message::{ComposeError, ComposedMail, MailComposer, OutgoingMail},
    mail_template::{
        DailyDigestMail, DigestEntry, MailContent, MailTemplateError, MailTemplates, NotificationMail,
    },
    mail_transport::{DeliveryError, DeliveryStage, MailTransport},
    smtp_transport::{SmtpEncryption, SmtpServer, SmtpSetupError, SmtpTransport},
    unsubscribe_token::{MIN_SECRET_BYTES, UnsubscribeRequest, UnsubscribeTokenError, UnsubscribeTokenSigner},
};
