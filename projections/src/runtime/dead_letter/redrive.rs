//! Redrives parked streams, and drops dead letters.
//!
//! A redrive decodes and upcasts each event again with the current code: that is how a fix reaches events that were
//! parked before it.

use std::sync::Arc;

use domain::envelope::{HeaderError, RawEnvelope};
use sqlx::PgConnection;

use super::{DeadLetter, ParkedStream, parked_stream::dead_letter_from_row};
use crate::runtime::{
    AnyProjection, ControlError, ProjectionError, ProjectionRuntime,
    consumed_record::{ConsumedRecord, RawRecord, decode_payload},
    control_store::postgres_error,
    error::format_limited_chain,
};

/// Why a stream could not be redriven, or its first event could not be dropped. The stream is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// Dead letters cannot be read or written.
    #[error("reading or writing dead letters")]
    Control(#[from] ControlError),
    /// The read model's store or the schema registry is unavailable.
    #[error("reaching the store of projection {projection}, or the schema registry")]
    Unavailable {
        /// The projection.
        projection: String,
        /// The error of the store or the registry.
        #[source]
        source: crate::error::BoxedError,
    },
    /// Meanwhile the generation was dropped, or the stream redriven.
    #[error("the stream is no longer parked")]
    NotParked,
}

/// The outcome of redriving one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivenStream {
    /// The stream.
    pub parked: ParkedStream,
    /// Events that were applied or, in a preview, would be.
    pub applied: u64,
    /// Events that remain parked.
    pub remaining: u64,
    /// Position of the first event that cannot be applied, and the reason; `None` when all were applied.
    pub blocked_by: Option<(u64, String)>,
}

/// The outcome of redriving several streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedriveReport {
    /// The outcome of each stream.
    pub streams: Vec<RedrivenStream>,
}

impl RedriveReport {
    /// Whether no stream remains blocked.
    pub fn is_clean(&self) -> bool {
        self.streams.iter().all(|stream| stream.blocked_by.is_none())
    }
}

impl ProjectionRuntime {
    /// Redrives a parked stream: applies its events in order, up to the first that fails.
    ///
    /// # Errors
    /// [`RedriveError`] when it could not be attempted.
    pub async fn redrive(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
    ) -> Result<RedrivenStream, RedriveError> {
        let handle = projection.with_generation(parked.generation);
        let mut transaction = self.control.begin_shared(&parked.projection, parked.generation).await?;
        lock_parked_stream(&mut transaction, parked).await?;
        let letters = load_dead_letters_on(&mut transaction, parked).await?;
        let mut outcome =
            RedrivenStream { parked: parked.clone(), applied: 0, remaining: letters.len() as u64, blocked_by: None };
        for letter in &letters {
            match self.redrive_dead_letter(&handle, letter, RedriveMode::Apply).await {
                Ok(()) => {
                    delete_dead_letter(&mut transaction, letter.id).await?;
                    outcome.applied += 1;
                    outcome.remaining -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Unavailable { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Rejected(_) | ProjectionError::Poison(_))) => {
                    let reason = format_limited_chain(&reason);
                    record_attempt(&mut transaction, parked, letter, &reason).await?;
                    outcome.blocked_by = Some((letter.position, reason));
                    break;
                }
            }
        }
        if outcome.blocked_by.is_none() {
            unpark_stream(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres_error("committing a redrive"))?;
        Ok(outcome)
    }

    /// Previews a redrive without writing: checks whether each event can be decoded, upcast and projected. The store is
    /// not consulted.
    ///
    /// # Errors
    /// [`RedriveError`] when dead letters cannot be read or the registry is unavailable.
    pub async fn preview_redrive(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
    ) -> Result<RedrivenStream, RedriveError> {
        let handle = projection.with_generation(parked.generation);
        let letters = self.control.load_dead_letters(parked).await?;
        let mut outcome =
            RedrivenStream { parked: parked.clone(), applied: 0, remaining: letters.len() as u64, blocked_by: None };
        for letter in &letters {
            match self.redrive_dead_letter(&handle, letter, RedriveMode::DryRun).await {
                Ok(()) => {
                    outcome.applied += 1;
                    outcome.remaining -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Unavailable { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Rejected(_) | ProjectionError::Poison(_))) => {
                    outcome.blocked_by = Some((letter.position, format_limited_chain(&reason)));
                    break;
                }
            }
        }
        Ok(outcome)
    }

    /// Decodes the payload of a dead letter.
    ///
    /// # Errors
    /// Why it cannot be decoded, as text for operators.
    pub async fn read_payload(&self, letter: &DeadLetter) -> Result<String, String> {
        let payload = match event_without_payload(letter) {
            Ok(event) => decode_payload(&event, &letter.value, &self.registry).await,
            Err(error) => Err(ProjectionError::poison(error)),
        };
        payload.map_err(|error| format_limited_chain(&error))
    }

    async fn redrive_dead_letter(
        &self,
        handle: &Arc<dyn AnyProjection>,
        letter: &DeadLetter,
        mode: RedriveMode,
    ) -> Result<(), ProjectionError> {
        let mut event = event_without_payload(letter).map_err(ProjectionError::poison)?;
        if handle.reads_payloads() {
            event.payload = decode_payload(&event, &letter.value, &self.registry).await?;
        }
        let mut projected = handle.project(&[&event]);
        if let Some((_, reason)) = projected.poison.pop() {
            return Err(reason);
        }
        if mode == RedriveMode::DryRun || projected.is_empty {
            return Ok(());
        }
        handle.apply(&projected).await?;
        match handle.is_applied(&projected).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ProjectionError::unavailable("the store acknowledged a write that it does not return")),
            Err(error) => Err(ProjectionError::unavailable(error)),
        }
    }
}

