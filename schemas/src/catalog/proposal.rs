//! The events of proposals.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("proposal", "drafted", "1.0", "Drafted"),
        event!("proposal", "section_edited", "1.0", "SectionEdited"),
        event!("proposal", "section_removed", "1.0", "SectionRemoved"),
        event!("proposal", "commented", "1.0", "Commented"),
        event!("proposal", "comment_resolved", "1.0", "CommentResolved"),
        event!("proposal", "submitted_for_review", "1.0", "SubmittedForReview"),
        event!("proposal", "approved", "1.0", "Approved"),
        event!("proposal", "rejected", "1.0", "Rejected"),
        event!("proposal", "submitted", "1.0", "Submitted"),
        event!("proposal", "decided", "1.0", "Decided"),
        event!("proposal", "withdrawn", "1.0", "Withdrawn"),
    ]
}
