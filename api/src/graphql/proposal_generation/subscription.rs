//! Subscription to a generation: what is recorded, what a provider writes, and the end.

mod progress_stream;

use async_graphql::{Context, Enum, Result, SimpleObject, Subscription};
use collaboration::{GenerationPhase, GenerationSnapshot};
use domain::proposal_generation::{
    GenerationStatus, ProposalGeneration, ProposalGenerationEvent, RequestedGeneration, SectionOutcome,
};
use futures::Stream;
use uuid::Uuid;

use self::progress_stream::ProgressStream;
use super::node::GenerationStatusEnum;
use crate::{
    app_context::AppContext,
    graphql::{command_dispatch::reading_tenant, error, feed_subscription},
};

/// Subscription to the progress of a generation.
#[derive(Default)]
pub(in crate::graphql) struct ProposalGenerationSubscription;

#[Subscription]
impl ProposalGenerationSubscription {
    /// The progress of a generation of your company: first the sections that are recorded, then what a provider is
    /// writing, as the whole text of the section so far, several times a second, and each section when it is recorded.
    /// Ends with the generation. Text that is being written is a preview; some of its messages may be lost.
    async fn proposal_generation_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The generation's id.")] generation_id: Uuid,
    ) -> Result<impl Stream<Item = Result<GenerationProgressNode>> + use<>> {
        let tenant = reading_tenant(ctx)?.clone();
        let app = error::require_context_data(ctx.data::<AppContext>())?;
        // Followed before the generation is loaded, so that nothing is missed in between.
        let events = app.event_feed.follow(None).await.map_err(|error| error::unavailable(&error))?;
        let snapshots = app.rooms.generation_progress().follow();
        let loaded = app.dispatcher.load_aggregate::<ProposalGeneration>(&tenant, &generation_id.to_string()).await;
        let loaded = loaded.map_err(|error| error::command_error(&error))?;
        let Some(generation) = loaded.state.as_requested() else { return Err(error::missing_generation()) };
        let stream = ProgressStream::new(tenant, generation_id, loaded.version, generation, events, snapshots);
        feed_subscription::authorize_items(ctx, Box::pin(stream.into_stream()))
    }
}

/// A step of the progress of a generation.
#[derive(SimpleObject)]
#[graphql(name = "ProposalGenerationProgress")]
struct GenerationProgressNode {
    /// What the step is about.
    kind: ProgressKindEnum,
    /// Key of the section; null at the end.
    section: Option<String>,
    /// The provider that writes or wrote the section, if it is known.
    provider: Option<String>,
    /// The section's text so far, or its recorded text; null if there is none.
    text: Option<String>,
    /// Whether the beginning of a text that is being written is left out.
    is_cut: bool,
    /// Why the section failed, or why the generation did.
    reason: Option<String>,
    /// Status of the generation.
    status: GenerationStatusEnum,
}

/// What a step of the progress of a generation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProposalGenerationProgressKind")]
enum ProgressKindEnum {
    /// A provider is writing the section.
    Writing,
    /// The section is recorded.
    SectionGenerated,
    /// No provider could write the section.
    SectionFailed,
    /// The generation has ended.
    Ended,
}

impl GenerationProgressNode {
    fn running(kind: ProgressKindEnum, section: &impl ToString) -> Self {
        Self {
            kind,
            section: Some(section.to_string()),
            provider: None,
            text: None,
            is_cut: false,
            reason: None,
            status: GenerationStatusEnum::Running,
        }
    }

    /// The step by which a recorded outcome of a section is shown.
    fn from_outcome(section: &impl ToString, outcome: &SectionOutcome) -> Self {
        match outcome {
            SectionOutcome::Generated { draft, model } => Self {
                provider: Some(model.provider.to_string()),
                text: Some(plain_text(draft)),
                ..Self::running(ProgressKindEnum::SectionGenerated, section)
            },
            SectionOutcome::Failed { reason, .. } => {
                Self { reason: Some(reason.to_string()), ..Self::running(ProgressKindEnum::SectionFailed, section) }
            }
        }
    }

    /// The step by which a provider's text is shown; `None` for other snapshots.
    fn from_snapshot(snapshot: &GenerationSnapshot) -> Option<Self> {
        let section = snapshot.section.as_ref()?;
        (snapshot.phase == GenerationPhase::Writing).then(|| Self {
            provider: Some(snapshot.provider.clone()),
            text: Some(snapshot.text.clone()),
            is_cut: snapshot.is_cut,
            ..Self::running(ProgressKindEnum::Writing, section)
        })
    }

    /// The last step.
    fn ended(status: GenerationStatus, reason: Option<String>) -> Self {
        Self {
            kind: ProgressKindEnum::Ended,
            section: None,
            provider: None,
            text: None,
            is_cut: false,
            reason,
            status: status.into(),
        }
    }

    /// The step that an event means, and the section that it concerns.
    fn from_event(event: ProposalGenerationEvent) -> Option<Self> {
        match event {
            ProposalGenerationEvent::SectionGenerated { section, draft, model, .. } => {
                Some(Self::from_outcome(&section, &SectionOutcome::Generated { draft, model }))
            }
            ProposalGenerationEvent::SectionFailed { section, reason, cost_micros, .. } => {
                Some(Self::from_outcome(&section, &SectionOutcome::Failed { reason, cost_micros }))
            }
            ProposalGenerationEvent::Completed { .. } => Some(Self::ended(GenerationStatus::Completed, None)),
            ProposalGenerationEvent::Failed { reason, .. } => {
                Some(Self::ended(GenerationStatus::Failed, Some(reason.to_string())))
            }
            ProposalGenerationEvent::Cancelled { reason, .. } => {
                Some(Self::ended(GenerationStatus::Cancelled, Some(reason.to_string())))
            }
            ProposalGenerationEvent::Requested { .. } | ProposalGenerationEvent::Rated { .. } => None,
        }
    }

    /// The steps by which a generation is shown as it is recorded.
    fn recorded(generation: &RequestedGeneration) -> Vec<Self> {
        let sections = generation.request.sections.iter();
        let outcomes = sections
            .filter_map(|section| Some(Self::from_outcome(&section.key, generation.outcomes.get(&section.key)?)));
        let end = generation.end.as_ref();
        let end = end.map(|end| Self::ended(end.status, end.reason.as_ref().map(ToString::to_string)));
        outcomes.chain(end).collect()
    }
}

/// The sentences of a draft as text, without their sources.
fn plain_text(draft: &domain::proposal_generation::GeneratedDraft) -> String {
    let mut text = String::new();
    for sentence in draft.sentences() {
        if !text.is_empty() {
            text.push_str(if sentence.starts_paragraph { "\n\n" } else { " " });
        }
        text.push_str(sentence.text.as_str());
    }
    text
}
