//! When the API accepts requests again, as its refusal says.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// The API's quota is renewed once a day; a later time is not believed.
const MAX_WAIT: TimeDelta = TimeDelta::hours(36);

/// The part of a refusal that is read.
#[derive(Deserialize)]
struct ThrottledAnswer {
    #[serde(rename = "nextAccessTime")]
    next_access_time: Option<String>,
}

/// The time when requests are accepted again, from the body or from the header `Retry-After`; `None` if neither says
/// it.
pub(super) fn parse_next_access(body: &[u8], retry_after: Option<&str>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let answer: Option<ThrottledAnswer> = serde_json::from_slice(body).ok();
    let in_body = answer.and_then(|answer| parse_time(answer.next_access_time?.trim()));
    let until = in_body.or_else(|| parse_retry_after(retry_after?.trim(), now))?;
    Some(until.clamp(now, now + MAX_WAIT))
}

/// `2026-Nov-30 00:00:00+0000 UTC`, or RFC 3339.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.strip_suffix("UTC").unwrap_or(text).trim_end();
    let parsed = DateTime::parse_from_str(text, "%Y-%b-%d %H:%M:%S%z").or_else(|_| DateTime::parse_from_rfc3339(text));
    parsed.ok().map(|time| time.with_timezone(&Utc))
}

/// Seconds, or a date of HTTP.
fn parse_retry_after(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse::<u32>() {
        return now.checked_add_signed(TimeDelta::seconds(i64::from(seconds)));
    }
    DateTime::parse_from_rfc2822(text).ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-29T20:00:00Z".parse().unwrap()
    }

    fn next_access(body: &str, retry_after: Option<&str>) -> Option<String> {
        parse_next_access(body.as_bytes(), retry_after, now()).map(|time| time.to_rfc3339())
    }

    #[test]
    fn the_time_is_read_from_the_body_and_else_from_the_header() {
        let body =
            r#"{"code":"900804","message":"Message throttled out","nextAccessTime":"2026-Nov-30 00:00:00+0000 UTC"}"#;
        assert_eq!(next_access(body, Some("5")).as_deref(), Some("2026-11-30T00:00:00+00:00"));
        assert_eq!(
            next_access(r#"{"nextAccessTime":"2026-11-30T01:00:00+01:00"}"#, None).as_deref(),
            Some("2026-11-30T00:00:00+00:00")
        );
        assert_eq!(next_access("<html>", Some(" 90 ")).as_deref(), Some("2026-11-29T20:01:30+00:00"));
        assert_eq!(
            next_access(r#"{"nextAccessTime":"soon"}"#, Some("Sun, 29 Nov 2026 21:00:00 GMT")).as_deref(),
            Some("2026-11-29T21:00:00+00:00")
        );
    }

    #[test]
    fn an_absurd_time_is_bounded_and_a_missing_one_is_none() {
        assert_eq!(next_access("{}", None), None);
        assert_eq!(next_access("{}", Some("soon")), None);
        assert_eq!(next_access("{}", Some("4294967295")).as_deref(), Some("2026-12-01T08:00:00+00:00"));
        let past = r#"{"nextAccessTime":"2020-Nov-30 00:00:00+0000 UTC"}"#;
        assert_eq!(next_access(past, None).as_deref(), Some("2026-11-29T20:00:00+00:00"));
    }
}
