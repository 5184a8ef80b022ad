//! The body of an upload, which may take as long as it takes as long as it goes on.

use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::StoreFailure;

/// Why a body ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFailure {
    /// The client broke off.
    #[error("the body broke off")]
    Broken,
    /// Next to nothing came.
    #[error("the body came too slowly: at least {bytes} bytes have to come every {seconds} s")]
    TooSlow {
        /// What has to come.
        bytes: u64,
        /// Within that time.
        seconds: u64,
    },
}

impl From<BodyFailure> for StoreFailure {
    fn from(failure: BodyFailure) -> Self {
        match failure {
            BodyFailure::Broken => Self::Broken,
            BodyFailure::TooSlow { bytes, seconds } => Self::TooSlow { bytes, seconds },
        }
    }
}

impl From<multer::Error> for StoreFailure {
    fn from(error: multer::Error) -> Self {
        if let multer::Error::StreamReadFailed(source) = &error {
            return source.downcast_ref::<BodyFailure>().map_or(Self::Broken, |failure| (*failure).into());
        }
        if let multer::Error::StreamSizeExceeded { limit } = error {
            return Self::TooLong(limit);
        }
        Self::Form(error.to_string())
    }
}

impl From<std::convert::Infallible> for StoreFailure {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The same body, which ends with an error when fewer than `bytes` come within the time of `within`.
pub(crate) fn limit_slowness<E>(
    body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    (bytes, within): (u64, Duration),
) -> impl Stream<Item = Result<Bytes, BodyFailure>> + Send + Unpin + 'static
where
    E: Send + 'static,
{
    let begin = (Box::pin(body), Instant::now() + within, 0_u64);
    Box::pin(stream::unfold(Some(begin), move |state| async move {
        let (mut body, mut deadline, mut came) = state?;
        match timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(part))) => {
                came = came.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
                if came >= bytes {
                    (deadline, came) = (Instant::now() + within, 0);
                }
                Some((Ok(part), Some((body, deadline, came))))
            }
            Ok(Some(Err(_))) => Some((Err(BodyFailure::Broken), None)),
            Ok(None) => None,
            Err(_elapsed) => Some((Err(BodyFailure::TooSlow { bytes, seconds: within.as_secs() }), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const LIMIT: (u64, Duration) = (2_048, Duration::from_millis(20));
    const TOO_SLOW: BodyFailure = BodyFailure::TooSlow { bytes: 2_048, seconds: 0 };

    fn parts(count: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[0; 1_024]))))
    }

    #[tokio::test]
    async fn a_body_ends_when_it_does_not_go_on_and_not_before() {
        let whole: Vec<_> = limit_slowness(parts(1_000), LIMIT).collect().await;
        assert!(whole.len() == 1_000 && whole.iter().all(Result::is_ok), "as much as comes");
        let cut_off: Vec<_> = limit_slowness(parts(3).chain(stream::pending()), LIMIT).collect().await;
        assert_eq!((cut_off.len(), cut_off.last()), (4, Some(&Err(TOO_SLOW))));
        let silent: Vec<_> = limit_slowness(stream::pending::<Result<Bytes, Infallible>>(), LIMIT).collect().await;
        assert_eq!(silent, [Err(TOO_SLOW)]);
        let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err("reset")]);
        let broken: Vec<_> = limit_slowness(broken, LIMIT).collect().await;
        assert_eq!(broken, [Ok(Bytes::from_static(b"x")), Err(BodyFailure::Broken)]);
    }
}
