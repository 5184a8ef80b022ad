//! What is written down about rebuilds, so that one that was cut off goes on.

use std::sync::Arc;

use sqlx::{PgConnection, Row, postgres::PgRow};
use tokio::sync::watch;
use uuid::Uuid;

use super::{RebuildError, RebuildOptions, turn::RebuildTurn};
use crate::{
    QueryError,
    runtime::{AnyProjection, Build, BuildState, Control, ControlError, Generation, Runtime, control::postgres},
};

/// How far a part of a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is filled from the log.
    Filling,
    /// It follows Kafka and is not there yet.
    CatchingUp,
    /// It is compared with the log.
    Verifying,
    /// It waits for the other parts.
    Verified,
    /// Readers see it.
    Switched,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::CatchingUp => "catching_up",
            Self::Verifying => "verifying",
            Self::Verified => "verified",
            Self::Switched => "switched",
        }
    }

    /// The phases that lead to this one: it may begin again after a crash.
    fn may_follow(self) -> [Self; 3] {
        match self {
            Self::Filling => [Self::Filling; 3],
            Self::CatchingUp => [Self::Filling, Self::CatchingUp, Self::CatchingUp],
            // A rebuild that was cut off compares again.
            Self::Verifying => [Self::CatchingUp, Self::Verifying, Self::Verified],
            Self::Verified => [Self::Verifying, Self::Verified, Self::Verified],
            Self::Switched => [Self::Verified, Self::Switched, Self::Switched],
        }
    }

    fn of(name: &str) -> Option<Self> {
        let all = [Self::Filling, Self::CatchingUp, Self::Verifying, Self::Verified, Self::Switched];
        all.into_iter().find(|phase| phase.name() == name)
    }
}

/// How far one part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartProgress {
    /// The projection.
    pub projection: String,
    /// The generation that is made.
    pub generation: Generation,
    /// What is done.
    pub phase: Phase,
    /// The position of the log that it is at.
    pub position: u64,
    /// The position that it has to come to.
    pub target: u64,
    /// Events it has taken from the log.
    pub events: u64,
}

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RebuildProgress {
    /// Its number; 0 before it has begun.
    pub id: i64,
    /// Whether it went on from an earlier attempt.
    pub continued: bool,
    /// Its parts.
    pub parts: Vec<PartProgress>,
}

impl RebuildProgress {
    pub(super) fn events_of(&self, projection: &str) -> u64 {
        self.parts.iter().find(|part| part.projection == projection).map_or(0, |part| part.events)
    }
}

/// One projection in a rebuild.
#[derive(Clone)]
pub(super) struct Part {
    /// The generation that is made.
    pub(super) sink: Arc<dyn AnyProjection>,
    pub(super) generation: Generation,
    /// The generation that readers see while it is made.
    pub(super) replaces: Option<Generation>,
    pub(super) phase: Phase,
    pub(super) position: u64,
    pub(super) events: u64,
}

impl Part {
    pub(super) fn name(&self) -> &'static str {
        self.sink.name()
    }

    pub(super) fn progress(&self) -> PartProgress {
        PartProgress {
            projection: self.name().to_owned(),
            generation: self.generation,
            phase: self.phase,
            position: self.position,
            target: 0,
            events: self.events,
        }
    }

    /// Changes what is told about this part.
    pub(super) fn tell(&self, progress: &watch::Sender<RebuildProgress>, change: impl FnOnce(&mut PartProgress)) {
        progress.send_modify(|all| {
            if let Some(told) = all.parts.iter_mut().find(|part| part.projection == self.name()) {
                change(told);
            }
        });
    }

    pub(super) fn store(&self, source: QueryError) -> RebuildError {
        RebuildError::Store { projection: self.name(), generation: self.generation, source }
    }
}

impl Runtime {
    /// Goes on with a rebuild that was cut off, if it is of the same projections, else begins one.
    pub(super) async fn begin_rebuild(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        options: &RebuildOptions,
        turn: &RebuildTurn,
    ) -> Result<(i64, bool, Vec<Part>), RebuildError> {
        let incarnation = self.log.incarnation().await?;
        let pointer = self.control.pointer().await?;
        if let Some((id, rows)) = self.unfinished_rebuild().await? {
            return Ok((id, true, self.continued(id, rows, projections, incarnation).await?));
        }
        let doing = || postgres("beginning a rebuild");
        let mut transaction = turn.begin().await?;
        let id: i64 = sqlx::query_scalar(
            "insert into projection_rebuilds (state, started_by) values ('running', $1) returning id",
        )
        .bind(&options.by)
        .fetch_one(&mut *transaction)
        .await
        .map_err(|error| doing()(error))?;
        let mut parts = vec![];
        for projection in projections {
            let generation = Control::add_build(&mut transaction, projection.name(), incarnation).await?;
            let replaces = pointer.generations.get(projection.name()).copied();
            sqlx::query(include_str!("ledger/add_part.sql"))
                .bind(id)
                .bind(projection.name())
                .bind(generation.number())
                .bind(replaces.map(Generation::number))
                .execute(&mut *transaction)
                .await
                .map_err(|error| doing()(error))?;
            let row = PartRow::new(projection.name(), generation, replaces);
            parts.push(row.part(projection));
        }
        transaction.commit().await.map_err(|error| doing()(error))?;
        Ok((id, false, parts))
    }

