//! Analysis of documents: finds requirements, a summary and risks in a text, and records them.
//!
//! ```text
//! task: extract text           file ──documents::ExtractionProcess──▶ PagedText ──▶ object store
//! task: extract requirements   PagedText ──RequirementExtractor──▶ requirements, each with section and page
//! task: analyse document       PagedText, requirements, company ──ExtractiveAnalyst──▶ summary, risks and fit
//! ```
//!
//! Requirements and analysis are computed from the text alone, by rules: the same text has the same result, and each
//! statement is a quotation that a reader finds in the document (ADR 40).
//!
//! Both run in the process of the worker, on texts that strangers wrote, so everything is bounded: the text (20 MiB, 250,000
//! lines), the blocks that it is split into (their records have 32 MiB at most, besides the text), all texts at the same time
//! (large ones wait for each other), the resources of the company (2 MiB), the results, and the
//! time, by an [`AnalysisBudget`].

mod analysis;
mod analysis_budget;
mod fit;
mod language_name;
mod paged_text;
mod requirements;
mod task_handlers;
mod text_memory;

pub use self::{
    analysis::{EXTRACTIVE_MODEL, ExtractiveAnalyst},
    analysis_budget::{AnalysisBudget, AnalysisError},
    fit::{CompanyQualifications, ResourcePage, ResourceReadError, ResourceReader},
    paged_text::PagedText,
    requirements::{ExtractedRequirements, RequirementExtractor},
    task_handlers::{DocumentTasks, HandlerConcurrency},
};
