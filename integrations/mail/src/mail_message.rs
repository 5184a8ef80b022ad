//! A mail as it goes over the wire: headers, text and HTML.

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use crate::MailContent;

/// Longest line of a header (RFC 5322, 2.1.1), without its name.
const MAX_HEADER_LINE: usize = 900;

/// A mail before it is composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// Identity of the mail. The `Message-ID` is derived from it: the same mail has the same one.
    pub mail_id: Uuid,
    /// The recipient's address.
    pub to: String,
    /// When the mail was requested: its `Date`.
    pub date: DateTime<Utc>,
    /// Subject, text and HTML.
    pub content: MailContent,
    /// Where one click stops mail of this kind (RFC 8058).
    pub unsubscribe_url: String,
}

/// A composed mail: envelope and bytes.
#[derive(Debug, Clone)]
pub struct ComposedMail {
    pub(crate) mail_id: Uuid,
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
}

impl ComposedMail {
    /// The message as it is sent, with CRLF line ends.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a mail cannot be composed. No other attempt would succeed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The recipient's address is not one that SMTP can carry.
    #[error("the recipient's address is invalid")]
    Recipient(#[source] lettre::address::AddressError),
    /// The address has characters beyond ASCII, which many servers refuse (RFC 6531).
    #[error("the recipient's address has characters beyond ASCII, which is not supported")]
    NotAscii,
    /// The link to unsubscribe is no plain URL, or too long.
    #[error(
        "the link to unsubscribe cannot be a header: it must be printable ASCII of at most {MAX_HEADER_LINE} characters"
    )]
    UnsubscribeUrl,
    /// The message could not be built.
    #[error("composing the message")]
    Message(#[source] lettre::error::Error),
}

/// Composes mails from one sender.
#[derive(Debug, Clone)]
pub struct MailComposer {
    from: Mailbox,
}

impl MailComposer {
    /// Composes mails from this sender, e.g. `MedContractHub <no-reply@example.com>`.
    ///
    /// # Errors
    /// When the text is no address.
    pub fn new(from: &str) -> Result<Self, lettre::address::AddressError> {
        Ok(Self { from: from.parse()? })
    }

    /// Composes a mail. The same mail gives the same bytes.
    ///
    /// # Errors
    /// [`ComposeError`]; composing it again fails again.
    pub fn compose(&self, mail: &OutgoingMail) -> Result<ComposedMail, ComposeError> {
        let to: Address = mail.to.parse().map_err(ComposeError::Recipient)?;
        if !mail.to.is_ascii() {
            return Err(ComposeError::NotAscii);
        }
        if mail.unsubscribe_url.len() > MAX_HEADER_LINE
            || !mail.unsubscribe_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>')
        {
            return Err(ComposeError::UnsubscribeUrl);
        }
        let message_id = format!("<{}@{}>", mail.mail_id, self.from.email.domain());
        let body = MultiPart::alternative()
            .boundary(format!("medhub-{}", mail.mail_id.simple()))
            .singlepart(SinglePart::plain(mail.content.text.clone()))
            .singlepart(SinglePart::html(mail.content.html.clone()));
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(single_line(&mail.content.subject))
            .date(mail.date.into())
            .message_id(Some(message_id))
            .raw_header(raw_header("List-Unsubscribe", format!("<{}>", mail.unsubscribe_url)))
            .raw_header(raw_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()))
            // Keeps out-of-office answers from coming back (RFC 3834).
            .raw_header(raw_header("Auto-Submitted", "auto-generated".to_owned()))
            .multipart(body)
            .map_err(ComposeError::Message)?;
        let envelope = message.envelope().clone();
        Ok(ComposedMail { mail_id: mail.mail_id, envelope, bytes: message.formatted() })
    }
}

/// A header whose value is plain ASCII on one line. It is not encoded: clients read the link as it stands.
fn raw_header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// The text on one line: a line break would start another header.
fn single_line(text: &str) -> String {
    text.split(|character: char| character.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> OutgoingMail {
        OutgoingMail {
            mail_id: Uuid::from_u128(7),
            to: "ann@clinic.example".to_owned(),
            date: "2026-03-09T12:00:00Z".parse().unwrap(),
            content: MailContent {
                subject: "Document analysed: Größe.pdf".to_owned(),
                text: "Its text is ready.\n.\nEnd".to_owned(),
                html: "<p>Its text is ready.</p>".to_owned(),
            },
            unsubscribe_url: format!("https://medhub.example/mail/unsubscribe/{}", "a".repeat(200)),
        }
    }

    fn composer() -> MailComposer {
        MailComposer::new("MedContractHub <no-reply@medhub.example>").unwrap()
    }

    fn compose_text(mail: &OutgoingMail) -> String {
        String::from_utf8(composer().compose(mail).unwrap().bytes).unwrap()
    }

    #[test]
    fn a_mail_has_a_stable_id_text_html_and_the_headers_of_one_click_unsubscription() {
        let text = compose_text(&mail());
        for line in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@medhub.example>",
            "Date: Mon, 09 Mar 2026 12:00:00 +0000",
            "To: ann@clinic.example",
            &format!("List-Unsubscribe: <{}>", mail().unsubscribe_url),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "Auto-Submitted: auto-generated",
            "<p>Its text is ready.</p>",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("Content-Type: multipart/alternative;") && text.is_ascii(), "{text}");
        assert_eq!(text, compose_text(&mail()));
    }

    #[test]
    fn a_line_break_in_the_subject_starts_no_header() {
        let mut injected = mail();
        injected.content.subject = "Hello\r\nBcc: eve@evil.example\r\n\r\nbody".to_owned();
        let text = compose_text(&injected);
        assert!(text.lines().any(|line| line == "Subject: Hello Bcc: eve@evil.example body"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for (to, expected) in [
            ("ann", "Recipient"),
            ("ann@clinic.example\r\nRCPT TO:<eve@evil.example>", "Recipient"),
            ("ann@clinic.example>, <eve@evil.example", "Recipient"),
            ("änn@clinic.example", "NotAscii"),
        ] {
            let error = composer().compose(&OutgoingMail { to: to.to_owned(), ..mail() }).unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{to}: {error:?}");
        }
    }

    #[test]
    fn a_link_that_would_end_its_header_is_refused() {
        for url in ["https://x.example/\r\nBcc: eve@evil.example", "https://x.example/>", &"u".repeat(901)] {
            let refused = composer().compose(&OutgoingMail { unsubscribe_url: url.to_owned(), ..mail() });
            assert!(matches!(refused, Err(ComposeError::UnsubscribeUrl)), "{url}");
        }
    }
}
