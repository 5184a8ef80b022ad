//! A completed prefix that was read once never grows afterwards: the fence alone, without Kafka.

use std::time::Duration;

use eventstore::log::{load_fence, read_after};
use sqlx::{Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use super::choose_seeds;
use tests::engines;
use tests::faults::{
    WriterTasks, evidence_reader, fault_environment::FaultEnvironment, fault_plan::FaultPlan, run_seed,
    seeded_choices::SeededChoices,
};

const SCRIPT_COUNT: u64 = 60;
const STEPS_PER_SCRIPT: u64 = 30;

/// A reader that continues at its last position.
struct PrefixReader {
    connection: PgConnection,
    fenced: bool,
    cursor: u64,
    read: Vec<u64>,
}

impl PrefixReader {
    async fn new(environment: &FaultEnvironment, fenced: bool) -> Self {
        Self { connection: environment.connect().await.unwrap(), fenced, cursor: 0, read: Vec::new() }
    }

    async fn read_next(&mut self) {
        let fence = if self.fenced { load_fence(&mut self.connection).await.unwrap() } else { u64::MAX };
        let events = read_after(&mut self.connection, self.cursor, fence, u32::MAX).await.unwrap();
        self.read.extend(events.iter().map(|event| event.position));
        let last = self.read.last().copied().unwrap_or_default();
        self.cursor = if self.fenced { fence.max(self.cursor) } else { last };
    }

    /// Number of events before its cursor that it has not read.
    async fn count_missed(&mut self) -> usize {
        self.read_next().await;
        assert!(self.read.is_sorted_by(|first, second| first < second), "positions were read twice or out of order");
        let log = evidence_reader::read_log(&mut self.connection).await.unwrap();
        log.iter().filter(|event| self.read.binary_search(&event.position).is_err()).count()
    }
}

/// A connection that appends step by step.
struct ScriptedWriter {
    connection: PgConnection,
    open: bool,
    savepoint: bool,
}

/// Several writers, and what they share.
struct WriterScript {
    writers: Vec<ScriptedWriter>,
    /// Ends prepared transactions, independently of the transactions that writers have open.
    finisher: PgConnection,
    choices: SeededChoices,
    database: String,
    prepared: Vec<String>,
    names: u64,
}

impl WriterScript {
    async fn new(environment: &FaultEnvironment, seed: u64) -> Self {
        let mut writers = Vec::new();
        for _ in 0..4 {
            let connection = environment.connect().await.unwrap();
            writers.push(ScriptedWriter { connection, open: false, savepoint: false });
        }
        let database = environment.url.rsplit('/').next().unwrap().to_owned();
        let finisher = environment.connect().await.unwrap();
        Self { writers, finisher, choices: SeededChoices::new(seed, 0), database, prepared: Vec::new(), names: 0 }
    }

    async fn run_step(&mut self) {
        let number = usize::try_from(self.choices.number_below(4)).unwrap();
        let choice = self.choices.number_below(10);
        self.names += 1;
        let name = format!("{}-{}", self.database, self.names);
        let writer = &mut self.writers[number];
        match (writer.open, choice) {
            (_, 0..=3) => insert_event(&mut writer.connection, &name).await,
            (false, 4..=8) => {
                run_statement(&mut writer.connection, "begin").await;
                if choice == 4 {
                    run_statement(&mut writer.connection, "select pg_current_xact_id()").await;
                }
                writer.open = true;
            }
            (false, _) => self.end_prepared().await,
            (true, 4) => {
                run_statement(&mut writer.connection, "savepoint s").await;
                insert_event(&mut writer.connection, &name).await;
                writer.savepoint = true;
            }
            (true, 5) if writer.savepoint => run_statement(&mut writer.connection, "rollback to savepoint s").await,
            (true, 6) => {
                run_statement(&mut writer.connection, &format!("prepare transaction '{name}'")).await;
                self.prepared.push(name);
                writer.reset();
            }
            (true, 7) => {
                run_statement(&mut writer.connection, "rollback").await;
                writer.reset();
            }
            (true, _) => {
                run_statement(&mut writer.connection, "commit").await;
                writer.reset();
            }
        }
    }

    async fn end_prepared(&mut self) {
        let Some(name) = self.prepared.pop() else { return };
        let end = if self.choices.random_bool(70) { "commit" } else { "rollback" };
        run_statement(&mut self.finisher, &format!("{end} prepared '{name}'")).await;
    }

    async fn finish(&mut self) {
        for writer in &mut self.writers {
            run_statement(&mut writer.connection, "commit").await;
            writer.reset();
        }
        while !self.prepared.is_empty() {
            self.end_prepared().await;
        }
    }
}

impl ScriptedWriter {
    fn reset(&mut self) {
        (self.open, self.savepoint) = (false, false);
    }
}

async fn run_statement(connection: &mut PgConnection, statement: &str) {
    connection.execute(statement).await.unwrap();
}

async fn insert_event(connection: &mut PgConnection, stream: &str) {
    let row = format!("('opportunity', '{stream}', 1, 'opportunity.discovered', '1.0', '{{}}', '{{}}')");
    let columns = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata";
    run_statement(connection, &format!("insert into events ({columns}) values {row}")).await;
}

/// Number of events that a reader missed in all scripts of a seed.
async fn count_missed_events(seed: u64, fenced: bool) -> usize {
    let environment = FaultEnvironment::new(engines().await).await.unwrap();
    let mut missed = 0;
    let mut reader = PrefixReader::new(&environment, fenced).await;
    for case in 0..SCRIPT_COUNT {
        let mut script = WriterScript::new(&environment, seed.wrapping_mul(SCRIPT_COUNT).wrapping_add(case)).await;
        script.names = case * STEPS_PER_SCRIPT;
        for _ in 0..STEPS_PER_SCRIPT {
            script.run_step().await;
            if script.choices.random_bool(40) {
                reader.read_next().await;
            }
        }
        script.finish().await;
        missed = reader.count_missed().await;
        if fenced {
            assert_eq!(missed, 0, "seed {seed}, case {case}");
        }
    }
    assert!(reader.read.len() > usize::try_from(SCRIPT_COUNT).unwrap(), "too few events were written");
    missed
}

#[tokio::test]
async fn a_completed_prefix_never_grows() {
    for seed in choose_seeds() {
        assert_eq!(count_missed_events(seed, true).await, 0);
    }
}

#[tokio::test]
async fn without_the_fence_a_reader_misses_events_of_the_same_scripts() {
    assert!(count_missed_events(super::FIXED_SEED, false).await > 0);
}

#[tokio::test]
async fn continuous_readers_see_completed_prefixes_beside_writers_of_every_kind() {
    let environment = FaultEnvironment::new(engines().await).await.unwrap();
    let writers = WriterTasks::start(
        &FaultPlan::without_faults(run_seed::read_or_draw_seed().unwrap(), 12, Duration::ZERO),
        &environment,
    );
    let stop = CancellationToken::new();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, url) = (stop.clone(), environment.url.clone());
            tokio::spawn(async move {
                let connection = sqlx::Connection::connect(&url).await.unwrap();
                let mut reader = PrefixReader { connection, fenced: true, cursor: 0, read: Vec::new() };
                while !stop.is_cancelled() {
                    reader.read_next().await;
                }
                reader
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let ledger = writers.stop().await.unwrap();
    stop.cancel();
    for reader in readers {
        let mut reader = reader.await.unwrap();
        assert_eq!(reader.count_missed().await, 0);
        assert!(reader.read.len() > ledger.len() / 2, "{} events of {} appends", reader.read.len(), ledger.len());
    }
}
