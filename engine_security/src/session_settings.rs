//! Settings of a session of Postgres that a client sends at the start of a connection (`options`).

/// SQLSTATE `feature_not_supported`.
const NOT_SUPPORTED: &str = "0A000";

/// What `PgBouncer` and the proxy of Amazon RDS say of such settings. `PgBouncer` has one SQLSTATE for most of its errors.
const REFUSALS: [&str; 2] = ["unsupported startup parameter", "command-line options"];

/// Whether a pooler has refused a connection, with this SQLSTATE and message, because of the settings.
pub fn refuses_session_settings(code: Option<&str>, message: &str) -> bool {
    code == Some(NOT_SUPPORTED) || REFUSALS.iter().any(|refusal| message.contains(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_settings_is_one() {
        for (code, message, is_refusal) in [
            (Some("08P01"), "unsupported startup parameter: options", true),
            (Some("08P01"), "unsupported startup parameter in options: jit", true),
            (None, "Feature not supported: RDS Proxy currently doesn't support command-line options", true),
            (Some("0A000"), "this pooler has no settings", true),
            (Some("08P01"), "query_wait_timeout", false),
            (Some("53300"), "sorry, too many clients already", false),
            (Some("28P01"), "password authentication failed", false),
        ] {
            assert_eq!(refuses_session_settings(code, message), is_refusal, "{message}");
        }
    }
}
