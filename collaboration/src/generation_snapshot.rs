//! What a running generation has written of one section so far: each message repeats the whole text, so that a lost
//! message delays readers and leaves no gap.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::{
    generation_progress::{GenerationProgress, ProgressKind},
    proposal::SectionKey,
    value::{ProposalId, TenantId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Maximum size of the text in a snapshot, in bytes; its beginning is cut off.
const MAX_TEXT_BYTES: usize = 32 << 10;

/// Maximum number of generations that a process writes at the same time.
const MAX_RUNNING: usize = 64;

/// A generation is forgotten after this time without progress: its worker has lost it.
const RUN_EXPIRY: Duration = Duration::from_mins(3);

/// A snapshot is repeated at this interval without progress: editors forget a state that is silent for 30 s.
const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Stands for text that did not reach the publisher.
const GAP: &str = " [...] ";

/// How far a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationPhase {
    /// A provider writes the section.
    Writing,
    /// The section has ended.
    SectionEnded,
    /// The generation has ended.
    Ended,
}

/// What a running generation has written of one section so far. A preview: the events say what was generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationSnapshot {
    /// The company whose generation it is.
    pub tenant: TenantId,
    /// The proposal that is written.
    pub proposal: ProposalId,
    /// Id of the generation.
    pub generation: Uuid,
    /// Grows with each snapshot of a generation, also across attempts.
    pub revision: u32,
    /// How far the generation is.
    pub phase: GenerationPhase,
    /// The section; `None` at the end.
    pub section: Option<SectionKey>,
    /// Name of the provider; empty at the end.
    pub provider: String,
    /// The section's text so far.
    pub text: String,
    /// Whether the beginning of the text is cut off.
    pub is_cut: bool,
}

/// A generation that this process writes.
struct RunningGeneration {
    snapshot: GenerationSnapshot,
    last_seq: u64,
    is_published: bool,
    changed_at: Instant,
    published_at: Instant,
}

/// The generations that this process writes, as far as their progress is known.
#[derive(Default)]
pub(crate) struct RunningGenerations(HashMap<Uuid, RunningGeneration>);

impl RunningGenerations {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies a message of a generation. Returns the snapshot to publish at once; text waits for
    /// [`Self::take_due`]. `min_revision` is derived from the time.
    pub(crate) fn apply_progress(
        &mut self,
        progress: GenerationProgress,
        now: Instant,
        min_revision: u32,
    ) -> Option<GenerationSnapshot> {
        let generation = progress.generation;
        if !self.0.contains_key(&generation) && self.0.len() >= MAX_RUNNING {
            let oldest = self.0.iter().min_by_key(|(_, run)| run.changed_at).map(|(generation, _)| *generation);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let run = self.0.entry(generation).or_insert_with(|| RunningGeneration::new(&progress, now));
        let is_urgent = !matches!(progress.kind, ProgressKind::Text(_));
        run.apply(progress, now);
        let snapshot = is_urgent.then(|| run.publish(now, min_revision));
        if run.snapshot.phase == GenerationPhase::Ended {
            self.0.remove(&generation);
        }
        snapshot
    }

    /// The snapshots with new text, and those to repeat; forgets generations without progress.
    pub(crate) fn take_due(&mut self, now: Instant, min_revision: u32) -> Vec<GenerationSnapshot> {
        self.0.retain(|_, run| now.duration_since(run.changed_at) < RUN_EXPIRY);
        let due =
            |run: &&mut RunningGeneration| !run.is_published || now.duration_since(run.published_at) >= REPEAT_INTERVAL;
        self.0.values_mut().filter(due).map(|run| run.publish(now, min_revision)).collect()
    }
}

impl RunningGeneration {
    fn new(first: &GenerationProgress, now: Instant) -> Self {
        let snapshot = GenerationSnapshot {
            tenant: first.tenant.clone(),
            proposal: first.proposal,
            generation: first.generation,
            revision: 0,
            phase: GenerationPhase::Writing,
            section: None,
            provider: String::new(),
            text: String::new(),
            is_cut: false,
        };
        Self { snapshot, last_seq: first.seq.saturating_sub(1), is_published: true, changed_at: now, published_at: now }
    }

    fn apply(&mut self, progress: GenerationProgress, now: Instant) {
        let has_gap = progress.seq > self.last_seq.saturating_add(1);
        (self.last_seq, self.changed_at, self.is_published) = (progress.seq, now, false);
        let snapshot = &mut self.snapshot;
        match progress.kind {
            ProgressKind::Started { provider } => {
                (snapshot.phase, snapshot.section) = (GenerationPhase::Writing, progress.section);
                (snapshot.provider, snapshot.text, snapshot.is_cut) = (provider, String::new(), false);
            }
            ProgressKind::Text(delta) => {
                if snapshot.section != progress.section {
                    (snapshot.section, snapshot.text, snapshot.is_cut) = (progress.section, String::new(), false);
                }
                snapshot.phase = GenerationPhase::Writing;
                if has_gap {
                    snapshot.text.push_str(GAP);
                }
                snapshot.text.push_str(&delta);
                let cut = cut_beginning(&snapshot.text, MAX_TEXT_BYTES);
                if cut > 0 {
                    snapshot.text.drain(..cut);
                    snapshot.is_cut = true;
                }
            }
            ProgressKind::SectionEnded => {
                (snapshot.phase, snapshot.section) = (GenerationPhase::SectionEnded, progress.section);
            }
            ProgressKind::Ended => {
                (snapshot.phase, snapshot.section) = (GenerationPhase::Ended, None);
                (snapshot.provider, snapshot.text, snapshot.is_cut) = (String::new(), String::new(), false);
            }
        }
    }

