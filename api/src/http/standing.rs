//! Who asks, by what they show.

use axum::http::{HeaderMap, header};

use crate::{config::AdminConfig, graphql::Standing};

/// The standing of one who sent these headers.
pub(super) fn of_headers(headers: &HeaderMap, admin: &AdminConfig) -> Standing {
    of(headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()), admin)
}

/// The standing of one who began a connection with these words: browsers cannot send headers with a WebSocket.
pub(super) fn of_payload(payload: &serde_json::Value, admin: &AdminConfig) -> Standing {
    let said = payload.as_object().into_iter().flatten();
    let mut shown = said.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    of(shown.find_map(|(_, value)| value.as_str()), admin)
}

fn of(authorization: Option<&str>, admin: &AdminConfig) -> Standing {
    let token = authorization.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| {
        // The scheme's name has no case (RFC 9110, section 11.1).
        scheme.eq_ignore_ascii_case("bearer")
    });
    match token {
        Some((_, token)) if admin.recognises(token.trim()) => Standing::Operator,
        Some(_) | None => Standing::Visitor,
    }
}
