//! Scripts and their calls.

use std::{fmt, io::Write as _, sync::OnceLock};

use redis::{Cmd, RedisResult, make_extension_error};
use redis_connections::hashed_part;

/// A script that the server runs atomically.
pub(crate) struct RedisScript {
    text: &'static str,
    /// Whether its writes count only once replicas have them, if the settings ask for that.
    is_acknowledged: bool,
    /// The SHA-1 digest that `EVALSHA` takes; set when the script is loaded for the first time.
    digest: OnceLock<String>,
}

impl RedisScript {
    /// A script whose writes may be lost with a server.
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, is_acknowledged: false, digest: OnceLock::new() }
    }

    /// A script whose writes count only once replicas have them, if the settings ask for that.
    pub(crate) const fn acknowledged(text: &'static str) -> Self {
        Self { text, is_acknowledged: true, digest: OnceLock::new() }
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.is_acknowledged
    }

    pub(super) fn text(&self) -> &'static str {
        self.text
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.get().map(String::as_str)
    }

    pub(super) fn set_digest(&self, digest: String) -> &str {
        self.digest.get_or_init(|| digest)
    }
}

/// One call of a script. All its keys have the same hash tag.
#[derive(Debug, Default)]
pub(crate) struct ScriptCall {
    keys: Vec<String>,
    arguments: ArgumentBuffer,
}

/// Arguments in one buffer: a call has thousands of them.
#[derive(Debug, Default)]
struct ArgumentBuffer {
    bytes: Vec<u8>,
    /// The end of each argument in `bytes`.
    ends: Vec<usize>,
}

impl ArgumentBuffer {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

impl ScriptCall {
    pub(crate) fn add_key(&mut self, key: impl Into<String>) -> &mut Self {
        self.keys.push(key.into());
        self
    }

    pub(crate) fn add_argument(&mut self, argument: impl fmt::Display) -> &mut Self {
        // Writing to a vector does not fail.
        drop(write!(self.arguments.bytes, "{argument}"));
        self.arguments.ends.push(self.arguments.bytes.len());
        self
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Refuses keys of several slots, as a cluster does. A single server accepts them, so that tests with one would not
    /// detect a violation.
    pub(super) fn check_slot(&self) -> RedisResult<()> {
        let mut parts = self.keys.iter().map(|key| hashed_part(key.as_bytes()));
        let first = parts.next();
        match parts.find(|part| Some(*part) != first) {
            None => Ok(()),
            Some(other) => {
                let [first, other] = [first.unwrap_or_default(), other].map(String::from_utf8_lossy);
                let detail = format!("a script call has keys of {first:?} and of {other:?}");
                Err(make_extension_error("CROSSSLOT".to_owned(), Some(detail)))
            }
        }
    }

    pub(super) fn to_command(&self, digest: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(digest).arg(self.keys.len()).arg(&self.keys);
        for argument in self.arguments.iter() {
            command.arg(argument);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(keys: &[&str]) -> ScriptCall {
        let mut call = ScriptCall::default();
        for key in keys {
            call.add_key(*key);
        }
        call
    }

    #[test]
    fn arguments_are_sent_as_they_were_added() {
        let mut call = call(&["a:{1}"]);
        call.add_argument(7_u64).add_argument("").add_argument("text").add_argument(-1_i64);
        let mut expected = redis::cmd("EVALSHA");
        expected.arg("digest").arg(1).arg("a:{1}").arg("7").arg("").arg("text").arg("-1");
        assert_eq!(call.to_command("digest").get_packed_command(), expected.get_packed_command());
    }

    #[test]
    fn a_call_with_keys_of_two_slots_is_refused() {
        assert!(call(&["a:{1}:x", "b:{1}:y"]).check_slot().is_ok());
        for keys in [&["a:{1}:x", "a:{2}:x"][..], &["a:{1}:x", "a:x"], &["a", "b"]] {
            let error = call(keys).check_slot().unwrap_err();
            assert_eq!(error.code(), Some("CROSSSLOT"), "{keys:?}");
        }
    }
}