    fn publish(&mut self, now: Instant, min_revision: u32) -> GenerationSnapshot {
        self.snapshot.revision = self.snapshot.revision.saturating_add(1).max(min_revision);
        (self.is_published, self.published_at) = (true, now);
        self.snapshot.clone()
    }
}

/// Returns how many bytes to cut off the beginning of `text` so that at most `max` bytes remain.
pub(crate) fn cut_beginning(text: &str, max: usize) -> usize {
    text.ceil_char_boundary(text.len().saturating_sub(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(seq: u64, section: &str, kind: ProgressKind) -> GenerationProgress {
        GenerationProgress {
            tenant: TenantId::try_new("acme").unwrap(),
            proposal: ProposalId::new(Uuid::from_u128(1)),
            generation: Uuid::from_u128(2),
            section: (!section.is_empty()).then(|| SectionKey::try_new(section).unwrap()),
            seq,
            kind,
        }
    }

    fn started(seq: u64, section: &str) -> GenerationProgress {
        progress(seq, section, ProgressKind::Started { provider: "one".to_owned() })
    }

    fn text(seq: u64, section: &str, delta: &str) -> GenerationProgress {
        progress(seq, section, ProgressKind::Text(delta.to_owned()))
    }

    #[test]
    fn text_is_collected_until_it_is_due_and_begins_again_with_each_provider() {
        let (mut running, now) = (RunningGenerations::default(), Instant::now());
        let first = running.apply_progress(started(1, "approach"), now, 7).unwrap();
        assert_eq!((first.revision, first.text.as_str(), first.provider.as_str()), (7, "", "one"));
        assert_eq!(running.apply_progress(text(2, "approach", "We "), now, 7), None);
        assert_eq!(running.apply_progress(text(3, "approach", "deliver"), now, 7), None);
        let due = running.take_due(now, 7);
        assert_eq!((due.len(), due[0].text.as_str(), due[0].revision), (1, "We deliver", 8));
        assert_eq!(running.take_due(now, 8), [], "nothing has changed");
        let again = running.apply_progress(started(4, "approach"), now, 8).unwrap();
        assert_eq!((again.text.as_str(), again.revision), ("", 9), "the text of the first provider is void");
        let ended = running.apply_progress(progress(5, "", ProgressKind::Ended), now, 9).unwrap();
        assert_eq!((ended.phase, ended.section, running.is_empty()), (GenerationPhase::Ended, None, true));
    }

    #[test]
    fn missing_messages_leave_a_mark_in_the_text() {
        let (mut running, now) = (RunningGenerations::default(), Instant::now());
        running.apply_progress(started(1, "approach"), now, 1);
        running.apply_progress(text(2, "approach", "We"), now, 1);
        running.apply_progress(text(4, "approach", "beds"), now, 1);
        assert_eq!(running.take_due(now, 1)[0].text, "We [...] beds");
    }

    #[test]
    fn a_silent_generation_is_repeated_and_then_forgotten() {
        let (mut running, start) = (RunningGenerations::default(), Instant::now());
        running.apply_progress(started(1, "approach"), start, 1);
        assert_eq!(running.take_due(start + REPEAT_INTERVAL / 2, 1), []);
        assert_eq!(running.take_due(start + REPEAT_INTERVAL, 1).len(), 1);
        assert_eq!(running.take_due(start + RUN_EXPIRY, 1), []);
        assert!(running.is_empty());
    }

    #[test]
    fn texts_and_the_number_of_generations_are_bounded() {
        let (mut running, now) = (RunningGenerations::default(), Instant::now());
        running.apply_progress(started(1, "approach"), now, 1);
        for seq in 2..20 {
            running.apply_progress(text(seq, "approach", &"\u{e4}".repeat(1_500)), now, 1);
        }
        let snapshot = &running.take_due(now, 1)[0];
        assert!(snapshot.is_cut && snapshot.text.len() <= MAX_TEXT_BYTES, "{} bytes", snapshot.text.len());
        for number in 0..1_000 {
            let other = GenerationProgress { generation: Uuid::from_u128(100 + number), ..started(1, "approach") };
            running.apply_progress(other, now, 1);
        }
        assert_eq!(running.0.len(), MAX_RUNNING);
    }
}
