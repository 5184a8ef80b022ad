//! Bounded waiting that returns the last error instead of panicking.

use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Calls `probe` repeatedly until it returns `Ok`.
///
/// # Errors
/// The last error of `probe`, when `timeout` is over.
pub async fn wait_until<T>(timeout: Duration, mut probe: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match probe().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not within {timeout:?}")));
            }
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
