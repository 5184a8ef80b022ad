//! Writes that count only once replicas have them.

use std::time::Duration;

use redis::{Cmd, RedisResult, Value, make_extension_error};

/// How many replicas of a server have to have a write, and how long that may take.
///
/// A primary answers before its replicas have a write, so one that fails over may lose writes that it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaAcknowledgement {
    /// Number of replicas.
    pub replicas: u32,
    /// Time limit.
    pub timeout: Duration,
}

impl ReplicaAcknowledgement {
    /// The command that waits for the writes before it on the same connection.
    pub(crate) fn command(self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        // 0 would be no limit.
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        command.arg(self.replicas).arg(timeout_ms);
        command
    }

    /// Checks the answer to the command.
    pub(crate) fn check(self, answer: Option<Value>) -> RedisResult<()> {
        let acknowledged: u32 = match answer {
            Some(answer) => redis::from_redis_value(answer.extract_error()?)?,
            None => 0,
        };
        if acknowledged >= self.replicas {
            return Ok(());
        }
        let detail = format!("{acknowledged} of {} replicas have acknowledged the writes in time", self.replicas);
        Err(make_extension_error("NOREPLICAS".to_owned(), Some(detail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_replicas_are_an_error() {
        let acknowledgement = ReplicaAcknowledgement { replicas: 2, timeout: Duration::from_millis(70) };
        let mut expected = redis::cmd("WAIT");
        expected.arg("2").arg("70");
        assert_eq!(acknowledgement.command().get_packed_command(), expected.get_packed_command());
        assert!(acknowledgement.check(Some(Value::Int(2))).is_ok());
        for answer in [None, Some(Value::Int(1))] {
            let error = acknowledgement.check(answer).unwrap_err();
            assert_eq!(error.code(), Some("NOREPLICAS"), "{error}");
        }
    }
}
