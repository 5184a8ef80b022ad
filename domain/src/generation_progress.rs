//! Progress of a proposal generation while a provider writes: live text for readers, not a record.
//!
//! Messages may be lost. What was generated is in the events of the generation.

use uuid::Uuid;

use crate::{
    proposal::SectionKey,
    value::{ProposalId, TenantId},
};

/// A message about a generation that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationProgress {
    /// The company whose generation it is.
    pub tenant: TenantId,
    /// The proposal that is written.
    pub proposal: ProposalId,
    /// Id of the generation.
    pub generation: Uuid,
    /// The section that is written; `None` in [`ProgressKind::Ended`].
    pub section: Option<SectionKey>,
    /// Number of the message within the attempt at the generation, from 1 without gaps, so that a reader notices that
    /// text is missing.
    pub seq: u64,
    /// What happened.
    pub kind: ProgressKind,
}

/// What happened in a generation that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressKind {
    /// A provider begins the section. A second one for the same section follows the failure of the first provider, whose
    /// text is void.
    Started {
        /// Name of the provider.
        provider: String,
    },
    /// The next part of the section's text.
    Text(String),
    /// The section is recorded, or no provider could write it.
    SectionEnded,
    /// The generation has ended, however it ended.
    Ended,
}

/// Publishes progress to readers, who may be connected to other processes.
pub trait ProgressPublisher: Send + Sync {
    /// Publishes a message. Never blocks; drops the message when readers cannot be reached in time.
    fn publish(&self, progress: GenerationProgress);
}

/// A publisher without readers.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardedProgress;

impl ProgressPublisher for DiscardedProgress {
    fn publish(&self, _progress: GenerationProgress) {}
}
