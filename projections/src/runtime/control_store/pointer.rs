//! The generation pointer: one row that names the active generation of each projection.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, types::Json};
use tokio::sync::watch;

use super::{ControlError, ControlStore, GenerationState, postgres_error};
use crate::runtime::ReadModelGeneration;

/// Generations by projection.
pub type GenerationMap = BTreeMap<String, ReadModelGeneration>;

/// The active and the previous generations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenerationPointer {
    /// Grows with every switch.
    pub version: u64,
    /// The active generation of each projection.
    pub generations: GenerationMap,
    /// The generation of each projection that was active before its last switch. A projection that was never switched
    /// has none.
    pub previous: GenerationMap,
    /// The projections of the last switch.
    pub moved: Vec<String>,
}

impl GenerationPointer {
    /// The active generation of a projection; the first one where none is recorded.
    pub fn active_generation(&self, projection: &str) -> ReadModelGeneration {
        self.generations.get(projection).copied().unwrap_or(ReadModelGeneration::FIRST)
    }
}

impl ControlStore {
    /// Loads the pointer.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_pointer(&self) -> Result<GenerationPointer, ControlError> {
        let control_error = || postgres_error("reading the generation pointer");
        let mut connection = self.pool().acquire().await.map_err(control_error())?;
        let pointer = select_pointer(&mut connection, "").await?;
        self.pointer_version.send_replace(pointer.version);
        Ok(pointer)
    }

    /// The version of the pointer that this store or a clone of it has read last, 0 before; changes with each read. A
    /// follower of the pointer need not read it while others do.
    pub fn subscribe_pointer_version(&self) -> watch::Receiver<u64> {
        self.pointer_version.subscribe()
    }

    /// Makes other generations of some projections active, all at once, in the caller's transaction. The new active
    /// generations cannot change their state until the transaction ends.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] and [`ControlError::NoGeneration`] for a generation that is not in state
    /// `following`.
    pub(in crate::runtime) async fn move_pointer(
        connection: &mut PgConnection,
        to: &GenerationMap,
    ) -> Result<GenerationPointer, ControlError> {
        let before = Self::lock_pointer(&mut *connection).await?;
        let (mut generations, mut previous) = (before.generations.clone(), before.previous.clone());
        for (projection, generation) in to {
            let following = GenerationState::Following;
            Self::move_generation(&mut *connection, projection, *generation, &[following], following).await?;
            if let Some(old) = generations.insert(projection.clone(), *generation)
                && old != *generation
            {
                previous.insert(projection.clone(), old);
            }
        }
        let moved: Vec<_> = to.keys().cloned().collect();
        sqlx::query(include_str!("pointer/move.sql"))
            .bind(Json(to_numbers(&generations)))
            .bind(Json(to_numbers(&previous)))
            .bind(Json(&moved))
            .execute(&mut *connection)
            .await
            .map_err(postgres_error("switching generations"))?;
        Ok(GenerationPointer { version: before.version + 1, generations, previous, moved })
    }

    /// Loads the pointer and locks it until the caller's transaction ends.
    pub(in crate::runtime) async fn lock_pointer(
        connection: &mut PgConnection,
    ) -> Result<GenerationPointer, ControlError> {
        select_pointer(connection, " for update").await
    }
}

async fn select_pointer(connection: &mut PgConnection, locking: &str) -> Result<GenerationPointer, ControlError> {
    let row = sqlx::query(&format!("select version, generations, previous, moved from projection_pointer{locking}"))
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the generation pointer"))?;
    let decode = || {
        Ok(GenerationPointer {
            version: row.try_get::<i64, _>("version")?.unsigned_abs(),
            generations: from_numbers(row.try_get("generations")?)?,
            previous: from_numbers(row.try_get("previous")?)?,
            moved: row.try_get::<Json<Vec<String>>, _>("moved")?.0,
        })
    };
    decode().map_err(postgres_error("decoding the generation pointer"))
}

fn to_numbers(generations: &GenerationMap) -> BTreeMap<&str, i32> {
    generations.iter().map(|(projection, generation)| (projection.as_str(), generation.number())).collect()
}

fn from_numbers(Json(numbers): Json<BTreeMap<String, i32>>) -> Result<GenerationMap, sqlx::Error> {
    let decode_entry = |(projection, number)| Ok((projection, ReadModelGeneration::try_new(number)?));
    let all: Result<_, crate::runtime::InvalidGeneration> = numbers.into_iter().map(decode_entry).collect();
    all.map_err(|error| sqlx::Error::Decode(error.into()))
}
