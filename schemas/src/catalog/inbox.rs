//! The events of inboxes.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("inbox", "notified", "1.0", "Notified"),
        event!("inbox", "read", "1.0", "Read"),
        event!("inbox", "all_read", "1.0", "AllRead"),
        event!("inbox", "dismissed", "1.0", "Dismissed"),
        event!("inbox", "mail_preferences_changed", "1.0", "MailPreferencesChanged"),
        event!("inbox", "mail_unsubscribed", "1.0", "MailUnsubscribed"),
        event!("inbox", "mail_requested", "1.0", "MailRequested"),
        event!("inbox", "mail_attempted", "1.0", "MailAttempted"),
        event!("inbox", "mail_sent", "1.0", "MailSent"),
        event!("inbox", "mail_failed", "1.0", "MailFailed"),
        event!("inbox", "mail_suppressed", "1.0", "MailSuppressed"),
    ]
}
