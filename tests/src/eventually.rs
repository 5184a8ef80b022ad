//! Bounded waiting.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` again and again until it answers `Ok`, and fails the test with its last objection when `patience` is
/// over.
///
/// # Panics
/// When `patience` is over.
pub async fn eventually<T, E: Display>(patience: Duration, mut probe: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(answer) => return answer,
            Err(objection) if Instant::now() >= deadline => panic!("not within {patience:?}: {objection}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_yes_ends_the_waiting() {
        let mut asked = 0;
        let answer = eventually(Duration::from_secs(5), async || {
            asked += 1;
            if asked < 3 { Err("not yet") } else { Ok(asked) }
        })
        .await;
        assert_eq!(answer, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the stores differ")]
    async fn the_last_objection_is_told() {
        eventually(Duration::from_millis(1), async || Err::<(), _>("the stores differ")).await;
    }
}
