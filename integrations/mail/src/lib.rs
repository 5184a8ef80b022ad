//! Mail to users: notifications and daily digests, each sent at most once, over SMTP or into a folder.
//!
//! ```text
//! inbox: MailRequested ──Kafka──▶ MailProjection ──▶ mail_queue ──▶ Mailer ──▶ MailTransport: SMTP, folder
//!    ▲                              │                                 │
//!    │                              └▶ mail_recipients                └ MailAttempted before, MailSent or
//!    └── DigestRequester, at each user's hour ◀┘                        MailFailed after, in the inbox
//! ```
//!
//! The aggregate `domain::inbox::Inbox` decides which mails there are and whether one may be attempted. The queue only
//! lists pending work: losing it loses mails, and filling it again sends none twice.

mod address_digest;
mod daily_digest;
mod digest_schedule;
mod digest_source;
mod folder_transport;
mod mail_config;
mod mail_message;
mod mail_projection;
mod mail_queue;
mod mail_renderer;
mod mail_template;
mod mail_transport;
mod mailer;
mod search_match_source;
mod smtp_transport;
mod unsubscribe_token;

pub use self::{
    address_digest::AddressDigest,
    daily_digest::{DigestRequester, DigestSummary},
    digest_schedule::is_known_time_zone,
    digest_source::{DigestPeriod, DigestResults, DigestSource, DigestSourceError},
    folder_transport::FolderTransport,
    mail_config::{MailConfig, MailServices, MailSetupError, MailTransportKind},
    mail_message::{ComposeError, ComposedMail, MailComposer, OutgoingMail},
    mail_projection::{MailChange, MailProjection, MailRecipient, RequestedDelivery},
    mail_queue::{MailQueue, MailQueueError},
    mail_renderer::{MailRenderError, MailRenderer, UNSUBSCRIBE_PATH, describe_category},
    mail_template::{DailyDigestMail, DigestEntry, MailContent, MailTemplateError, MailTemplates, NotificationMail},
    mail_transport::{DeliveryError, DeliveryStage, MailTransport},
    mailer::{Mailer, MailerConfig, MailerError},
    search_match_source::SearchMatchSource,
    smtp_transport::{SmtpEncryption, SmtpServer, SmtpSetupError, SmtpTransport},
    unsubscribe_token::{MIN_SECRET_BYTES, UnsubscribeRequest, UnsubscribeTokenError, UnsubscribeTokenSigner},
};
