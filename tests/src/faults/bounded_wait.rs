//! Bounded waiting that returns the last error instead of panicking.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(25);

/// Calls `probe` repeatedly until it returns `Ok`.
///
/// # Errors
/// The last error of `probe`, when `patience` is over.
pub async fn until<T>(patience: Duration, mut probe: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(answer) => return Ok(answer),
            Err(objection) if Instant::now() >= deadline => {
                return Err(objection.context(format!("not within {patience:?}")));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
