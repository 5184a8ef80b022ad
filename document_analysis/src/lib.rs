//! Analysis of documents: finds requirements, a summary and risks in a text.
//!
//! ```text
//! PagedText ──RequirementExtractor──▶ requirements, each with its quotation, section and page
//!     └───────ExtractiveAnalyst─────▶ summary and risks, as quotations
//! ```
//!
//! Everything here is computed from the text alone, by rules: the same text has the same result, and each statement is
//! a quotation that a reader finds in the document.

mod paged_text;
pub mod requirements;

pub use self::paged_text::PagedText;