    /// The parts of a rebuild that was cut off, if it is of these projections and nothing of it was given up.
    async fn continued(
        &self,
        id: i64,
        rows: Vec<PartRow>,
        projections: &[Arc<dyn AnyProjection>],
        incarnation: Uuid,
    ) -> Result<Vec<Part>, RebuildError> {
        let same = rows.len() == projections.len()
            && projections.iter().all(|projection| rows.iter().any(|row| row.projection == projection.name()));
        if !same {
            let names: Vec<_> = rows.into_iter().map(PartRow::into_name).collect();
            return Err(RebuildError::Unfinished { id, projections: names.join(" ") });
        }
        let builds = self.control.builds().await?;
        let mut parts = vec![];
        for row in rows {
            let there = |build: &&Build| row.makes(&build.projection, build.generation);
            let goes_on = |build: &Build| build.state != BuildState::Failed && build.incarnation == incarnation;
            if !builds.iter().find(there).is_some_and(goes_on) {
                return Err(RebuildError::GivenUp { id });
            }
            let projection = projections.iter().find(|projection| projection.name() == row.projection);
            parts.extend(projection.map(|projection| row.part(projection)));
        }
        Ok(parts)
    }

    /// Gives up a rebuild that was cut off, and removes what it made. Answers with its number, if there was one.
    ///
    /// # Errors
    /// [`RebuildError`] when a store does not let go of it; the same call goes on. What readers see stays.
    pub async fn abandon_rebuild(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<Option<i64>, RebuildError> {
        let turn = RebuildTurn::take(&self.control).await?;
        let outcome = self.abandon_unfinished(projections, &turn).await;
        turn.give_back().await;
        outcome
    }

    async fn abandon_unfinished(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        turn: &RebuildTurn,
    ) -> Result<Option<i64>, RebuildError> {
        let Some((id, rows)) = self.unfinished_rebuild().await? else { return Ok(None) };
        for row in rows {
            if let Some(projection) = projections.iter().find(|projection| projection.name() == row.projection) {
                self.drop_build(projection, row.generation, turn).await?;
            }
        }
        let mut transaction = turn.begin().await?;
        end_rebuild(&mut transaction, id, "abandoned").await?;
        transaction.commit().await.map_err(postgres("noting the end of a rebuild"))?;
        Ok(Some(id))
    }

    /// The rebuild that was begun and neither switched nor given up.
    pub(super) async fn unfinished_rebuild(&self) -> Result<Option<(i64, Vec<PartRow>)>, ControlError> {
        let mut connection = self.control.pool().acquire().await.map_err(postgres("reading rebuilds"))?;
        unfinished(&mut connection).await
    }

    /// Notes what stopped a rebuild. It may go on later, unless what it made is wrong; one that was switched stays so.
    pub(super) async fn note_rebuild_error(&self, id: i64, error: &RebuildError, turn: &RebuildTurn) {
        let reason = crate::runtime::error::chain(error);
        let noted = async {
            let mut transaction = turn.begin().await?;
            if matches!(error, RebuildError::Differs { .. }) {
                end_rebuild(&mut transaction, id, &reason).await?;
            } else {
                sqlx::query("update projection_rebuilds set error = $2 where id = $1")
                    .bind(id)
                    .bind(&reason)
                    .execute(&mut *transaction)
                    .await
                    .map_err(postgres("noting what stopped a rebuild"))?;
            }
            transaction.commit().await.map_err(postgres("noting what stopped a rebuild"))
        };
        if let Err(error) = noted.await {
            tracing::warn!(reason = crate::runtime::error::chain(&error), "what stopped a rebuild was not noted");
        }
    }

    pub(super) async fn note_phase(
        &self,
        id: i64,
        part: &Part,
        phase: Phase,
        turn: &RebuildTurn,
    ) -> Result<(), ControlError> {
        let mut transaction = turn.begin().await?;
        move_phase(&mut transaction, id, part, phase).await?;
        transaction.commit().await.map_err(postgres("noting how far a rebuild is"))
    }

    pub(super) async fn note_position(
        &self,
        id: i64,
        part: &Part,
        turn: &RebuildTurn,
        (position, target, events): (u64, u64, u64),
    ) -> Result<(), ControlError> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut transaction = turn.begin().await?;
        let noted: Option<i64> = sqlx::query_scalar(include_str!("ledger/position.sql"))
            .bind(id)
            .bind(part.name())
            .bind(number(position))
            .bind(number(target))
            .bind(number(events))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(postgres("noting how far a rebuild is"))?;
        if noted.is_none() {
            return Err(ControlError::NotRunning { id });
        }
        transaction.commit().await.map_err(postgres("noting how far a rebuild is"))
    }

