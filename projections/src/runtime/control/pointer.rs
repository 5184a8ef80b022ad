//! The one pointer that says which generation of each read model readers see.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, types::Json};

use super::{Control, ControlError, postgres};
use crate::runtime::Generation;

/// A generation of each projection.
pub type Generations = BTreeMap<String, Generation>;

/// What readers see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer {
    /// Grows with every move.
    pub version: u64,
    /// The generation of each projection that readers see.
    pub generations: Generations,
    /// What they saw before the last move; empty where there was none.
    pub previous: Generations,
}

impl Pointer {
    /// The generation of a projection; the first one before anything else is known.
    pub fn of(&self, projection: &str) -> Generation {
        self.generations.get(projection).copied().unwrap_or(Generation::FIRST)
    }
}

impl Control {
    /// What readers see now.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn pointer(&self) -> Result<Pointer, ControlError> {
        let doing = || postgres("reading which generations are live");
        let mut connection = self.pool().acquire().await.map_err(doing())?;
        read(&mut connection, "").await
    }

    /// Points readers at other generations of some projections, all at once, in a transaction of the caller's.
    pub(in crate::runtime) async fn move_pointer(
        connection: &mut PgConnection,
        to: &Generations,
    ) -> Result<Pointer, ControlError> {
        let before = read(&mut *connection, " for update").await?;
        let mut after = before.generations.clone();
        after.extend(to.iter().map(|(projection, generation)| (projection.clone(), *generation)));
        sqlx::query(include_str!("pointer/move.sql"))
            .bind(Json(numbers(&after)))
            .bind(Json(numbers(&before.generations)))
            .execute(&mut *connection)
            .await
            .map_err(postgres("switching generations"))?;
        Ok(Pointer { version: before.version + 1, generations: after, previous: before.generations })
    }
}

async fn read(connection: &mut PgConnection, locking: &str) -> Result<Pointer, ControlError> {
    let row = sqlx::query(&format!("select version, generations, previous from projection_pointer{locking}"))
        .fetch_one(connection)
        .await
        .map_err(postgres("reading which generations are live"))?;
    let understood = || {
        Ok(Pointer {
            version: row.try_get::<i64, _>("version")?.unsigned_abs(),
            generations: generations(row.try_get("generations")?)?,
            previous: generations(row.try_get("previous")?)?,
        })
    };
    understood().map_err(postgres("understanding which generations are live"))
}

fn numbers(generations: &Generations) -> BTreeMap<&str, i32> {
    generations.iter().map(|(projection, generation)| (projection.as_str(), generation.number())).collect()
}

fn generations(Json(numbers): Json<BTreeMap<String, i32>>) -> Result<Generations, sqlx::Error> {
    let known = |(projection, number)| Ok((projection, Generation::try_new(number)?));
    let all: Result<_, crate::runtime::InvalidGeneration> = numbers.into_iter().map(known).collect();
    all.map_err(|error| sqlx::Error::Decode(error.into()))
}
