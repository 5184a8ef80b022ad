//! Deadlines of calls: the caller's deadline, at most the server's limit.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::admission::GUARDED_PREFIX;

/// Header with the caller's timeout.
const TIMEOUT_HEADER: &str = "grpc-timeout";

/// When a call ends at the latest, for calls that wait for something.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallDeadline(pub(super) Instant);

/// Ends a call with `DEADLINE_EXCEEDED` at its deadline and cancels its work.
pub(super) async fn enforce_deadline(State(time_limit): State<Duration>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(GUARDED_PREFIX) {
        return next.run(request).await;
    }
    let requested = match requested_timeout(request.headers()) {
        Ok(requested) => requested,
        Err(status) => return status.into_http::<tonic::body::Body>().into_response(),
    };
    let remaining = requested.map_or(time_limit, |requested| requested.min(time_limit));
    request.extensions_mut().insert(CallDeadline(Instant::now() + remaining));
    // A call whose deadline has passed is not begun.
    let response = if remaining.is_zero() { None } else { timeout(remaining, next.run(request)).await.ok() };
    response.unwrap_or_else(|| {
        let status = Status::deadline_exceeded("the call exceeded its deadline");
        status.into_http::<tonic::body::Body>().into_response()
    })
}

/// The caller's timeout ("gRPC over HTTP2", `Timeout`).
fn requested_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(None) };
    let invalid = || Status::invalid_argument("grpc-timeout must be up to eight digits and one of H, M, S, m, u, n");
    let (digits, unit) =
        value.to_str().ok().and_then(|text| text.split_at_checked(text.len().checked_sub(1)?)).ok_or_else(invalid)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    let count: u64 = digits.parse().map_err(|_| invalid())?;
    Ok(Some(match unit {
        "H" => Duration::from_hours(count),
        "M" => Duration::from_mins(count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(invalid()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout_from_text(text: &str) -> Result<Option<Duration>, tonic::Code> {
        let headers = HeaderMap::from_iter([(TIMEOUT_HEADER.parse().unwrap(), text.parse().unwrap())]);
        requested_timeout(&headers).map_err(|status| status.code())
    }

    #[test]
    fn timeouts_are_parsed_as_in_the_protocol() {
        assert_eq!(requested_timeout(&HeaderMap::new()).unwrap(), None);
        for (text, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("1500m", Duration::from_millis(1_500)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(timeout_from_text(text), Ok(Some(expected)), "{text}");
        }
        for text in ["", "S", "5", "123456789S", "-1S", "1.5S", "1s", "1 S"] {
            assert_eq!(timeout_from_text(text), Err(tonic::Code::InvalidArgument), "{text}");
        }
    }
}
