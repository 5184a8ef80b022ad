//! The body of an upload, which has no time limit as long as data arrives.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

/// Why a body ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadBodyError {
    /// The client aborted the upload.
    #[error("the upload was interrupted")]
    Interrupted,
    /// The upload made too little progress.
    #[error("the upload was too slow: at least {bytes} bytes must arrive every {seconds} s")]
    TooSlow {
        /// Bytes that must arrive.
        bytes: u64,
        /// Time for them, in seconds.
        seconds: u64,
    },
}

/// Wraps a body so that it fails when fewer than `bytes` arrive within the duration `within`.
pub fn enforce_progress<E>(
    body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    (bytes, within): (u64, Duration),
) -> impl Stream<Item = Result<Bytes, UploadBodyError>> + Send + Unpin + 'static
where
    E: Send + 'static,
{
    let initial = (Box::pin(body), Instant::now() + within, 0_u64);
    Box::pin(stream::unfold(Some(initial), move |state| async move {
        let (mut body, mut deadline, mut received) = state?;
        match timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(part))) => {
                received = received.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
                if received >= bytes {
                    (deadline, received) = (Instant::now() + within, 0);
                }
                Some((Ok(part), Some((body, deadline, received))))
            }
            Ok(Some(Err(_))) => Some((Err(UploadBodyError::Interrupted), None)),
            Ok(None) => None,
            Err(_elapsed) => Some((Err(UploadBodyError::TooSlow { bytes, seconds: within.as_secs() }), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const LIMIT: (u64, Duration) = (2_048, Duration::from_millis(20));
    const TOO_SLOW: UploadBodyError = UploadBodyError::TooSlow { bytes: 2_048, seconds: 0 };

    fn body_parts(count: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[0; 1_024]))))
    }

    #[tokio::test]
    async fn a_body_fails_only_when_it_makes_no_progress() {
        let whole: Vec<_> = enforce_progress(body_parts(1_000), LIMIT).collect().await;
        assert!(
            whole.len() == 1_000 && whole.iter().all(Result::is_ok),
            "a body that makes progress has no length limit"
        );
        let cut_off: Vec<_> = enforce_progress(body_parts(3).chain(stream::pending()), LIMIT).collect().await;
        assert_eq!((cut_off.len(), cut_off.last()), (4, Some(&Err(TOO_SLOW))));
        let silent: Vec<_> = enforce_progress(stream::pending::<Result<Bytes, Infallible>>(), LIMIT).collect().await;
        assert_eq!(silent, [Err(TOO_SLOW)]);
        let reset = stream::iter([Ok(Bytes::from_static(b"x")), Err("reset")]);
        let interrupted: Vec<_> = enforce_progress(reset, LIMIT).collect().await;
        assert_eq!(interrupted, [Ok(Bytes::from_static(b"x")), Err(UploadBodyError::Interrupted)]);
    }
}
