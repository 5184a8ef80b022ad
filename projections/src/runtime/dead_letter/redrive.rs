//! Trying parked streams again, and giving them up.
//!
//! An event is unpacked and lifted to its current version anew, by the program as it is now: that is how a fix reaches
//! events that were parked before it.

use std::sync::Arc;

use domain::envelope::{HeaderError, RawEnvelope};
use sqlx::PgConnection;

use super::{DeadLetter, ParkedStream, parked_stream::dead_letter_from_row};
use crate::runtime::{
    AnyProjection, ControlError, ProjectionError, ProjectionRuntime,
    consumed_record::{ConsumedRecord, RawRecord, decode_payload},
    control_store::postgres_error,
    error::error_chain,
};

/// Why a stream could not be tried again at all; it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// What is parked cannot be read or written.
    #[error("reading and writing dead letters")]
    Control(#[from] ControlError),
    /// The read model's store or the schema registry is away.
    #[error("reaching the store of projection {projection}, or the schema registry")]
    Unavailable {
        /// The projection.
        projection: String,
        /// What it said.
        #[source]
        source: crate::error::BoxedError,
    },
    /// The generation was dropped meanwhile, or a worker has dealt with the stream.
    #[error("the stream is not parked any more")]
    NotParked,
}

/// What became of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivenStream {
    /// The stream.
    pub parked: ParkedStream,
    /// Events that are in now, or would be.
    pub applied: u64,
    /// Events that wait still.
    pub remaining: u64,
    /// What stops it, and at which position of the log; `None` where all events are in.
    pub blocked_by: Option<(u64, String)>,
}

/// What became of all streams that were tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedriveReport {
    /// Stream by stream.
    pub streams: Vec<RedrivenStream>,
}

impl RedriveReport {
    /// Whether nothing waits any more.
    pub fn is_clean(&self) -> bool {
        self.streams.iter().all(|stream| stream.blocked_by.is_none())
    }
}

