//! The events of documents.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("document", "uploaded", "1.0", "Uploaded"),
        event!("document", "text_extracted", "1.0", "TextExtracted"),
        event!("document", "requirements_extracted", "1.0", "RequirementsExtracted"),
        event!("document", "requirements_extracted", "1.1", "RequirementsExtracted"),
        event!("document", "analysed", "1.0", "Analysed"),
        event!("document", "failed", "1.0", "Failed"),
        event!("document", "deleted", "1.0", "Deleted"),
    ]
}