/// The event of a dead letter, with an empty payload.
fn event_without_payload(letter: &DeadLetter) -> Result<RawEnvelope, HeaderError> {
    let raw_record = RawRecord { headers: letter.headers.clone(), value: vec![] };
    ConsumedRecord::read_raw_event(&letter.stream.aggregate_id, &raw_record)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RedriveMode {
    Apply,
    DryRun,
}

impl ProjectionRuntime {
    /// Drops the first event of a parked stream, so that a redrive can apply the events behind it. Returns the position
    /// of the dropped event. `dropped_by` and `reason` are recorded.
    ///
    /// # Errors
    /// [`RedriveError`] when nothing was dropped.
    pub async fn drop_first_letter(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
        dropped_by: &str,
        reason: &str,
    ) -> Result<u64, RedriveError> {
        let unavailable = |source| RedriveError::Unavailable { projection: parked.projection.clone(), source };
        let mut transaction = self.control.begin_shared(&parked.projection, parked.generation).await?;
        lock_parked_stream(&mut transaction, parked).await?;
        let letters = load_dead_letters_on(&mut transaction, parked).await?;
        let first = letters.first().ok_or(RedriveError::NotParked)?;
        sqlx::query(include_str!("drop.sql"))
            .bind(first.id)
            .bind(reason)
            .bind(dropped_by)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("dropping a dead letter"))?;
        let event = event_without_payload(first).map_err(|error| unavailable(error.into()))?;
        let skipped = projection.with_generation(parked.generation).skip_event(&event).await;
        skipped.map_err(|error| unavailable(error.into()))?;
        if letters.len() == 1 {
            unpark_stream(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres_error("dropping a dead letter"))?;
        Ok(first.position)
    }
}

/// Locks the stream against workers and other redrives until the transaction ends.
async fn lock_parked_stream(connection: &mut PgConnection, parked: &ParkedStream) -> Result<(), RedriveError> {
    let found = sqlx::query(include_str!("lock.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&*parked.stream.aggregate_type)
        .bind(&*parked.stream.aggregate_id)
        .fetch_optional(connection)
        .await
        .map_err(postgres_error("locking a parked stream"))?;
    found.map(drop).ok_or(RedriveError::NotParked)
}

async fn load_dead_letters_on(
    connection: &mut PgConnection,
    parked: &ParkedStream,
) -> Result<Vec<DeadLetter>, ControlError> {
    let rows = sqlx::query(include_str!("letters.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&*parked.stream.aggregate_type)
        .bind(&*parked.stream.aggregate_id)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading dead letters"))?;
    rows.iter().map(dead_letter_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding a dead letter"))
}

async fn delete_dead_letter(connection: &mut PgConnection, id: i64) -> Result<(), ControlError> {
    sqlx::query("delete from dead_letters where id = $1")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("deleting a dead letter"))
}

async fn record_attempt(
    connection: &mut PgConnection,
    parked: &ParkedStream,
    letter: &DeadLetter,
    reason: &str,
) -> Result<(), ControlError> {
    sqlx::query(include_str!("attempt.sql"))
        .bind(letter.id)
        .bind(reason)
        .execute(&mut *connection)
        .await
        .map_err(postgres_error("saving a failed redrive"))?;
    sqlx::query(include_str!("replace_reason.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&*parked.stream.aggregate_type)
        .bind(&*parked.stream.aggregate_id)
        .bind(super::cause_fingerprint(&letter.event_type, reason))
        .bind(reason)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("saving a failed redrive"))
}

async fn unpark_stream(connection: &mut PgConnection, parked: &ParkedStream) -> Result<(), ControlError> {
    sqlx::query(include_str!("unpark.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&*parked.stream.aggregate_type)
        .bind(&*parked.stream.aggregate_id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("unparking a stream"))
}
