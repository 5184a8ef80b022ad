//! Which transactions may delay the relay, and for how long.

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
/// Limit for passing a gap, and for publishing an append that nothing holds back.
const LATENCY_LIMIT: Duration = Duration::from_secs(1);

struct RelayLatencyFixture {
    environment: FaultEnvironment,
    relays: RelayPair,
    writer: AppendWriter,
}

impl RelayLatencyFixture {
    async fn new() -> Self {
        let environment = FaultEnvironment::new(engines().await).await.unwrap();
        let relays = RelayPair::start(&environment).unwrap();
        relays.wait_until_published(0, START_TIMEOUT).await.unwrap();
        let writer =
            AppendWriter::new(run_seed::read_or_draw_seed().unwrap(), 0, &environment.url, environment.pool.clone())
                .with_own_streams();
        Self { environment, relays, writer }
    }

    /// The time from the acknowledgement of an append until the relay reports its event as published.
    async fn measure_delay(&mut self) -> Duration {
        let position = self.writer.append_probe().await.unwrap();
        let committed = Instant::now();
        self.relays.wait_until_published(position, START_TIMEOUT).await.unwrap();
        committed.elapsed()
    }
}

/// Each has its own log and pair of relays. These start at the same time, before anything is measured.
#[tokio::test]
async fn only_open_appends_delay_the_relay_and_no_longer_than_they_are_open() {
    run_alone();
    let new = RelayLatencyFixture::new;
    let (foreign, rolled_back, open) = tokio::join!(new(), new(), new());
    tokio::join!(
        idle_foreign_transactions_delay_no_event(foreign),
        the_relay_passes_the_gap_of_a_rolled_back_append_within_1_s(rolled_back),
        an_open_append_holds_back_later_events_until_it_commits(open),
    );
}

async fn idle_foreign_transactions_delay_no_event(mut fixture: RelayLatencyFixture) {
    let foreign = ForeignTransactions::open(&fixture.environment.url).await.unwrap();
    let mut delays = Vec::new();
    for _ in 0..20 {
        delays.push(fixture.measure_delay().await);
    }
    assert_eq!(foreign.close().await.unwrap(), 0, "they have to stay open for the whole test");
    assert!(delays.iter().all(|delay| *delay < LATENCY_LIMIT), "{delays:?}");
}

async fn the_relay_passes_the_gap_of_a_rolled_back_append_within_1_s(mut fixture: RelayLatencyFixture) {
    let mut rolled_back = AppendWriter::new(
        run_seed::read_or_draw_seed().unwrap(),
        1,
        &fixture.environment.url,
        fixture.environment.pool.clone(),
    )
    .with_own_streams();
    for _ in 0..5 {
        let open = rolled_back.begin_append().await.unwrap();
        let beyond = fixture.writer.append_probe().await.unwrap();
        let (leader, held) = fixture.relays.find_leader().await.unwrap();
        assert!(held.position < beyond, "event {beyond} was not held back: {held:?}");

        rolled_back.roll_back_append(open).await.unwrap();
        let rolled_back_at = Instant::now();
        assert_eq!(fixture.relays.wait_until_published(beyond, START_TIMEOUT).await.unwrap(), leader);
        assert!(rolled_back_at.elapsed() < LATENCY_LIMIT, "{:?}", rolled_back_at.elapsed());
    }
    let log = evidence_reader::read_log(&mut fixture.environment.connect().await.unwrap()).await.unwrap();
    let last = log.last().unwrap().position;
    assert!(last > u64::try_from(log.len()).unwrap(), "there was no gap");
}

async fn an_open_append_holds_back_later_events_until_it_commits(mut fixture: RelayLatencyFixture) {
    let mut slow = AppendWriter::new(
        run_seed::read_or_draw_seed().unwrap(),
        1,
        &fixture.environment.url,
        fixture.environment.pool.clone(),
    )
    .with_own_streams();
    let before = fixture.writer.append_probe().await.unwrap();
    fixture.relays.wait_until_published(before, START_TIMEOUT).await.unwrap();
    let open = slow.begin_append().await.unwrap();
    let beyond = fixture.writer.append_probe().await.unwrap();
    let watched = Instant::now();
    while watched.elapsed() < LATENCY_LIMIT {
        let (_, status) = fixture.relays.find_leader().await.unwrap();
        assert!(status.position < beyond, "{status:?} passed an open append, to {beyond}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(slow.commit_append(open).await.unwrap(), AppendOutcome::Committed);
    fixture.relays.wait_until_published(beyond, LATENCY_LIMIT).await.unwrap();
}
