//! Checkpoints of generations, by partition.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::ReadModelGeneration;

/// The checkpoint of a generation on one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionCheckpoint {
    /// Every event of the partition at or below this position is applied or parked.
    pub position: u64,
    /// The ordinal of the last applied event of the partition, where it is known.
    pub ordinal: Option<u64>,
    /// The offset of the next record to consume.
    pub next_offset: i64,
}

/// The checkpoints of a generation, by topic and partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint(pub BTreeMap<(String, i32), PartitionCheckpoint>);

impl Checkpoint {
    /// The position up to which every event is applied or parked; 0 while a partition has no checkpoint.
    ///
    /// `partitions` is the number of partitions of all topics that the generation reads together.
    pub fn applied_position(&self, partitions: usize) -> u64 {
        if self.0.len() < partitions {
            return 0;
        }
        self.0.values().map(|partition| partition.position).min().unwrap_or_default()
    }

    /// The highest position of any partition.
    pub fn highest_position(&self) -> u64 {
        self.0.values().map(|partition| partition.position).max().unwrap_or_default()
    }
}

impl ControlStore {
    /// Loads the checkpoints of a generation.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_checkpoint(
        &self,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Checkpoint, ControlError> {
        let mut connection = self.pool().acquire().await.map_err(postgres_error("reading checkpoints"))?;
        Self::load_checkpoint_on(&mut connection, projection, generation).await
    }

    /// Like [`Self::load_checkpoint`], in the caller's transaction.
    pub(in crate::runtime) async fn load_checkpoint_on(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Checkpoint, ControlError> {
        let rows = sqlx::query(include_str!("checkpoint/load.sql"))
            .bind(projection)
            .bind(generation.number())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("reading checkpoints"))?;
        let partitions = rows.iter().map(partition_from_row).collect::<Result<_, _>>();
        partitions.map(Checkpoint).map_err(postgres_error("decoding a checkpoint"))
    }

    /// Loads the checkpoints of all generations of all projections, by projection and generation. Those without any are
    /// left out.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub(in crate::runtime) async fn load_all_checkpoints(
        &self,
    ) -> Result<BTreeMap<(String, ReadModelGeneration), Checkpoint>, ControlError> {
        let rows = sqlx::query(include_str!("checkpoint/load_all.sql"))
            .fetch_all(self.pool())
            .await
            .map_err(postgres_error("reading checkpoints"))?;
        let mut all = BTreeMap::<_, Checkpoint>::new();
        for row in &rows {
            let decoded = generation_from_row(row).and_then(|key| Ok((key, partition_from_row(row)?)));
            let (key, (partition, checkpoint)) = decoded.map_err(postgres_error("decoding a checkpoint"))?;
            all.entry(key).or_default().0.insert(partition, checkpoint);
        }
        Ok(all)
    }

    /// Moves checkpoints forward, never back: a late write of a worker that lost its partitions changes nothing.
    pub(in crate::runtime) async fn save_checkpoint(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
        checkpoint: &Checkpoint,
    ) -> Result<(), ControlError> {
        let to_bigint = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (mut topics, mut partitions) = (vec![], vec![]);
        let (mut positions, mut ordinals, mut offsets) = (vec![], vec![], vec![]);
        for ((topic, partition), saved) in &checkpoint.0 {
            topics.push(topic.as_str());
            partitions.push(*partition);
            positions.push(to_bigint(saved.position));
            ordinals.push(saved.ordinal.map(to_bigint));
            offsets.push(saved.next_offset);
        }
        sqlx::query(include_str!("checkpoint/save.sql"))
            .bind(projection)
            .bind(generation.number())
            .bind(topics)
            .bind(partitions)
            .bind(positions)
            .bind(ordinals)
            .bind(offsets)
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("saving checkpoints"))
    }
}

fn generation_from_row(row: &PgRow) -> Result<(String, ReadModelGeneration), sqlx::Error> {
    let generation = ReadModelGeneration::try_new(row.try_get("generation")?);
    Ok((row.try_get("projection")?, generation.map_err(|error| sqlx::Error::Decode(error.into()))?))
}

fn partition_from_row(row: &PgRow) -> Result<((String, i32), PartitionCheckpoint), sqlx::Error> {
    let ordinal: Option<i64> = row.try_get("ordinal")?;
    Ok((
        (row.try_get("topic")?, row.try_get("partition")?),
        PartitionCheckpoint {
            position: row.try_get::<i64, _>("position")?.unsigned_abs(),
            ordinal: ordinal.map(i64::unsigned_abs),
            next_offset: row.try_get("next_offset")?,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applied_position_is_the_lowest_position_of_a_partition() {
        let at = |position| PartitionCheckpoint { position, ..PartitionCheckpoint::default() };
        let checkpoint = Checkpoint(BTreeMap::from([(("t".into(), 0), at(7)), (("t".into(), 1), at(5))]));
        assert_eq!((checkpoint.applied_position(2), checkpoint.highest_position()), (5, 7));
        assert_eq!(checkpoint.applied_position(3), 0);
        assert_eq!(Checkpoint::default().applied_position(0), 0);
    }
}
