//! How far a generation has come, partition by partition.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::Generation;

/// How far a generation has taken in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionCheckpoint {
    /// Every event of the partition at or below this position is taken in, or parked.
    pub position: u64,
    /// The number of the last event of the partition that is taken in, where it is known.
    pub ordinal: Option<u64>,
    /// The offset of the next record.
    pub next_offset: i64,
}

/// How far a generation has come, by topic and partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint(pub BTreeMap<(String, i32), PartitionCheckpoint>);

impl Checkpoint {
    /// Every event at or below this position is taken in, or parked; 0 before every partition has said something.
    ///
    /// `partitions` is how many partitions the topics have that it reads, all together.
    pub fn completed_prefix(&self, partitions: usize) -> u64 {
        if self.0.len() < partitions {
            return 0;
        }
        self.0.values().map(|mark| mark.position).min().unwrap_or_default()
    }

    /// The highest position of any partition.
    pub fn highest_position(&self) -> u64 {
        self.0.values().map(|mark| mark.position).max().unwrap_or_default()
    }
}

impl ControlStore {
    /// How far a generation has come.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_checkpoint(&self, projection: &str, generation: Generation) -> Result<Checkpoint, ControlError> {
        let mut connection = self.pool().acquire().await.map_err(postgres_error("reading checkpoints"))?;
        Self::load_checkpoint_on(&mut connection, projection, generation).await
    }

    /// As [`Self::load_checkpoint`], in a transaction of the caller's.
    pub(in crate::runtime) async fn load_checkpoint_on(
        connection: &mut PgConnection,
        projection: &str,
        generation: Generation,
    ) -> Result<Checkpoint, ControlError> {
        let rows = sqlx::query(include_str!("checkpoint/load.sql"))
            .bind(projection)
            .bind(generation.number())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("reading checkpoints"))?;
        let marks = rows.iter().map(partition_from_row).collect::<Result<_, _>>();
        marks.map(Checkpoint).map_err(postgres_error("understanding a checkpoint"))
    }

    /// Moves checkpoints forward; never back, so that a worker of yesterday that comes late does no harm.
    pub(in crate::runtime) async fn save_checkpoint(
        connection: &mut PgConnection,
        projection: &str,
        generation: Generation,
        marks: &Checkpoint,
    ) -> Result<(), ControlError> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (mut topics, mut partitions) = (vec![], vec![]);
        let (mut positions, mut ordinals, mut offsets) = (vec![], vec![], vec![]);
        for ((topic, partition), mark) in &marks.0 {
            topics.push(topic.as_str());
            partitions.push(*partition);
            positions.push(number(mark.position));
            ordinals.push(mark.ordinal.map(number));
            offsets.push(mark.next_offset);
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
            .map_err(postgres_error("moving checkpoints"))
    }
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
    fn the_slowest_partition_says_what_is_complete() {
        let mark = |position| PartitionCheckpoint { position, ..PartitionCheckpoint::default() };
        let checkpoint = Checkpoint(BTreeMap::from([(("t".into(), 0), mark(7)), (("t".into(), 1), mark(5))]));
        assert_eq!((checkpoint.completed_prefix(2), checkpoint.highest_position()), (5, 7));
        assert_eq!(checkpoint.completed_prefix(3), 0);
        assert_eq!(Checkpoint::default().completed_prefix(0), 0);
    }
}
