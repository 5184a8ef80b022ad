//! Templates of mails: files in `templates/`, one for the text and one for the HTML of each kind.
//!
//! Values are escaped in HTML. In the text they are inserted as they are: a mail's text has no syntax.

use std::path::Path;

use minijinja::{
    AutoEscape, Environment, UndefinedBehavior,
    value::{Serde, Value},
};
use serde::Serialize;

/// Longest text or HTML of a mail, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The subject, text and HTML of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailContent {
    /// The subject, on one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// What a notification's mail says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotificationMail {
    /// The title, which is also the subject.
    pub title: String,
    /// The text.
    pub body: String,
    /// The address of the page that it links to.
    pub link: Option<String>,
    /// The category of mail, in words for the user.
    pub category: &'static str,
    /// The company that the user belongs to.
    pub company: String,
    /// Where the user stops mail of this category.
    pub unsubscribe_url: String,
}

/// What a daily digest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DailyDigestMail {
    /// The day, in the user's time zone.
    pub date: String,
    /// The results.
    pub items: Vec<DigestEntry>,
    /// Number of further results that are not listed.
    pub more: u64,
    /// The company that the user belongs to.
    pub company: String,
    /// Where the user stops the digest.
    pub unsubscribe_url: String,
}

/// A result in a daily digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DigestEntry {
    /// The opportunity's title.
    pub title: String,
    /// The name of the saved search.
    pub search: String,
    /// The address of the opportunity's page.
    pub link: String,
}

/// Why a mail cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum MailTemplateError {
    /// A template is invalid, or refers to a value that does not exist: a defect of this program.
    #[error("rendering the template {template}")]
    Render {
        /// The template.
        template: &'static str,
        /// The cause.
        #[source]
        source: minijinja::Error,
    },
    /// The result is too long.
    #[error("the mail from the template {template} has {bytes} bytes, at most {MAX_BODY_BYTES} are sent")]
    TooLong {
        /// The template.
        template: &'static str,
        /// Its length.
        bytes: usize,
    },
}

/// All templates, compiled.
#[derive(Debug)]
pub struct MailTemplates {
    environment: Environment<'static>,
}

const NOTIFICATION: TemplatePair = TemplatePair { text: "notification.txt", html: "notification.html" };
const DAILY_DIGEST: TemplatePair = TemplatePair { text: "daily_digest.txt", html: "daily_digest.html" };

/// Name and source of each template.
const TEMPLATES: [(&str, &str); 4] = [
    (NOTIFICATION.text, include_str!("../templates/notification.txt")),
    (NOTIFICATION.html, include_str!("../templates/notification.html")),
    (DAILY_DIGEST.text, include_str!("../templates/daily_digest.txt")),
    (DAILY_DIGEST.html, include_str!("../templates/daily_digest.html")),
];

/// Whether the template of this name is HTML.
fn is_html(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "html")
}

struct TemplatePair {
    text: &'static str,
    html: &'static str,
}

impl MailTemplates {
    /// Compiles the templates.
    ///
    /// # Errors
    /// [`MailTemplateError::Render`] when one of them is invalid.
    pub fn new() -> Result<Self, MailTemplateError> {
        let mut environment = Environment::new();
        // A name that is misspelt fails instead of leaving a gap in the mail.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| if is_html(name) { AutoEscape::Html } else { AutoEscape::None });
        for (template, source) in TEMPLATES {
            environment
                .add_template(template, source)
                .map_err(|source| MailTemplateError::Render { template, source })?;
        }
        Ok(Self { environment })
    }

