//! Reports the progress of one attempt at a generation.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    generation_progress::{GenerationProgress, ProgressKind, ProgressPublisher},
    proposal::SectionKey,
    proposal_generation::GenerationId,
    value::{ProposalId, TenantId},
};

/// Numbers the messages of an attempt. Publishes the end when it is dropped, also when the attempt is interrupted: another
/// attempt begins again with a start.
pub(crate) struct GenerationProgressReporter {
    publisher: Arc<dyn ProgressPublisher>,
    tenant: TenantId,
    proposal: ProposalId,
    generation: GenerationId,
    /// Number of the last message.
    messages: AtomicU64,
}

impl GenerationProgressReporter {
    pub(crate) fn new(
        publisher: Arc<dyn ProgressPublisher>,
        tenant: TenantId,
        proposal: ProposalId,
        generation: GenerationId,
    ) -> Self {
        Self { publisher, tenant, proposal, generation, messages: AtomicU64::new(0) }
    }

    /// Publishes a step of a section, or of the generation.
    pub(crate) fn publish(&self, section: Option<&SectionKey>, kind: ProgressKind) {
        self.publisher.publish(GenerationProgress {
            tenant: self.tenant.clone(),
            proposal: self.proposal,
            generation: self.generation.uuid(),
            section: section.cloned(),
            seq: self.messages.fetch_add(1, Ordering::Relaxed) + 1,
            kind,
        });
    }
}

impl Drop for GenerationProgressReporter {
    fn drop(&mut self) {
        self.publish(None, ProgressKind::Ended);
    }
}
