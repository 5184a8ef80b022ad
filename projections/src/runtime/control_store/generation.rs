//! The builds of read models.

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::Generation;

/// What is done with a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationState {
    /// A rebuild fills it from the log.
    Building,
    /// A worker keeps it up to date.
    Following,
    /// It differs from the log, and waits for somebody to look at it.
    Failed,
}

impl GenerationState {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Following => "following",
            Self::Failed => "failed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Building, Self::Following, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// One build of one read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRecord {
    /// The projection.
    pub projection: String,
    /// Which build.
    pub generation: Generation,
    /// What is done with it.
    pub state: GenerationState,
    /// The log that it was made from.
    pub incarnation: Uuid,
    /// Events up to this position came from the log itself.
    pub handover: u64,
}

impl ControlStore {
    /// Every build there is, by projection and generation.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_generations(&self) -> Result<Vec<GenerationRecord>, ControlError> {
        let rows = sqlx::query(
            "select projection, generation, state, incarnation, handover from projection_generations order by 1, 2",
        )
        .fetch_all(self.pool())
        .await
        .map_err(postgres_error("reading generations"))?;
        rows.iter()
            .map(generation_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("understanding a generation"))
    }

    /// One build.
    ///
    /// # Errors
    /// [`ControlError::NoGeneration`] where there is none, [`ControlError::Postgres`] when Postgres does not answer.
    pub async fn load_generation(
        &self,
        projection: &str,
        generation: Generation,
    ) -> Result<GenerationRecord, ControlError> {
        let found = self
            .load_generations()
            .await?
            .into_iter()
            .find(|build| build.projection == projection && build.generation == generation);
        found.ok_or_else(|| ControlError::NoGeneration { projection: projection.to_owned(), generation })
    }

    /// Registers the first build of a projection where it has none, and points readers at it. True if it is new.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn register_first_generation(&self, projection: &str, incarnation: Uuid) -> Result<bool, ControlError> {
        let doing = || postgres_error("registering a projection");
        let mut transaction = self.pool().begin().await.map_err(doing())?;
        let made = sqlx::query(include_str!("generation/first.sql"))
            .bind(projection)
            .bind(Generation::FIRST.number())
            .bind(incarnation)
            .execute(&mut *transaction)
            .await
            .map_err(doing())?;
        if made.rows_affected() > 0 {
            sqlx::query(include_str!("generation/first_pointer.sql"))
                .bind(projection)
                .bind(Generation::FIRST.number())
                .execute(&mut *transaction)
                .await
                .map_err(doing())?;
        }
        transaction.commit().await.map_err(doing())?;
        Ok(made.rows_affected() > 0)
    }

    /// Registers a build to be filled, with the next free number.
    pub(in crate::runtime) async fn add_generation(
        connection: &mut PgConnection,
        projection: &str,
        incarnation: Uuid,
    ) -> Result<Generation, ControlError> {
        let number: i32 = sqlx::query_scalar(include_str!("generation/add.sql"))
            .bind(projection)
            .bind(incarnation)
            .fetch_one(connection)
            .await
            .map_err(postgres_error("registering a generation"))?;
        Generation::try_new(number).map_err(|error| ControlError::Postgres {
            doing: "numbering a generation",
            source: sqlx::Error::Decode(error.into()),
        })
    }

    /// Moves a build from one of the states `from` to another, in a transaction of the caller's.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] when it is in no such state, [`ControlError::NoGeneration`] when it is not there.
    pub(in crate::runtime) async fn move_generation(
        connection: &mut PgConnection,
        projection: &str,
        generation: Generation,
        from: &[GenerationState],
        to: GenerationState,
    ) -> Result<(), ControlError> {
        let doing = || postgres_error("changing the state of a generation");
        let found: Option<String> = sqlx::query_scalar(include_str!("generation/lock.sql"))
            .bind(projection)
            .bind(generation.number())
            .fetch_optional(&mut *connection)
            .await
            .map_err(doing())?;
        let projection = projection.to_owned();
        let Some(found) = found else { return Err(ControlError::NoGeneration { projection, generation }) };
        if !from.iter().any(|state| state.name() == found) {
            return Err(ControlError::InvalidState { projection, generation, found, to: to.name() });
        }
        sqlx::query("update projection_generations set state = $3 where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .bind(to.name())
            .execute(connection)
            .await
            .map(drop)
            .map_err(doing())
    }

    /// Notes up to which position a build that is being filled has come from the log.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] when it is not being filled any more.
    pub(in crate::runtime) async fn save_handover(
        connection: &mut PgConnection,
        projection: &str,
        generation: Generation,
        position: u64,
    ) -> Result<(), ControlError> {
        let building = GenerationState::Building;
        Self::move_generation(&mut *connection, projection, generation, &[building], building).await?;
        sqlx::query("update projection_generations set handover = $3 where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("noting what came from the log"))
    }

    /// Forgets a build that was given up, with its checkpoints and dead letters; never one that readers see.
    pub(in crate::runtime) async fn delete_generation(
        connection: &mut PgConnection,
        projection: &str,
        generation: Generation,
    ) -> Result<(), ControlError> {
        sqlx::query(include_str!("generation/forget.sql"))
            .bind(projection)
            .bind(generation.number())
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("forgetting a generation"))
    }
}

fn generation_from_row(row: &PgRow) -> Result<GenerationRecord, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let state = GenerationState::from_name(&state)
        .ok_or_else(|| sqlx::Error::Decode(format!("no state is named {state}").into()))?;
    let generation: i32 = row.try_get("generation")?;
    Ok(GenerationRecord {
        projection: row.try_get("projection")?,
        generation: Generation::try_new(generation).map_err(|error| sqlx::Error::Decode(error.into()))?,
        state,
        incarnation: row.try_get("incarnation")?,
        handover: row.try_get::<i64, _>("handover")?.unsigned_abs(),
    })
}
