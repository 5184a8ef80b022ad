//! Analysis of documents: finds requirements, a summary and risks in a text, and records them.
//!
//! ```text
//! task: extract text           file ──documents::ExtractionProcess──▶ PagedText ──▶ object store
//! task: extract requirements   PagedText ──RequirementExtractor──▶ requirements, each with section and page
//! task: analyse document       PagedText, requirements ──ExtractiveAnalyst──▶ summary and risks
//! ```
//!
//! Requirements and analysis are computed from the text alone, by rules: the same text has the same result, and each
//! statement is a quotation that a reader finds in the document (ADR 40).

mod analysis;
mod paged_text;
mod requirements;
mod task_handlers;

pub use self::{
    analysis::{EXTRACTIVE_MODEL, ExtractiveAnalyst},
    paged_text::PagedText,
    requirements::RequirementExtractor,
    task_handlers::{DocumentTasks, HandlerConcurrency},
};
