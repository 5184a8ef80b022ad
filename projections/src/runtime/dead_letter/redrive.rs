//! Trying parked streams again, and giving them up.
//!
//! An event is unpacked and lifted to its current version anew, by the program as it is now: that is how a fix reaches
//! events that were parked before it.

use std::sync::Arc;

use domain::envelope::{HeaderError, RawRecorded};
use sqlx::PgConnection;

use super::{DeadLetter, ParkedSequence, inspect::letter};
use crate::runtime::{
    AnyProjection, ControlError, ProjectionError, Runtime,
    control::postgres,
    delivery::{Delivery, Kept, unpacked},
    error::chain,
};

/// Why a stream could not be tried again at all; it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// What is parked cannot be read or written.
    #[error("reading and writing dead letters")]
    Control(#[from] ControlError),
    /// The read model's store or the schema registry is away.
    #[error("reaching the store of projection {projection}, or the schema registry")]
    Away {
        /// The projection.
        projection: String,
        /// What it said.
        #[source]
        source: crate::error::Source,
    },
    /// The generation was dropped meanwhile, or a worker has dealt with the stream.
    #[error("the stream is not parked any more")]
    Gone,
}

/// What became of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// The stream.
    pub parked: ParkedSequence,
    /// Events that are in now, or would be.
    pub applied: u64,
    /// Events that wait still.
    pub left: u64,
    /// What stops it, and at which position of the log; `None` where all events are in.
    pub obstacle: Option<(u64, String)>,
}

/// What became of all streams that were tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedriveReport {
    /// Stream by stream.
    pub streams: Vec<Redriven>,
}

impl RedriveReport {
    /// Whether nothing waits any more.
    pub fn is_clean(&self) -> bool {
        self.streams.iter().all(|stream| stream.obstacle.is_none())
    }
}

