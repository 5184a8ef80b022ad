//! What may hold up the relay, and what may not.

use std::time::{Duration, Instant};

use tests::{
    engines,
    faults::{
        append_ledger::AppendOutcome, append_writer::AppendWriter, evidence_reader,
        fault_environment::FaultEnvironment, foreign_transactions::ForeignTransactions, relay_pair::RelayPair,
        run_seed,
    },
    run_alone,
};

const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The floor for a dead gap, and the least that can be asked of an undisturbed append.
const LATENCY_LIMIT: Duration = Duration::from_secs(1);

struct RelayLatencyFixture {
    field: FaultEnvironment,
    relays: RelayPair,
    writer: AppendWriter,
}

impl RelayLatencyFixture {
    async fn new() -> Self {
        run_alone();
        let field = FaultEnvironment::new(engines().await).await.unwrap();
        let relays = RelayPair::start(&field).unwrap();
        relays.reach(0, START_TIMEOUT).await.unwrap();
        let writer = AppendWriter::new(run_seed::read_or_draw().unwrap(), 0, &field.url, field.pool.clone()).alone();
        Self { field, relays, writer }
    }

    /// From the acknowledgement of an append to Kafka's acknowledgement of its event, seen from outside.
    async fn delay(&mut self) -> Duration {
        let position = self.writer.probe().await.unwrap();
        let committed = Instant::now();
        self.relays.reach(position, START_TIMEOUT).await.unwrap();
        committed.elapsed()
    }
}

#[tokio::test]
async fn idle_foreign_transactions_delay_no_event() {
    let mut scene = RelayLatencyFixture::new().await;
    let foreign = ForeignTransactions::open(&scene.field.url).await.unwrap();
    let mut delays = Vec::new();
    for _ in 0..20 {
        delays.push(scene.delay().await);
    }
    assert_eq!(foreign.close().await.unwrap(), 0, "they were to stay open for the whole test");
    assert!(delays.iter().all(|delay| *delay < LATENCY_LIMIT), "{delays:?}");
}

#[tokio::test]
async fn a_dead_gap_is_passed_within_1_s() {
    let mut scene = RelayLatencyFixture::new().await;
    let mut doomed =
        AppendWriter::new(run_seed::read_or_draw().unwrap(), 1, &scene.field.url, scene.field.pool.clone()).alone();
    for _ in 0..5 {
        let open = doomed.begin_append().await.unwrap();
        let beyond = scene.writer.probe().await.unwrap();
        let (leader, held) = scene.relays.leader().await.unwrap();
        assert!(held.position < beyond, "nothing was held back: {held:?}, {beyond}");

        doomed.roll_back_append(open).await.unwrap();
        let dead = Instant::now();
        assert_eq!(scene.relays.reach(beyond, START_TIMEOUT).await.unwrap(), leader);
        assert!(dead.elapsed() < LATENCY_LIMIT, "{:?}", dead.elapsed());
    }
    let log = evidence_reader::log(&mut scene.field.connection().await.unwrap()).await.unwrap();
    let last = log.last().unwrap().position;
    assert!(last > u64::try_from(log.len()).unwrap(), "there was no gap");
}

#[tokio::test]
async fn an_open_append_holds_back_what_is_beyond_it_and_lets_go_at_its_commit() {
    let mut scene = RelayLatencyFixture::new().await;
    let mut slow =
        AppendWriter::new(run_seed::read_or_draw().unwrap(), 1, &scene.field.url, scene.field.pool.clone()).alone();
    let before = scene.writer.probe().await.unwrap();
    scene.relays.reach(before, START_TIMEOUT).await.unwrap();
    let open = slow.begin_append().await.unwrap();
    let beyond = scene.writer.probe().await.unwrap();
    let watched = Instant::now();
    while watched.elapsed() < LATENCY_LIMIT {
        let (_, status) = scene.relays.leader().await.unwrap();
        assert!(status.position < beyond, "{status:?} went beyond an open append, to {beyond}");
    }
    assert_eq!(slow.commit_append(open).await.unwrap(), AppendOutcome::Committed);
    scene.relays.reach(beyond, LATENCY_LIMIT).await.unwrap();
}
