//! Generation of proposals: a task writes the sections of a proposal one after the other, each sentence with its sources.
//!
//! ```text
//! task generate_proposal ──▶ GenerationHandler
//!     for each section without an outcome:
//!         PassageSource ──▶ passages of documents, resources, past proposals and the opportunity
//!         SectionPrompt ──▶ request, from a prompt file with a version
//!         SectionWriter ──▶ ProviderChain within the company's budget ──▶ GeneratedDraft on record
//!     at the end: the texts become sections of the proposal, in one command
//! ```
//!
//! What is recorded is not generated again: another attempt at the task continues with the section that comes next.

mod generated_draft;
mod generation_config;
mod generation_handler;
mod generation_progress_reporter;
mod generation_recorder;
mod opportunity_passages;
mod passage_source;
mod prompt_library;
mod retry_wait;
mod section_content;
mod section_prompt;
mod section_writer;
mod shared_edits;
mod unstored_sections;
mod workspace_passages;

pub use self::{
    generation_config::ProposalGenerationConfig,
    generation_handler::{GenerationHandler, MAX_RETRY_WAIT},
    generation_recorder::RECORD_PAUSES,
    passage_source::{PassageQuery, PassageSource, RetrievalError, SourcedPassage},
    prompt_library::{CONTROL_VARIANT, PROMPT_NAME, PromptLibrary, PromptLibraryError},
    section_prompt::{OpportunitySummary, PromptError, PromptLimits, SectionPrompt, StandardSection},
    section_writer::{SectionError, SectionPayment, SectionTask, SectionWriter, WrittenSection},
    shared_edits::{SharedEdits, SharedEditsError},
    workspace_passages::{CurrentReadModels, WorkspacePassages},
};
