//! The one pointer that says which generation of each read model readers see.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, types::Json};

use super::{ControlError, ControlStore, GenerationState, postgres_error};
use crate::runtime::Generation;

/// A generation of each projection.
pub type GenerationMap = BTreeMap<String, Generation>;

/// What readers see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenerationPointer {
    /// Grows with every move.
    pub version: u64,
    /// The generation of each projection that readers see.
    pub generations: GenerationMap,
    /// What they saw of each projection before it moved last; empty where it never did.
    pub previous: GenerationMap,
    /// The projections that moved last, together.
    pub moved: Vec<String>,
}

impl GenerationPointer {
    /// The generation of a projection; the first one before anything else is known.
    pub fn active_generation(&self, projection: &str) -> Generation {
        self.generations.get(projection).copied().unwrap_or(Generation::FIRST)
    }
}

impl ControlStore {
    /// What readers see now.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_pointer(&self) -> Result<GenerationPointer, ControlError> {
        let doing = || postgres_error("reading which generations are live");
        let mut connection = self.pool().acquire().await.map_err(doing())?;
        select_pointer(&mut connection, "").await
    }

    /// Points readers at other generations of some projections, all at once, in a transaction of the caller's. What is
    /// pointed at stays as it is until the transaction ends.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] and [`ControlError::NoGeneration`] for a generation that is not kept up to date.
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

    /// What readers see, which nobody moves until the transaction of the caller's ends.
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
        .map_err(postgres_error("reading which generations are live"))?;
    let understood = || {
        Ok(GenerationPointer {
            version: row.try_get::<i64, _>("version")?.unsigned_abs(),
            generations: from_numbers(row.try_get("generations")?)?,
            previous: from_numbers(row.try_get("previous")?)?,
            moved: row.try_get::<Json<Vec<String>>, _>("moved")?.0,
        })
    };
    understood().map_err(postgres_error("understanding which generations are live"))
}

fn to_numbers(generations: &GenerationMap) -> BTreeMap<&str, i32> {
    generations.iter().map(|(projection, generation)| (projection.as_str(), generation.number())).collect()
}

fn from_numbers(Json(numbers): Json<BTreeMap<String, i32>>) -> Result<GenerationMap, sqlx::Error> {
    let known = |(projection, number)| Ok((projection, Generation::try_new(number)?));
    let all: Result<_, crate::runtime::InvalidGeneration> = numbers.into_iter().map(known).collect();
    all.map_err(|error| sqlx::Error::Decode(error.into()))
}
