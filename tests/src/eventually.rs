//! Bounded waiting.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// How long a test waits for an expected condition before it fails.
///
/// It is the same for all tests and asserts nothing about speed: a test of a promised time has its own limit and runs
/// alone.
pub const WAIT_TIMEOUT: Duration = Duration::from_mins(2);

/// The first pause between two probes, and the longest: a probe may start processes, and too many would slow down what
/// it waits for.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// Calls `probe` until it returns `Ok`, and fails the test with its last error when [`WAIT_TIMEOUT`] is over.
///
/// # Panics
/// When [`WAIT_TIMEOUT`] is over.
pub async fn eventually<T, E: Display>(probe: impl AsyncFnMut() -> Result<T, E>) -> T {
    eventually_within(WAIT_TIMEOUT, probe).await
}

/// [`eventually`] for something that is promised within `limit`.
///
/// # Panics
/// When `limit` is over.
pub async fn eventually_within<T, E: Display>(limit: Duration, mut probe: impl AsyncFnMut() -> Result<T, E>) -> T {
    let (deadline, mut pause) = (Instant::now() + limit, FIRST_PAUSE);
    loop {
        match probe().await {
            Ok(answer) => return answer,
            Err(error) if Instant::now() >= deadline => panic!("not within {limit:?}: {error}"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_first_success() {
        let mut calls = 0;
        let answer = eventually(async || {
            calls += 1;
            if calls < 3 { Err("not yet") } else { Ok(calls) }
        })
        .await;
        assert_eq!(answer, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the stores differ")]
    async fn the_last_error_is_in_the_panic_message() {
        eventually_within(Duration::from_millis(1), async || Err::<(), _>("the stores differ")).await;
    }
}
