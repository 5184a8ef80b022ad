//! Merges the events of a generation with what a provider is writing.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use async_graphql::Result;
use collaboration::{GenerationFollower, GenerationSnapshot};
use cqrs_es::Aggregate;
use domain::{
    envelope::RawEnvelope,
    proposal_generation::{ProposalGeneration, ProposalGenerationEvent, RequestedGeneration},
    value::TenantId,
};
use futures::{Stream, stream};
use uuid::Uuid;

use super::{GenerationProgressNode, ProgressKindEnum};
use crate::{app_context::FeedFollower, graphql::error};

/// The progress of one generation for one subscriber.
pub(super) struct ProgressStream {
    tenant: TenantId,
    generation: Uuid,
    stream_id: String,
    /// The version up to which events were shown.
    version: u64,
    /// The sections with a recorded outcome, of which no other text is shown.
    recorded_sections: BTreeSet<String>,
    /// Revision of the last snapshot.
    revision: u32,
    pending: VecDeque<GenerationProgressNode>,
    has_ended: bool,
    events: FeedFollower,
    snapshots: GenerationFollower,
}

impl ProgressStream {
    /// Starts with what is recorded in `generation`, whose version is `version`.
    pub(super) fn new(
        tenant: TenantId,
        generation_id: Uuid,
        version: u64,
        generation: &RequestedGeneration,
        events: FeedFollower,
        snapshots: GenerationFollower,
    ) -> Self {
        Self {
            stream_id: tenant.stream_id(generation_id),
            tenant,
            generation: generation_id,
            version,
            recorded_sections: generation.outcomes.keys().map(ToString::to_string).collect(),
            revision: 0,
            pending: GenerationProgressNode::recorded(generation).into(),
            has_ended: generation.end.is_some(),
            events,
            snapshots,
        }
    }

    /// The steps until the generation ends.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<GenerationProgressNode>> {
        stream::unfold(self, |mut progress| async move { Some((progress.next_step().await?, progress)) })
    }

    async fn next_step(&mut self) -> Option<Result<GenerationProgressNode>> {
        loop {
            if let Some(step) = self.pending.pop_front() {
                return Some(Ok(step));
            }
            if self.has_ended {
                return None;
            }
            tokio::select! {
                event = self.events.next_event() => match event {
                    Ok(Some(event)) => self.apply_event(&event),
                    Ok(None) => return None,
                    Err(error) => {
                        self.has_ended = true;
                        return Some(Err(error::unavailable(&error)));
                    }
                },
                snapshot = next_own_snapshot(&mut self.snapshots, &self.tenant, self.generation) => {
                    let snapshot = snapshot?;
                    self.apply_snapshot(&snapshot);
                }
            }
        }
    }

    fn apply_event(&mut self, event: &Arc<RawEnvelope>) {
        let is_ours = event.aggregate_type == ProposalGeneration::TYPE && event.aggregate_id == self.stream_id;
        if !is_ours || event.sequence <= self.version {
            return;
        }
        self.version = event.sequence;
        // An event of a later release is not shown.
        let Ok(payload) = event.decode::<ProposalGenerationEvent>() else { return };
        let Some(step) = GenerationProgressNode::from_event(payload) else { return };
        self.recorded_sections.extend(step.section.clone());
        self.has_ended = step.kind == ProgressKindEnum::Ended;
        self.pending.push_back(step);
    }

    fn apply_snapshot(&mut self, snapshot: &GenerationSnapshot) {
        if snapshot.revision <= self.revision {
            return;
        }
        self.revision = snapshot.revision;
        let step = GenerationProgressNode::from_snapshot(snapshot);
        let is_recorded = |step: &GenerationProgressNode| {
            step.section.as_ref().is_some_and(|key| self.recorded_sections.contains(key))
        };
        self.pending.extend(step.filter(|step| !is_recorded(step)));
    }
}

/// Waits for a snapshot of the generation. Others do not wake the caller, which would read the log again each time.
async fn next_own_snapshot(
    snapshots: &mut GenerationFollower,
    tenant: &TenantId,
    generation: Uuid,
) -> Option<Arc<GenerationSnapshot>> {
    loop {
        let snapshot = snapshots.next_snapshot().await?;
        if snapshot.tenant == *tenant && snapshot.generation == generation {
            return Some(snapshot);
        }
    }
}