impl Runtime {
    /// Tries a parked stream again: its events in order, up to the first that makes trouble.
    ///
    /// # Errors
    /// [`RedriveError`] when it could not be tried.
    pub async fn redrive(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedSequence,
    ) -> Result<Redriven, RedriveError> {
        let sink = projection.at(parked.generation);
        let mut transaction = self.control.begin_writing(&parked.projection, parked.generation).await?;
        lock(&mut transaction, parked).await?;
        let letters = locked_letters(&mut transaction, parked).await?;
        let mut outcome = Redriven { parked: parked.clone(), applied: 0, left: letters.len() as u64, obstacle: None };
        for letter in &letters {
            match self.try_letter(&sink, letter, Trial::Real).await {
                Ok(()) => {
                    forget(&mut transaction, letter.id).await?;
                    outcome.applied += 1;
                    outcome.left -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Away { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                    let reason = chain(&reason);
                    note_attempt(&mut transaction, parked, letter, &reason).await?;
                    outcome.obstacle = Some((letter.position, reason));
                    break;
                }
            }
        }
        if outcome.obstacle.is_none() {
            unpark(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres("committing a re-drive"))?;
        Ok(outcome)
    }

    /// Says what a re-drive would meet, without writing anything: whether each event can be unpacked, lifted and turned
    /// into changes. What the store would say is not asked.
    ///
    /// # Errors
    /// [`RedriveError`] when it cannot be told.
    pub async fn redrive_dry(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedSequence,
    ) -> Result<Redriven, RedriveError> {
        let sink = projection.at(parked.generation);
        let letters = self.control.letters(parked).await?;
        let mut outcome = Redriven { parked: parked.clone(), applied: 0, left: letters.len() as u64, obstacle: None };
        for letter in &letters {
            match self.try_letter(&sink, letter, Trial::Dry).await {
                Ok(()) => {
                    outcome.applied += 1;
                    outcome.left -= 1;
                }
                Err(ProjectionError::Unavailable(source)) => {
                    return Err(RedriveError::Away { projection: parked.projection.clone(), source });
                }
                Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                    outcome.obstacle = Some((letter.position, chain(&reason)));
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
    pub async fn payload(&self, letter: &DeadLetter) -> Result<String, String> {
        let read = match event_of(letter) {
            Ok(event) => unpacked(&event, &letter.value, &self.registry).await,
            Err(error) => Err(ProjectionError::poison(error)),
        };
        read.map_err(|error| chain(&error))
    }

    async fn try_letter(
        &self,
        sink: &Arc<dyn AnyProjection>,
        letter: &DeadLetter,
        trial: Trial,
    ) -> Result<(), ProjectionError> {
        let mut event = event_of(letter).map_err(ProjectionError::poison)?;
        event.payload = unpacked(&event, &letter.value, &self.registry).await?;
        let mut projected = sink.project(&[&event]);
        if let Some((_, reason)) = projected.poison.pop() {
            return Err(reason);
        }
        if trial == Trial::Dry || projected.is_empty {
            return Ok(());
        }
        sink.apply(&projected).await?;
        match sink.holds(&projected).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ProjectionError::unavailable("the store does not show what it acknowledged")),
            Err(error) => Err(ProjectionError::unavailable(error)),
        }
    }
}

/// The event without its payload.
fn event_of(letter: &DeadLetter) -> Result<RawRecorded, HeaderError> {
    let kept = Kept { headers: letter.headers.clone(), value: vec![] };
    Delivery::from_kept(&letter.stream.aggregate_id, &kept)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Real,
    Dry,
}

impl Runtime {
    /// Gives up the first event of a parked stream, which then goes on without it at the next re-drive; answers with
    /// its position. Who did so and why stays on record.
    ///
    /// # Errors
    /// [`RedriveError`] when it could not be done.
    pub async fn drop_first_letter(
        &self,
        projection: &dyn AnyProjection,
        parked: &ParkedSequence,
        by: &str,
        why: &str,
    ) -> Result<u64, RedriveError> {
        let away = |source| RedriveError::Away { projection: parked.projection.clone(), source };
        let mut transaction = self.control.begin_writing(&parked.projection, parked.generation).await?;
        lock(&mut transaction, parked).await?;
        let letters = locked_letters(&mut transaction, parked).await?;
        let first = letters.first().ok_or(RedriveError::Gone)?;
        sqlx::query(include_str!("drop.sql"))
            .bind(first.id)
            .bind(why)
            .bind(by)
            .execute(&mut *transaction)
            .await
            .map_err(postgres("giving up an event"))?;
        let event = event_of(first).map_err(|error| away(error.into()))?;
        let given_up = projection.at(parked.generation).give_up(&event).await;
        given_up.map_err(|error| away(error.into()))?;
        if letters.len() == 1 {
            unpark(&mut transaction, parked).await?;
        }
        transaction.commit().await.map_err(postgres("giving up an event"))?;
        Ok(first.position)
    }
}

/// Keeps workers and other re-drives off the stream until the transaction ends.
async fn lock(connection: &mut PgConnection, parked: &ParkedSequence) -> Result<(), RedriveError> {
    let found = sqlx::query(include_str!("lock.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .fetch_optional(connection)
        .await
        .map_err(postgres("locking a parked stream"))?;
    found.map(drop).ok_or(RedriveError::Gone)
}

async fn locked_letters(
    connection: &mut PgConnection,
    parked: &ParkedSequence,
) -> Result<Vec<DeadLetter>, ControlError> {
    let rows = sqlx::query(include_str!("letters.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .fetch_all(connection)
        .await
        .map_err(postgres("reading dead letters"))?;
    rows.iter().map(letter).collect::<Result<_, _>>().map_err(postgres("understanding a dead letter"))
}

async fn forget(connection: &mut PgConnection, id: i64) -> Result<(), ControlError> {
    sqlx::query("delete from dead_letters where id = $1")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres("taking an event out of the dead letters"))
}

async fn note_attempt(
    connection: &mut PgConnection,
    parked: &ParkedSequence,
    letter: &DeadLetter,
    reason: &str,
) -> Result<(), ControlError> {
    sqlx::query(include_str!("attempt.sql"))
        .bind(letter.id)
        .bind(reason)
        .execute(&mut *connection)
        .await
        .map_err(postgres("noting a failed re-drive"))?;
    sqlx::query(include_str!("new_reason.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .bind(super::fingerprint(&letter.event_type, reason))
        .bind(reason)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres("noting a failed re-drive"))
}

async fn unpark(connection: &mut PgConnection, parked: &ParkedSequence) -> Result<(), ControlError> {
    sqlx::query(include_str!("unpark.sql"))
        .bind(&parked.projection)
        .bind(parked.generation.number())
        .bind(&parked.stream.aggregate_type)
        .bind(&parked.stream.aggregate_id)
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres("taking a stream out of the dead letters"))
}
