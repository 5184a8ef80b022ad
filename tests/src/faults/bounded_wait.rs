//! Bounded waiting that fails with the last objection instead of a panic.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(25);

/// Asks `probe` again and again until it answers.
///
/// # Errors
/// Its last objection, when `patience` is over.
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