    /// Renders the mail of a notification.
    ///
    /// # Errors
    /// [`MailTemplateError`] when it cannot be rendered or becomes too long.
    pub fn render_notification(&self, mail: &NotificationMail) -> Result<MailContent, MailTemplateError> {
        #[derive(Serialize)]
        struct NotificationView<'a> {
            #[serde(flatten)]
            mail: &'a NotificationMail,
            body_lines: Vec<&'a str>,
        }
        let body_lines = mail.body.lines().filter(|line| !line.trim().is_empty()).collect();
        self.render(&NOTIFICATION, &mail.title, &NotificationView { mail, body_lines })
    }

    /// Renders a daily digest.
    ///
    /// # Errors
    /// As [`Self::render_notification`].
    pub fn render_daily_digest(&self, mail: &DailyDigestMail) -> Result<MailContent, MailTemplateError> {
        let results = u64::try_from(mail.items.len()).unwrap_or(u64::MAX).saturating_add(mail.more);
        let noun = if results == 1 { "result" } else { "results" };
        self.render(&DAILY_DIGEST, &format!("{results} new {noun} of your saved searches"), mail)
    }

    fn render(
        &self,
        pair: &TemplatePair,
        subject: &str,
        values: &impl Serialize,
    ) -> Result<MailContent, MailTemplateError> {
        let values = Value::from(Serde(values));
        Ok(MailContent {
            subject: subject.to_owned(),
            text: self.render_template(pair.text, &values)?,
            html: self.render_template(pair.html, &values)?,
        })
    }

    fn render_template(&self, template: &'static str, values: &Value) -> Result<String, MailTemplateError> {
        let rendered = self.environment.get_template(template).and_then(|found| found.render(values.clone()));
        let rendered = rendered.map_err(|source| MailTemplateError::Render { template, source })?;
        if rendered.len() > MAX_BODY_BYTES {
            return Err(MailTemplateError::TooLong { template, bytes: rendered.len() });
        }
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification_mail() -> NotificationMail {
        NotificationMail {
            title: "Beds & <lifts>".to_owned(),
            body: "First line.\n\nSecond <script>alert(1)</script> line.".to_owned(),
            link: Some("https://medhub.example/documents/1?a=1&b=2".to_owned()),
            category: "documents",
            company: "acme".to_owned(),
            unsubscribe_url: "https://medhub.example/mail/unsubscribe/abc".to_owned(),
        }
    }

    #[test]
    fn values_are_escaped_in_html_and_unchanged_in_the_text() {
        let content = MailTemplates::new().unwrap().render_notification(&notification_mail()).unwrap();
        assert_eq!(content.subject, "Beds & <lifts>");
        assert!(content.text.starts_with("Beds & <lifts>\n\nFirst line.\n\nSecond <script>"), "{}", content.text);
        assert!(content.text.ends_with("Stop mail of this kind: https://medhub.example/mail/unsubscribe/abc"));
        assert!(
            content.html.contains("<h1 style=\"font-size:1.2em\">Beds &amp; &lt;lifts&gt;</h1>"),
            "{}",
            content.html
        );
        assert!(
            content.html.contains("<p>Second &lt;script&gt;alert(1)&lt;&#x2f;script&gt; line.</p>"),
            "{}",
            content.html
        );
        assert!(!content.html.contains("<script>"));
    }

    #[test]
    fn a_notification_without_a_link_has_none() {
        let mail = NotificationMail { link: None, ..notification_mail() };
        let content = MailTemplates::new().unwrap().render_notification(&mail).unwrap();
        assert!(!content.text.contains("Open it") && !content.html.contains("Open it"));
    }

    #[test]
    fn a_digest_lists_its_results_and_counts_the_others() {
        let items: Vec<_> = (1..=2)
            .map(|number| DigestEntry {
                title: format!("Beds {number}"),
                search: "beds".to_owned(),
                link: format!("https://medhub.example/opportunities/{number}"),
            })
            .collect();
        let mail = DailyDigestMail {
            date: "2026-03-09".to_owned(),
            items,
            more: 1_204,
            company: "acme".to_owned(),
            unsubscribe_url: "https://medhub.example/mail/unsubscribe/abc".to_owned(),
        };
        let content = MailTemplates::new().unwrap().render_daily_digest(&mail).unwrap();
        assert_eq!(content.subject, "1206 new results of your saved searches");
        assert!(
            content.text.contains("- Beds 2 (beds)\n  https://medhub.example/opportunities/2\n"),
            "{}",
            content.text
        );
        assert!(content.text.contains("... and 1204 more."));
        let single = DailyDigestMail { items: vec![], more: 1, ..mail };
        assert_eq!(
            MailTemplates::new().unwrap().render_daily_digest(&single).unwrap().subject,
            "1 new result of your saved searches"
        );
    }

    #[test]
    fn a_mail_that_is_too_long_is_refused() {
        let mail = NotificationMail { body: "x".repeat(MAX_BODY_BYTES), ..notification_mail() };
        let refused = MailTemplates::new().unwrap().render_notification(&mail);
        assert!(matches!(refused, Err(MailTemplateError::TooLong { template: "notification.txt", .. })), "{refused:?}");
    }
}