impl ProjectionRuntime {
    /// Tries a parked stream again: its events in order, up to the first that makes trouble.
    ///
    /// # Errors
    /// [`RedriveError`] when it could not be tried.
    pub async fn redrive(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
    ) -> Result<RedrivenStream, RedriveError> {
        let sink = projection.with_generation(parked.generation);
        let mut transaction = self.control.begin_shared(&parked.projection, parked.generation).await?;
        lock_parked_stream(&mut transaction, parked).await?;
        let letters = load_letters_on(&mut transaction, parked).await?;
        let mut outcome =
            RedrivenStream { parked: parked.clone(), applied: 0, remaining: letters.len() as u64, blocked_by: None };
        for letter in &letters {
            match self.redrive_letter(&sink, letter, RedriveMode::Apply).await {
                Ok(()) => {
                    delete_letter(&mut transaction, letter.id).await?;
                    outcome.applied += 1;
                    outcome.remaining -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Unavailable { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                    let reason = error_chain(&reason);
                    record_attempt(&mut transaction, parked, letter, &reason).await?;
                    outcome.blocked_by = Some((letter.position, reason));
                    break;
                }
            }
        }
        if outcome.blocked_by.is_none() {
            unpark_stream(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres_error("committing a re-drive"))?;
        Ok(outcome)
    }

    /// Says what a re-drive would meet, without writing anything: whether each event can be unpacked, lifted and turned
    /// into changes. What the store would say is not asked.
    ///
    /// # Errors
    /// [`RedriveError`] when it cannot be told.
    pub async fn preview_redrive(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
    ) -> Result<RedrivenStream, RedriveError> {
        let sink = projection.with_generation(parked.generation);
        let letters = self.control.load_dead_letters(parked).await?;
        let mut outcome =
            RedrivenStream { parked: parked.clone(), applied: 0, remaining: letters.len() as u64, blocked_by: None };
        for letter in &letters {
            match self.redrive_letter(&sink, letter, RedriveMode::DryRun).await {
                Ok(()) => {
                    outcome.applied += 1;
                    outcome.remaining -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Unavailable { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                    outcome.blocked_by = Some((letter.position, error_chain(&reason)));
                    break;
                }
            }
        }
        Ok(outcome)
    }

    /// The payload of an event that waits, or why it cannot be read.
    ///
    /// # Errors
    /// The reason, as a person reads it.
    pub async fn read_payload(&self, letter: &DeadLetter) -> Result<String, String> {
        let read = match event_without_payload(letter) {
            Ok(event) => decode_payload(&event, &letter.value, &self.registry).await,
            Err(error) => Err(ProjectionError::poison(error)),
        };
        read.map_err(|error| error_chain(&error))
    }

    async fn redrive_letter(
        &self,
        sink: &Arc<dyn AnyProjection>,
        letter: &DeadLetter,
        trial: RedriveMode,
    ) -> Result<(), ProjectionError> {
        let mut event = event_without_payload(letter).map_err(ProjectionError::poison)?;
        event.payload = decode_payload(&event, &letter.value, &self.registry).await?;
        let mut projected = sink.project(&[&event]);
        if let Some((_, reason)) = projected.poison.pop() {
            return Err(reason);
        }
        if trial == RedriveMode::DryRun || projected.is_empty {
            return Ok(());
        }
        sink.apply(&projected).await?;
        match sink.is_applied(&projected).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ProjectionError::unavailable("the store does not show what it acknowledged")),
            Err(error) => Err(ProjectionError::unavailable(error)),
        }
    }
}

/// The event without its payload.
fn event_without_payload(letter: &DeadLetter) -> Result<RawEnvelope, HeaderError> {
    let kept = RawRecord { headers: letter.headers.clone(), value: vec![] };
    ConsumedRecord::read_raw_event(&letter.stream.aggregate_id, &kept)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RedriveMode {
    Apply,
    DryRun,
}

impl ProjectionRuntime {
    /// Gives up the first event of a parked stream, which then goes on without it at the next re-drive; answers with
    /// its position. Who did so and why stays on record.
    ///
    /// # Errors
    /// [`RedriveError`] when it could not be done.
    pub async fn drop_first_letter(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedStream,
        by: &str,
        why: &str,
    ) -> Result<u64, RedriveError> {
        let away = |source| RedriveError::Unavailable { projection: parked.projection.clone(), source };
        let mut transaction = self.control.begin_shared(&parked.projection, parked.generation).await?;
        lock_parked_stream(&mut transaction, parked).await?;
        let letters = load_letters_on(&mut transaction, parked).await?;
        let first = letters.first().ok_or(RedriveError::NotParked)?;
        sqlx::query(include_str!("drop.sql"))
            .bind(first.id)
            .bind(why)
            .bind(by)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("giving up an event"))?;
        let event = event_without_payload(first).map_err(|error| away(error.into()))?;
        let given_up = projection.with_generation(parked.generation).skip_event(&event).await;
        given_up.map_err(|error| away(error.into()))?;
        if letters.len() == 1 {
            unpark_stream(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres_error("giving up an event"))?;
        Ok(first.position)
    }
}

/// Keeps workers and other re-drives off the stream until the transaction ends.
async fn lock_parked_stream(connection: &mut PgConnection, parked: &ParkedStream) -> Result<(), RedriveError> {
    let found = sqlx::query(include_str!("lock.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .fetch_optional(connection)
        .await
        .map_err(postgres_error("locking a parked stream"))?;
    found.map(drop).ok_or(RedriveError::NotParked)
}

async fn load_letters_on(
    connection: &mut PgConnection,
    parked: &ParkedStream,
) -> Result<Vec<DeadLetter>, ControlError> {
    let rows = sqlx::query(include_str!("letters.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading dead letters"))?;
    rows.iter()
        .map(dead_letter_from_row)
        .collect::<Result<_, _>>()
        .map_err(postgres_error("understanding a dead letter"))
}

async fn delete_letter(connection: &mut PgConnection, id: i64) -> Result<(), ControlError> {
    sqlx::query("delete from dead_letters where id = $1")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("taking an event out of the dead letters"))
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
        .map_err(postgres_error("noting a failed re-drive"))?;
    sqlx::query(include_str!("new_reason.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .bind(super::cause_fingerprint(&letter.event_type, reason))
        .bind(reason)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("noting a failed re-drive"))
}

async fn unpark_stream(connection: &mut PgConnection, parked: &ParkedStream) -> Result<(), ControlError> {
    sqlx::query(include_str!("unpark.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres_error("taking a stream out of the dead letters"))
}
