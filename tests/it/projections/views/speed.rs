//! How fast views are written, beside the fastest way to get the same values into the same server.

use std::time::{Duration, Instant};

use commands::sam::{Rows, generate, open};
use domain::envelope::RawRecorded;
use projections::{
    runtime::Projection,
    views::{ViewChange, Views},
};

use super::{super::Log, Opened};

const ROWS: u64 = 6_000;
const ROUNDS: usize = 5;
/// Hashes that are set in one round trip.
const PER_ROUND_TRIP: usize = 1_000;

/// What a log of made-up notices holds.
fn made_up() -> Vec<RawRecorded> {
    let mut csv = vec![];
    generate::write_csv(&mut csv, ROWS, 4, |_| {}).unwrap();
    let mut log = Log::default();
    for row in Rows::new(open(std::io::Cursor::new(csv)).unwrap()) {
        log.take_in(row.unwrap().outcome.unwrap());
    }
    log.events
}

/// Applies a rebuild's batches to an empty generation.
async fn written(batches: &[Vec<ViewChange>]) -> (Duration, Opened) {
    let opened = Opened::new().await;
    let began = Instant::now();
    for batch in batches {
        opened.views.apply(batch).await.unwrap();
    }
    (began.elapsed(), opened)
}

/// The final values, as they stand in the server.
async fn values(opened: &Opened) -> Vec<(String, Vec<(String, String)>)> {
    let mut values = vec![];
    for key in opened.keys().await.into_iter().filter(|key| !key.ends_with("generation")) {
        let fields = redis::cmd("HGETALL").arg(&key).query_async(&mut opened.connection.clone()).await.unwrap();
        values.push((key, fields));
    }
    values
}

async fn raw(opened: &Opened, values: &[(String, Vec<(String, String)>)]) -> Duration {
    let began = Instant::now();
    for some in values.chunks(PER_ROUND_TRIP) {
        let mut pipeline = redis::pipe();
        for (key, fields) in some {
            pipeline.hset_multiple(key, fields).ignore();
        }
        pipeline.exec_async(&mut opened.connection.clone()).await.unwrap();
    }
    began.elapsed()
}

#[tokio::test]
async fn views_are_written_at_half_the_rate_of_raw_writes_or_more() {
    let events = made_up();
    let changes: Vec<ViewChange> = events.iter().flat_map(|event| Views::project(event).unwrap()).collect();
    let batches: Vec<_> = changes.chunks(Views::pace().rebuild_events).map(<[_]>::to_vec).collect();
    let (mut ours, mut raws, mut rows) = (vec![], vec![], 0);
    // By turns, and the best of each counts: other tests are at work meanwhile.
    for _ in 0..ROUNDS {
        let (took, opened) = written(&batches).await;
        ours.push(took);
        let values = values(&opened).await;
        rows = values.len();
        opened.lose_everything().await;
        raws.push(raw(&opened, &values).await);
        opened.lose_everything().await;
    }
    let (ours, raw) = (ours.into_iter().min().unwrap(), raws.into_iter().min().unwrap());
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    println!(
        "{} events, {rows} rows: {:.0} rows/s and {:.0} events/s applied, {:.0} rows/s raw",
        events.len(),
        rate(ours),
        events.len() as f64 / ours.as_secs_f64(),
        rate(raw)
    );
    assert!(rate(ours) >= rate(raw) / 2.0, "{ours:?} for what takes {raw:?} raw");
}
