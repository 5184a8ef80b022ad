//! HTTP sessions (`session_id`): what a session's earlier statements set is set again for the next one.
//!
//! Each request has a connection of its own, so that a session is a list of `SET` and `USE` statements. A temporary table
//! would end with its request and is refused.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::exception::{ClickHouseException, ExceptionCode};

/// How long a session waits for its next request where the client does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it waits at most.
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// Sessions at once. The one that has waited longest makes room.
const MAX_SESSIONS: usize = 1_000;
/// Statements that one session remembers.
const MAX_STATEMENTS: usize = 100;

/// The open sessions, by login and id.
#[derive(Default)]
pub(super) struct SessionStore(Mutex<HashMap<SessionKey, HttpSession>>);

/// Whose session, and its id.
pub(super) type SessionKey = (String, String);

struct HttpSession {
    statements: Vec<String>,
    timeout: Duration,
    used_at: Instant,
}

/// What a request says about its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionRequest {
    /// Its id; without one there is no session.
    pub(super) id: Option<String>,
    /// How long it is to wait for the next request, in seconds.
    pub(super) timeout: Option<String>,
    /// Whether it has to be there already.
    pub(super) must_exist: bool,
    /// Whether it ends with the request.
    pub(super) ends: bool,
}

impl SessionStore {
    /// Opens a session or goes on with it; gives the statements that make it what it is.
    pub(super) fn enter(&self, key: &SessionKey, request: &SessionRequest) -> Result<Vec<String>, ClickHouseException> {
        let timeout = match request.timeout.as_deref() {
            None => DEFAULT_TIMEOUT,
            Some(seconds) => seconds
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| ExceptionCode::BadArguments.because(&format!("Invalid session timeout: '{seconds}'")))?,
        };
        if timeout > MAX_TIMEOUT {
            let reason = format!("Session timeout is larger than the maximum of {} seconds", MAX_TIMEOUT.as_secs());
            return Err(ExceptionCode::BadArguments.because(&reason));
        }
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sessions.retain(|_, session| now.duration_since(session.used_at) < session.timeout);
        if let Some(session) = sessions.get_mut(key) {
            (session.timeout, session.used_at) = (timeout, now);
            return Ok(session.statements.clone());
        }
        if request.must_exist {
            return Err(ExceptionCode::SessionNotFound.because(&format!("Session {} not found", key.1)));
        }
        let oldest = sessions.iter().min_by_key(|(_, session)| session.used_at).map(|(key, _)| key.clone());
        if let (true, Some(oldest)) = (sessions.len() >= MAX_SESSIONS, oldest) {
            sessions.remove(&oldest);
        }
        sessions.insert(key.clone(), HttpSession { statements: vec![], timeout, used_at: now });
        Ok(vec![])
    }

    /// Remembers a statement that succeeded. The oldest one makes room.
    pub(super) fn remember(&self, key: &SessionKey, statement: String) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get_mut(key) {
            if session.statements.len() >= MAX_STATEMENTS {
                session.statements.remove(0);
            }
            session.statements.push(statement);
        }
    }

    /// Ends a session.
    pub(super) fn leave(&self, key: &SessionKey) {
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
    fn a_session_remembers_until_it_is_left() {
        let (sessions, request) = (SessionStore::default(), SessionRequest::default());
        let check = SessionRequest { must_exist: true, ..SessionRequest::default() };
        assert_eq!(sessions.enter(&key("a"), &check).unwrap_err().code, 372);
        assert!(sessions.enter(&key("a"), &request).unwrap().is_empty());
        sessions.remember(&key("a"), "set max_threads = 3".to_owned());
        assert_eq!(sessions.enter(&key("a"), &check).unwrap(), ["set max_threads = 3"]);
        assert!(sessions.enter(&key("b"), &request).unwrap().is_empty());
        sessions.leave(&key("a"));
        assert!(sessions.enter(&key("a"), &request).unwrap().is_empty());
    }

    #[test]
    fn a_timeout_is_seconds_and_bounded() {
        let sessions = SessionStore::default();
        for (timeout, code) in [("soon", 36), ("3601", 36)] {
            let request = SessionRequest { timeout: Some(timeout.to_owned()), ..SessionRequest::default() };
            assert_eq!(sessions.enter(&key("a"), &request).unwrap_err().code, code, "{timeout}");
        }
        let over = SessionRequest { timeout: Some("0".to_owned()), ..SessionRequest::default() };
        sessions.enter(&key("a"), &over).unwrap();
        let check = SessionRequest { must_exist: true, ..SessionRequest::default() };
        assert_eq!(sessions.enter(&key("a"), &check).unwrap_err().code, 372);
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let (sessions, request) = (SessionStore::default(), SessionRequest::default());
        for number in 0..=MAX_SESSIONS {
            sessions.enter(&key(&number.to_string()), &request).unwrap();
        }
        assert_eq!(sessions.0.lock().unwrap().len(), MAX_SESSIONS);
    }
}
