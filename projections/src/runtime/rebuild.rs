//! Builds the next generation of read models from the log, beside the active ones, and switches to it.
//!
//! ```text
//! filling ──log up to a position──▶ catching_up ──Kafka from before that position──▶ verifying ──▶ switched
//!    └── parts proceed concurrently and independently ────┘      one pointer moves for all parts ──┘
//! ```
//! Kafka's end offsets are saved before the log is read, so that every event that is not read from the log arrives from
//! Kafka; an event that arrives from both is applied once. All progress is stored, and an interrupted rebuild resumes
//! where it stopped. The previous generation is still kept up to date, for a rollback. A rebuild appends and publishes
//! no events: only read models are rebuilt, and none of them has side effects.

mod error;
mod fill;
mod fill_lane;
mod handover;
mod progress;
mod rebuild_lease;
mod rebuild_part;
mod record;
mod retire;
mod stored_progress;
mod switch;

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{
    error::RebuildError,
    progress::{RebuildPartProgress, RebuildPhase, RebuildProgress},
    record::{RebuildRecord, RebuildStatus},
};
use self::{rebuild_lease::RebuildLease, rebuild_part::RebuildPart};
use super::{AnyProjection, ControlError, GenerationMap, ProjectionRuntime, VerifyOptions, VerifyReport};

/// Options of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Who started it, for the record.
    pub started_by: String,
    /// Whether to switch to a generation that has dead letters which the active one does not have.
    pub allow_parked: bool,
    /// How long to wait for each new generation to catch up with Kafka.
    pub catch_up_timeout: Duration,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { started_by: "unknown".to_owned(), allow_parked: false, catch_up_timeout: Duration::from_mins(30) }
    }
}

/// The outcome of a completed rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// Id of the rebuild.
    pub id: i64,
    /// Whether it resumed an interrupted one.
    pub continued: bool,
    /// The generations that are active now.
    pub active: GenerationMap,
    /// The generations that were active before, still kept up to date for `rollback`.
    pub retained: GenerationMap,
    /// The verify reports from before the switch.
    pub verified: Vec<VerifyReport>,
    /// Older generations that were retired.
    pub dropped: Vec<(String, super::ReadModelGeneration)>,
    /// Events read from the log, over all projections.
    pub events: u64,
}

impl ProjectionRuntime {
    /// Rebuilds these projections together, or resumes their interrupted rebuild.
    ///
    /// Progress is sent to `progress`, and saved in Postgres for other processes.
    ///
    /// # Errors
    /// [`RebuildError`]: the active generations are unchanged, unless the error says otherwise.
    pub async fn rebuild(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        options: &RebuildOptions,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        let lease = RebuildLease::acquire(self.control()).await?;
        let outcome = match self.begin_or_resume_rebuild(projections, options, &lease).await {
            Ok(rebuild) => self.rebuild_with_lease(rebuild, options, &lease, progress, stop).await,
            Err(error) => Err(error),
        };
        lease.release().await;
        outcome
    }

    async fn rebuild_with_lease(
        &self,
        (id, continued, parts): (i64, bool, Vec<RebuildPart>),
        options: &RebuildOptions,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        progress.send_replace(RebuildProgress {
            id,
            continued,
            parts: parts.iter().map(RebuildPart::progress).collect(),
        });
        let lost = lease.lost();
        let outcome = tokio::select! {
            outcome = self.rebuild_parts((id, continued), parts, options, lease, progress, stop) => outcome,
            () = lost.cancelled() => Err(ControlError::LeaseLost.into()),
        };
        if let Err(error) = &outcome {
            self.save_rebuild_error(id, error, lease).await;
        }
        outcome
    }

    async fn rebuild_parts(
        &self,
        (id, continued): (i64, bool),
        parts: Vec<RebuildPart>,
        options: &RebuildOptions,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        let rebuilds = parts.iter().map(|part| self.rebuild_projection(id, part, options, lease, progress, stop));
        let verified_rebuilds = try_join_all(rebuilds).await?;
        self.check_dead_letters(&parts, options).await?;
        let (active, retained) = self.switch_generations(id, &parts, lease).await?;
        for part in &parts {
            part.update_progress(progress, |entry| entry.phase = RebuildPhase::Switched);
        }
        for part in &parts {
            self.publish_generation(&part.projection, part.generation).await?;
        }
        let dropped = self.retire_old_generations(&parts, lease).await?;
        let events = verified_rebuilds.iter().map(|part| part.events).sum();
        let verified = verified_rebuilds.into_iter().map(|part| part.verification).collect();
        Ok(RebuildReport { id, continued, active, retained, verified, dropped, events })
    }

    /// Fills, catches up and verifies the generation of one projection. Its worker runs until verify is done.
    async fn rebuild_projection(
        &self,
        id: i64,
        part: &RebuildPart,
        options: &RebuildOptions,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<VerifiedRebuild, RebuildError> {
        if part.phase == RebuildPhase::Filling {
            part.projection.begin_fill().await.map_err(|source| part.to_store_error(source))?;
            self.fill_from_log(id, part, lease, progress, stop).await?;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RebuildError::Interrupted),
                completed = part.projection.end_fill() => completed.map_err(|source| part.to_store_error(source))?,
            }
            self.hand_over_to_kafka(id, part, lease).await?;
        }
        part.update_progress(progress, |entry| entry.phase = RebuildPhase::CatchingUp);
        let worker = self.start_catch_up_worker(part).await?;
        let outcome = self.catch_up_and_verify(id, part, options, lease, progress, stop).await;
        worker.stop().await?;
        let verification = outcome?;
        let events = progress.borrow().count_projection_events(part.name());
        Ok(VerifiedRebuild { verification, events })
    }

    async fn catch_up_and_verify(
        &self,
        id: i64,
        part: &RebuildPart,
        options: &RebuildOptions,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<VerifyReport, RebuildError> {
        self.catch_up(part, options.catch_up_timeout, stop).await?;
        self.save_phase(id, part, RebuildPhase::Verifying, lease).await?;
        part.update_progress(progress, |entry| entry.phase = RebuildPhase::Verifying);
        let report_progress = |verified: super::VerifyProgress| {
            part.update_progress(progress, |entry| (entry.position, entry.target) = (verified.position, verified.end));
        };
        let verifying =
            self.verify(part.projection.as_ref(), part.generation, VerifyOptions::default(), report_progress);
        let verification = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RebuildError::Interrupted),
            verification = verifying => verification?,
        };
        if !verification.is_clean() {
            self.mark_generation_failed(part, lease).await?;
            return Err(RebuildError::Differs { verification: Box::new(verification) });
        }
        self.save_phase(id, part, RebuildPhase::Verified, lease).await?;
        part.update_progress(progress, |entry| entry.phase = RebuildPhase::Verified);
        Ok(verification)
    }
}

/// A projection that is ready for the switch.
struct VerifiedRebuild {
    verification: VerifyReport,
    events: u64,
}