    /// Marks what was made as wrong, so that no worker follows it any more; never what readers see.
    pub(super) async fn fail(&self, part: &Part, turn: &RebuildTurn) -> Result<(), ControlError> {
        let mut transaction = turn.begin().await?;
        let live = Control::lock_pointer(&mut transaction).await?.generations.get(part.name()).copied();
        if live == Some(part.generation) {
            let projection = part.name().to_owned();
            return Err(ControlError::IsLive { projection, generation: part.generation });
        }
        let from = [BuildState::Building, BuildState::Following];
        Control::move_build(&mut transaction, part.name(), part.generation, &from, BuildState::Failed).await?;
        transaction.commit().await.map_err(postgres("noting that a generation is wrong"))
    }
}

/// Moves a part of a rebuild that runs on to a phase, from the one before it or from itself.
pub(super) async fn move_phase(
    connection: &mut PgConnection,
    id: i64,
    part: &Part,
    phase: Phase,
) -> Result<(), ControlError> {
    let moved: Option<i64> = sqlx::query_scalar(include_str!("ledger/phase.sql"))
        .bind(id)
        .bind(part.name())
        .bind(phase.name())
        .bind(phase.may_follow().map(Phase::name).to_vec())
        .fetch_optional(connection)
        .await
        .map_err(postgres("noting how far a rebuild is"))?;
    moved.map(drop).ok_or(ControlError::NotRunning { id })
}

/// Ends a rebuild that runs without a switch.
async fn end_rebuild(connection: &mut PgConnection, id: i64, reason: &str) -> Result<(), ControlError> {
    let ended: Option<i64> = sqlx::query_scalar(include_str!("ledger/end.sql"))
        .bind(id)
        .bind(reason)
        .fetch_optional(connection)
        .await
        .map_err(postgres("noting the end of a rebuild"))?;
    ended.map(drop).ok_or(ControlError::NotRunning { id })
}

/// A part as it is written down.
pub(super) struct PartRow {
    projection: String,
    generation: Generation,
    replaces: Option<Generation>,
    phase: Phase,
    position: u64,
    target: u64,
    events: u64,
}

impl PartRow {
    fn new(projection: &str, generation: Generation, replaces: Option<Generation>) -> Self {
        let (projection, phase) = (projection.to_owned(), Phase::Filling);
        Self { projection, generation, replaces, phase, position: 0, target: 0, events: 0 }
    }

    fn part(&self, projection: &Arc<dyn AnyProjection>) -> Part {
        let sink = projection.at(self.generation);
        let sink = self.replaces.map_or(Arc::clone(&sink), |live| sink.beside(live));
        let Self { generation, replaces, phase, position, events, .. } = *self;
        Part { sink, generation, replaces, phase, position, events }
    }

    /// Whether this is the generation that it makes.
    pub(super) fn makes(&self, projection: &str, generation: Generation) -> bool {
        self.projection == projection && self.generation == generation
    }

    pub(super) fn into_name(self) -> String {
        self.projection
    }

    pub(super) fn progress(&self) -> PartProgress {
        let Self { generation, phase, position, target, events, .. } = *self;
        PartProgress { projection: self.projection.clone(), generation, phase, position, target, events }
    }
}

async fn unfinished(connection: &mut PgConnection) -> Result<Option<(i64, Vec<PartRow>)>, ControlError> {
    let id: Option<i64> =
        sqlx::query_scalar("select id from projection_rebuilds where state = 'running' order by id desc limit 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(postgres("reading rebuilds"))?;
    match id {
        None => Ok(None),
        Some(id) => Ok(Some((id, part_rows(connection, id).await?))),
    }
}

pub(super) async fn part_rows(connection: &mut PgConnection, id: i64) -> Result<Vec<PartRow>, ControlError> {
    let rows = sqlx::query(include_str!("ledger/parts.sql"))
        .bind(id)
        .fetch_all(connection)
        .await
        .map_err(postgres("reading the parts of a rebuild"))?;
    rows.iter().map(part_row).collect::<Result<_, _>>().map_err(postgres("understanding a part of a rebuild"))
}

fn part_row(row: &PgRow) -> Result<PartRow, sqlx::Error> {
    let decode = |error: crate::runtime::InvalidGeneration| sqlx::Error::Decode(error.into());
    let phase: String = row.try_get("phase")?;
    let replaces: Option<i32> = row.try_get("replaces")?;
    Ok(PartRow {
        projection: row.try_get("projection")?,
        generation: Generation::try_new(row.try_get("generation")?).map_err(decode)?,
        replaces: replaces.map(Generation::try_new).transpose().map_err(decode)?,
        phase: Phase::of(&phase).ok_or_else(|| sqlx::Error::Decode(format!("no phase is named {phase}").into()))?,
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        target: row.try_get::<i64, _>("target")?.unsigned_abs(),
        events: row.try_get::<i64, _>("events")?.unsigned_abs(),
    })
}
