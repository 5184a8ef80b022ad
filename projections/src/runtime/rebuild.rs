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
mod hand_over;
mod ledger;
mod record;
mod retire;
mod switch;
mod turn;

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{
    error::RebuildError,
    ledger::{PartProgress, Phase, RebuildProgress},
    record::{RebuildRecord, RebuildState},
};
use self::{ledger::Part, turn::RebuildTurn};
use super::{AnyProjection, ControlError, Generations, Runtime, Verification, VerifyOptions};

/// How a rebuild is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Who asked for it.
    pub by: String,
    /// Whether readers may be switched to a generation that has dead letters which the live one does not have.
    pub allow_parked: bool,
    /// How long to wait for the new generations to catch up with Kafka.
    pub catch_up: Duration,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { by: "unknown".to_owned(), allow_parked: false, catch_up: Duration::from_mins(30) }
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
    pub live: Generations,
    /// The generations that they saw before, still followed, for `rollback`.
    pub retained: Generations,
    /// What was compared before the switch.
    pub verified: Vec<Verification>,
    /// Older generations that were dropped.
    pub dropped: Vec<(String, super::Generation)>,
    /// Events that were read from the log, over all parts.
    pub events: u64,
}

impl Runtime {
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
        let turn = RebuildTurn::take(self.control()).await?;
        let outcome = match self.begin_rebuild(projections, options, &turn).await {
            Ok(begun) => self.rebuild_in_turn(begun, options, &turn, progress, stop).await,
            Err(error) => Err(error),
        };
        turn.give_back().await;
        outcome
    }

    async fn rebuild_in_turn(
        &self,
        (id, continued, parts): (i64, bool, Vec<Part>),
        options: &RebuildOptions,
        turn: &RebuildTurn,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        progress.send_replace(RebuildProgress { id, continued, parts: parts.iter().map(Part::progress).collect() });
        let lost = turn.lost();
        let outcome = tokio::select! {
            outcome = self.rebuild_parts((id, continued), parts, options, turn, progress, stop) => outcome,
            () = lost.cancelled() => Err(ControlError::LostTurn.into()),
        };
        if let Err(error) = &outcome {
            self.note_rebuild_error(id, error, turn).await;
        }
        outcome
    }

    async fn rebuild_parts(
        &self,
        (id, continued): (i64, bool),
        parts: Vec<Part>,
        options: &RebuildOptions,
        turn: &RebuildTurn,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<RebuildReport, RebuildError> {
        let work = parts.iter().map(|part| self.rebuild_part(id, part, options, turn, progress, stop));
        let done = try_join_all(work).await?;
        self.check_dead_letters(&parts, options).await?;
        let (live, retained) = self.switch(id, &parts, turn).await?;
        for part in &parts {
            part.tell(progress, |told| told.phase = Phase::Switched);
        }
        for part in &parts {
            self.publish(&part.sink, part.generation).await?;
        }
        let dropped = self.retire(&parts, turn).await?;
        let events = done.iter().map(|part| part.events).sum();
        let verified = done.into_iter().map(|part| part.verification).collect();
        Ok(RebuildReport { id, continued, live, retained, verified, dropped, events })
    }

    /// Brings one part up to the moment before the switch. Its worker runs on until then.
    async fn rebuild_part(
        &self,
        id: i64,
        part: &Part,
        options: &RebuildOptions,
        turn: &RebuildTurn,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<PartDone, RebuildError> {
        if part.phase == Phase::Filling {
            part.sink.prepare().await.map_err(|source| part.store(source))?;
            self.fill(id, part, turn, progress, stop).await?;
            self.hand_over(id, part, turn).await?;
        }
        part.tell(progress, |told| told.phase = Phase::CatchingUp);
        let worker = self.follow(part).await?;
        let outcome = self.catch_up_and_verify(id, part, options, turn, progress, stop).await;
        worker.stop().await?;
        let verification = outcome?;
        let events = progress.borrow().events_of(part.name());
        Ok(PartDone { verification, events })
    }

    async fn catch_up_and_verify(
        &self,
        id: i64,
        part: &Part,
        options: &RebuildOptions,
        turn: &RebuildTurn,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<Verification, RebuildError> {
        self.catch_up(part, options.catch_up, stop).await?;
        self.note_phase(id, part, Phase::Verifying, turn).await?;
        part.tell(progress, |told| told.phase = Phase::Verifying);
        let told = |now: super::VerifyProgress| {
            part.tell(progress, |told| (told.position, told.target) = (now.position, now.end));
        };
        let compared = self.verify(part.sink.as_ref(), part.generation, VerifyOptions::default(), told);
        let verification = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RebuildError::Interrupted),
            compared = compared => compared?,
        };
        if !verification.is_clean() {
            self.fail(part, turn).await?;
            return Err(RebuildError::Differs { verification: Box::new(verification) });
        }
        self.note_phase(id, part, Phase::Verified, turn).await?;
        part.tell(progress, |told| told.phase = Phase::Verified);
        Ok(verification)
    }
}

/// A part that is ready to be switched to.
struct PartDone {
    verification: Verification,
    events: u64,
}
