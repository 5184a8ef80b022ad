//! The generations of read models.

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::ReadModelGeneration;

/// The state of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationState {
    /// A rebuild fills it from the log.
    Building,
    /// A worker keeps it up to date.
    Following,
    /// It differs from the log and is retained for inspection, or it is being removed.
    Failed,
}

impl GenerationState {
    /// Its name in the tables.
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

/// One generation of one projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRecord {
    /// The projection.
    pub projection: String,
    /// The generation.
    pub generation: ReadModelGeneration,
    /// Its state.
    pub state: GenerationState,
    /// The incarnation of the log that it is built from.
    pub incarnation: Uuid,
    /// Position up to which events were read from the log instead of Kafka.
    pub handover: u64,
}

impl ControlStore {
    /// Loads all generations, ordered by projection and generation, and the version of the pointer with them.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_generations(&self) -> Result<Vec<GenerationRecord>, ControlError> {
        let rows = sqlx::query(
            "select projection, generation, state, incarnation, handover,
                    (select version from projection_pointer) as pointer_version
             from projection_generations order by 1, 2",
        )
        .fetch_all(self.pool())
        .await
        .map_err(postgres_error("reading generations"))?;
        if let Some(row) = rows.first() {
            let version: i64 =
                row.try_get("pointer_version").map_err(postgres_error("decoding the pointer's version"))?;
            self.pointer_version.send_replace(version.unsigned_abs());
        }
        rows.iter().map(generation_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding a generation"))
    }

    /// Loads one generation.
    ///
    /// # Errors
    /// [`ControlError::NoGeneration`] when it does not exist, [`ControlError::Postgres`] when Postgres does not answer.
    pub async fn load_generation(
        &self,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<GenerationRecord, ControlError> {
        let found = self
            .load_generations()
            .await?
            .into_iter()
            .find(|build| build.projection == projection && build.generation == generation);
        found.ok_or_else(|| ControlError::NoGeneration { projection: projection.to_owned(), generation })
    }

    /// Registers the first generation of a projection that has none, and makes it active. True if it is new.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn register_first_generation(&self, projection: &str, incarnation: Uuid) -> Result<bool, ControlError> {
        let control_error = || postgres_error("registering a projection");
        let mut transaction = self.pool().begin().await.map_err(control_error())?;
        let inserted = sqlx::query(include_str!("generation/first.sql"))
            .bind(projection)
            .bind(ReadModelGeneration::FIRST.number())
            .bind(incarnation)
            .execute(&mut *transaction)
            .await
            .map_err(control_error())?;
        if inserted.rows_affected() > 0 {
            insert_first_pointer(&mut transaction, projection).await.map_err(control_error())?;
        }
        transaction.commit().await.map_err(control_error())?;
        Ok(inserted.rows_affected() > 0)
    }

    /// Registers a generation to be filled, with the next free number.
    pub(in crate::runtime) async fn add_generation(
        connection: &mut PgConnection,
        projection: &str,
        incarnation: Uuid,
    ) -> Result<ReadModelGeneration, ControlError> {
        let number: i32 = sqlx::query_scalar(include_str!("generation/add.sql"))
            .bind(projection)
            .bind(incarnation)
            .fetch_one(connection)
            .await
            .map_err(postgres_error("registering a generation"))?;
        ReadModelGeneration::try_new(number).map_err(|error| ControlError::Postgres {
            doing: "numbering a generation",
            source: sqlx::Error::Decode(error.into()),
        })
    }

    /// Moves a generation from one of the states `from` to another, in the caller's transaction.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] when it is in another state, [`ControlError::NoGeneration`] when it does not
    /// exist.
    pub(in crate::runtime) async fn move_generation(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
        from: &[GenerationState],
        to: GenerationState,
    ) -> Result<(), ControlError> {
        let control_error = || postgres_error("changing the state of a generation");
        let found: Option<String> = sqlx::query_scalar(include_str!("generation/lock.sql"))
            .bind(projection)
            .bind(generation.number())
            .fetch_optional(&mut *connection)
            .await
            .map_err(control_error())?;
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
            .map_err(control_error())
    }

    /// Saves the handover position of a generation that is being filled.
    ///
    /// # Errors
    /// [`ControlError::InvalidState`] when it is no longer being filled.
    pub(in crate::runtime) async fn save_handover(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
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
            .map_err(postgres_error("saving the handover position"))
    }

    /// Deletes an abandoned or retired generation with its checkpoints and dead letters; never the active one.
    pub(in crate::runtime) async fn delete_generation(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<(), ControlError> {
        sqlx::query(include_str!("generation/delete.sql"))
            .bind(projection)
            .bind(generation.number())
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("deleting a generation"))
    }
}

fn generation_from_row(row: &PgRow) -> Result<GenerationRecord, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let state = GenerationState::from_name(&state)
        .ok_or_else(|| sqlx::Error::Decode(format!("unknown generation state {state}").into()))?;
    let generation: i32 = row.try_get("generation")?;
    Ok(GenerationRecord {
        projection: row.try_get("projection")?,
        generation: ReadModelGeneration::try_new(generation).map_err(|error| sqlx::Error::Decode(error.into()))?,
        state,
        incarnation: row.try_get("incarnation")?,
        handover: row.try_get::<i64, _>("handover")?.unsigned_abs(),
    })
}

/// Makes the first generation of a projection the active one.
pub(super) async fn insert_first_pointer(connection: &mut PgConnection, projection: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(include_str!("generation/first_pointer.sql"));
    insert.bind(projection).bind(ReadModelGeneration::FIRST.number()).execute(connection).await.map(drop)
}
