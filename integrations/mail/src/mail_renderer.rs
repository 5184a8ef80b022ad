//! Turns a requested mail of an inbox into a message: reads what it says from the inbox, adds links, composes it.

use domain::{
    inbox::{DailyDigest, DigestItem, Inbox, MailCategory, MailId, Notification, OpenMail},
    value::{TenantId, UserId},
};
use url::Url;
use uuid::Uuid;

use crate::{
    AddressDigest, ComposeError, ComposedMail, DailyDigestMail, DigestEntry, MailComposer, MailContent,
    MailTemplateError, MailTemplates, NotificationMail, OutgoingMail, UnsubscribeRequest, UnsubscribeTokenSigner,
};

/// Namespace of the identities of mails.
const MAIL_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f6d_6169_6c5f_6964_0001);

/// Path of the page that stops mail, followed by a token.
pub const UNSUBSCRIBE_PATH: &str = "/mail/unsubscribe/";

/// Renders mails.
pub struct MailRenderer {
    templates: MailTemplates,
    composer: MailComposer,
    signer: UnsubscribeTokenSigner,
    public_url: Url,
}

/// Why a mail cannot be rendered. Another attempt would fail, too.
#[derive(Debug, thiserror::Error)]
pub enum MailRenderError {
    /// The inbox has no notification, digest or address of this mail.
    #[error("the inbox no longer has what the mail is about")]
    Missing,
    /// A template fails.
    #[error(transparent)]
    Template(#[from] MailTemplateError),
    /// The message cannot be composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl MailRenderer {
    /// Renders mails of one sender; links lead to `public_url`.
    pub fn new(
        templates: MailTemplates,
        composer: MailComposer,
        signer: UnsubscribeTokenSigner,
        public_url: Url,
    ) -> Self {
        Self { templates, composer, signer, public_url }
    }

    /// Renders an open mail of a user's inbox, to the address of its attempt.
    ///
    /// # Errors
    /// [`MailRenderError`].
    pub fn render(
        &self,
        tenant: &TenantId,
        user: &UserId,
        inbox: &Inbox,
        open: &OpenMail,
    ) -> Result<ComposedMail, MailRenderError> {
        let category = open.mail.category;
        let address = open.address.as_ref().ok_or(MailRenderError::Missing)?;
        let token = self.signer.sign(&UnsubscribeRequest {
            tenant: tenant.clone(),
            user: user.clone(),
            category: category.name().to_owned(),
            address: AddressDigest::from_address(address),
        });
        let unsubscribe_url = self.link(&format!("{UNSUBSCRIBE_PATH}{token}"));
        let content = match (&open.mail.digest, open.mail.notification_id.and_then(|id| inbox.find_entry(id))) {
            (Some(digest), _) => self.render_digest(tenant, digest, unsubscribe_url.clone())?,
            (None, Some(entry)) => {
                self.render_notification(tenant, category, entry.notification(), unsubscribe_url.clone())?
            }
            (None, None) => return Err(MailRenderError::Missing),
        };
        Ok(self.composer.compose(&OutgoingMail {
            mail_id: message_identity(tenant, user, open.mail.mail_id),
            to: address.as_str().to_owned(),
            date: open.requested_at,
            content,
            unsubscribe_url,
        })?)
    }

    fn render_notification(
        &self,
        tenant: &TenantId,
        category: MailCategory,
        notification: &Notification,
        unsubscribe_url: String,
    ) -> Result<MailContent, MailTemplateError> {
        self.templates.render_notification(&NotificationMail {
            title: notification.title.to_string(),
            body: notification.body.to_string(),
            link: notification.link.as_ref().map(|link| self.link(link.as_str())),
            category: describe_category(category),
            company: tenant.to_string(),
            unsubscribe_url,
        })
    }

    fn render_digest(
        &self,
        tenant: &TenantId,
        digest: &DailyDigest,
        unsubscribe_url: String,
    ) -> Result<MailContent, MailTemplateError> {
        let entry = |item: &DigestItem| DigestEntry {
            title: item.title.to_string(),
            search: item.search.to_string(),
            link: self.link(item.link.as_str()),
        };
        self.templates.render_daily_digest(&DailyDigestMail {
            date: digest.date.to_string(),
            items: digest.items.iter().map(entry).collect(),
            more: digest.more,
            company: tenant.to_string(),
            unsubscribe_url,
        })
    }

    /// The address of a path of the application.
    fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// The identity of a mail among the mails of all users; its `Message-ID` and its file are named after it.
fn message_identity(tenant: &TenantId, user: &UserId, mail_id: MailId) -> Uuid {
    Uuid::new_v5(&MAIL_NAMESPACE, format!("{tenant} {user} {mail_id}").as_bytes())
}

/// A category in words for its users.
pub fn describe_category(category: MailCategory) -> &'static str {
    match category {
        MailCategory::Opportunities => "opportunities",
        MailCategory::Documents => "documents",
        MailCategory::Proposals => "proposals",
        MailCategory::Tasks => "tasks",
        MailCategory::System => "messages of the platform",
        MailCategory::DailyDigest => "new results of saved searches, once a day",
    }
}
