//! Builds the next generation of read models from the log, beside the live ones, and switches readers over.
//!
//! ```text
//! filling ──log up to a position──▶ catching_up ──Kafka from before that position──▶ verifying ──▶ switched
//!    └── each part at its own pace, all of them at once ──┘      one pointer moves for all parts ──┘
//! ```
//! Where Kafka ends is noted before the log is read, so that every event that is not read from the log comes from
//! Kafka: what comes from both is taken in once. Everything is written down, and a rebuild that was cut off goes on
//! where it was. The generation that readers saw before goes on following, for a rollback. No event is appended and
//! none published: only read models are rebuilt, and nothing that acts on the world is one.

mod error;
mod fill;
mod handover;
mod progress;
mod rebuild_lease;
mod record;
mod retire;
mod switch;

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{
    error::RebuildError,
    progress::{PartPhase, PartProgress, RebuildProgress},
    record::{RebuildRecord, RebuildStatus},
};
use self::{progress::ProjectionRebuild, rebuild_lease::RebuildLease};
use super::{AnyProjection, ControlError, GenerationMap, ProjectionRuntime, VerifyOptions, VerifyReport};

/// How a rebuild is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Who asked for it.
    pub started_by: String,
    /// Whether readers may be switched to a generation that has dead letters which the live one does not have.
    pub allow_parked: bool,
    /// How long to wait for the new generations to catch up with Kafka.
    pub catch_up_timeout: Duration,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { started_by: "unknown".to_owned(), allow_parked: false, catch_up_timeout: Duration::from_mins(30) }
    }
}

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// Its number.
    pub id: i64,
    /// Whether it went on from an earlier attempt.
    pub continued: bool,
    /// The generations that readers see now.
    pub active: GenerationMap,
    /// The generations that they saw before, still followed, for `rollback`.
    pub retained: GenerationMap,
    /// What was compared before the switch.
    pub verified: Vec<VerifyReport>,
    /// Older generations that were dropped.
    pub dropped: Vec<(String, super::Generation)>,
    /// Events that were read from the log, over all parts.
    pub events: u64,
}

impl ProjectionRuntime {
    /// Rebuilds these projections together, or goes on with a rebuild of them that was cut off.
    ///
    /// `progress` is told how it goes, also when somebody else asks for it in Postgres.
    ///
    /// # Errors
    /// [`RebuildError`]: readers see what they saw before, unless it says otherwise.
    pub async fn rebuild(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        options: &RebuildOptions,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        let turn = RebuildLease::acquire(self.control()).await?;
        let outcome = match self.begin_or_resume_rebuild(projections, options, &turn).await {
            Ok(begun) => self.rebuild_with_lease(begun, options, &turn, progress, stop).await,
            Err(error) => Err(error),
        };
        turn.release().await;
        outcome
    }

    async fn rebuild_with_lease(
        &self,
        (id, continued, parts): (i64, bool, Vec<ProjectionRebuild>),
        options: &RebuildOptions,
        turn: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        progress.send_replace(RebuildProgress {
            id,
            continued,
            parts: parts.iter().map(ProjectionRebuild::progress).collect(),
        });
        let lost = turn.lost();
        let outcome = tokio::select! {
            outcome = self.rebuild_parts((id, continued), parts, options, turn, progress, stop) => outcome,
            () = lost.cancelled() => Err(ControlError::LeaseLost.into()),
        };
        if let Err(error) = &outcome {
            self.save_rebuild_error(id, error, turn).await;
        }
        outcome
    }

    async fn rebuild_parts(
        &self,
        (id, continued): (i64, bool),
        parts: Vec<ProjectionRebuild>,
        options: &RebuildOptions,
        turn: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        let work = parts.iter().map(|part| self.rebuild_part(id, part, options, turn, progress, stop));
        let done = try_join_all(work).await?;
        self.check_dead_letters(&parts, options).await?;
        let (live, retained) = self.switch_generations(id, &parts, turn).await?;
        for part in &parts {
            part.update_progress(progress, |told| told.phase = PartPhase::Switched);
        }
        for part in &parts {
            self.publish_generation(&part.projection, part.generation).await?;
        }
        let dropped = self.retire_old_generations(&parts, turn).await?;
        let events = done.iter().map(|part| part.events).sum();
        let verified = done.into_iter().map(|part| part.verification).collect();
        Ok(RebuildReport { id, continued, active: live, retained, verified, dropped, events })
    }

    /// Brings one part up to the moment before the switch. Its worker runs on until then.
    async fn rebuild_part(
        &self,
        id: i64,
        part: &ProjectionRebuild,
        options: &RebuildOptions,
        turn: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<VerifiedPart, RebuildError> {
        if part.phase == PartPhase::Filling {
            part.projection.prepare().await.map_err(|source| part.to_store_error(source))?;
            self.fill_from_log(id, part, turn, progress, stop).await?;
            self.hand_over_to_kafka(id, part, turn).await?;
        }
        part.update_progress(progress, |told| told.phase = PartPhase::CatchingUp);
        let worker = self.start_catch_up_worker(part).await?;
        let outcome = self.catch_up_and_verify(id, part, options, turn, progress, stop).await;
        worker.stop().await?;
        let verification = outcome?;
        let events = progress.borrow().part_events(part.name());
        Ok(VerifiedPart { verification, events })
    }

    async fn catch_up_and_verify(
        &self,
        id: i64,
        part: &ProjectionRebuild,
        options: &RebuildOptions,
        turn: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<VerifyReport, RebuildError> {
        self.catch_up(part, options.catch_up_timeout, stop).await?;
        self.save_phase(id, part, PartPhase::Verifying, turn).await?;
        part.update_progress(progress, |told| told.phase = PartPhase::Verifying);
        let told = |now: super::VerifyProgress| {
            part.update_progress(progress, |told| (told.position, told.target) = (now.position, now.end));
        };
        let compared = self.verify(part.projection.as_ref(), part.generation, VerifyOptions::default(), told);
        let verification = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RebuildError::Interrupted),
            compared = compared => compared?,
        };
        if !verification.is_clean() {
            self.mark_generation_failed(part, turn).await?;
            return Err(RebuildError::Differs { verification: Box::new(verification) });
        }
        self.save_phase(id, part, PartPhase::Verified, turn).await?;
        part.update_progress(progress, |told| told.phase = PartPhase::Verified);
        Ok(verification)
    }
}

/// A part that is ready to be switched to.
struct VerifiedPart {
    verification: VerifyReport,
    events: u64,
}
