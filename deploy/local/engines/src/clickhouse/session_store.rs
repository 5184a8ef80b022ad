//! HTTP sessions (`session_id`): the settings of a session's earlier statements are repeated for the next one.
//!
//! Each request uses its own connection, so a session is a list of `SET` and `USE` statements. A temporary table would
//! end with its request and is refused.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::exception::{ClickHouseException, ExceptionCode};

/// How long a session waits for its next request, if the client does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest timeout that a client may request.
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// Maximum number of sessions. Above it, the session that has waited longest is removed.
const MAX_SESSIONS: usize = 1_000;
/// Maximum number of statements of one session.
const MAX_STATEMENTS: usize = 100;

/// The open sessions by user and id.
#[derive(Default)]
pub(super) struct SessionStore(Mutex<HashMap<SessionKey, HttpSession>>);

/// User and session id.
pub(super) type SessionKey = (String, String);

struct HttpSession {
    statements: Vec<String>,
    timeout: Duration,
    used_at: Instant,
}

/// What a request says about its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionRequest {
    /// The session's id; without one there is no session.
    pub(super) id: Option<String>,
    /// How long the session waits for the next request, in seconds.
    pub(super) timeout: Option<String>,
    /// Whether the session must already exist.
    pub(super) must_exist: bool,
    /// Whether the session ends with the request.
    pub(super) closes_session: bool,
}

impl SessionStore {
    /// Opens or continues a session; returns the statements that restore it.
    pub(super) fn open(&self, key: &SessionKey, request: &SessionRequest) -> Result<Vec<String>, ClickHouseException> {
        let timeout = match request.timeout.as_deref() {
            None => DEFAULT_TIMEOUT,
            Some(seconds) => seconds.parse().map(Duration::from_secs).map_err(|_| {
                ExceptionCode::BadArguments.with_message(&format!("Invalid session timeout: '{seconds}'"))
            })?,
        };
        if timeout > MAX_TIMEOUT {
            let reason = format!("Session timeout is larger than the maximum of {} seconds", MAX_TIMEOUT.as_secs());
            return Err(ExceptionCode::BadArguments.with_message(&reason));
        }
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sessions.retain(|_, session| now.duration_since(session.used_at) < session.timeout);
        if let Some(session) = sessions.get_mut(key) {
            (session.timeout, session.used_at) = (timeout, now);
            return Ok(session.statements.clone());
        }
        if request.must_exist {
            return Err(ExceptionCode::SessionNotFound.with_message(&format!("Session {} not found", key.1)));
        }
        let oldest = sessions.iter().min_by_key(|(_, session)| session.used_at).map(|(key, _)| key.clone());
        if let (true, Some(oldest)) = (sessions.len() >= MAX_SESSIONS, oldest) {
            sessions.remove(&oldest);
        }
        sessions.insert(key.clone(), HttpSession { statements: vec![], timeout, used_at: now });
        Ok(vec![])
    }

    /// Records a statement that succeeded. The oldest one is removed above [`MAX_STATEMENTS`].
    pub(super) fn record_statement(&self, key: &SessionKey, statement: String) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get_mut(key) {
            if session.statements.len() >= MAX_STATEMENTS {
                session.statements.remove(0);
            }
            session.statements.push(statement);
        }
    }

    /// Ends a session.
    pub(super) fn close(&self, key: &SessionKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> SessionKey {
        ("default".to_owned(), id.to_owned())
    }

    #[test]
    fn a_session_restores_its_statements_until_it_is_closed() {
        let (sessions, request) = (SessionStore::default(), SessionRequest::default());
        let check = SessionRequest { must_exist: true, ..SessionRequest::default() };
        assert_eq!(sessions.open(&key("a"), &check).unwrap_err().code, 372);
        assert!(sessions.open(&key("a"), &request).unwrap().is_empty());
        sessions.record_statement(&key("a"), "set max_threads = 3".to_owned());
        assert_eq!(sessions.open(&key("a"), &check).unwrap(), ["set max_threads = 3"]);
        assert!(sessions.open(&key("b"), &request).unwrap().is_empty());
        sessions.close(&key("a"));
        assert!(sessions.open(&key("a"), &request).unwrap().is_empty());
    }

    #[test]
    fn a_timeout_is_seconds_and_bounded() {
        let sessions = SessionStore::default();
        for (timeout, code) in [("soon", 36), ("3601", 36)] {
            let request = SessionRequest { timeout: Some(timeout.to_owned()), ..SessionRequest::default() };
            assert_eq!(sessions.open(&key("a"), &request).unwrap_err().code, code, "{timeout}");
        }
        let expired = SessionRequest { timeout: Some("0".to_owned()), ..SessionRequest::default() };
        sessions.open(&key("a"), &expired).unwrap();
        let check = SessionRequest { must_exist: true, ..SessionRequest::default() };
        assert_eq!(sessions.open(&key("a"), &check).unwrap_err().code, 372);
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let (sessions, request) = (SessionStore::default(), SessionRequest::default());
        for number in 0..=MAX_SESSIONS {
            sessions.open(&key(&number.to_string()), &request).unwrap();
        }
        assert_eq!(sessions.0.lock().unwrap().len(), MAX_SESSIONS);
    }
}
