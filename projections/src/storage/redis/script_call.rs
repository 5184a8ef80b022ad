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

/// Size of the command's name, the digest and the number of keys.
const HEADER: ArgumentsSize = ArgumentsSize { count: 3, bytes: 64 };

/// One call of a script. All its keys have the same hash tag.
#[derive(Debug, Default)]
pub(crate) struct ScriptCall {
    keys: ArgumentBuffer,
    arguments: ArgumentBuffer,
}

/// Keys or arguments in one buffer: a call has thousands of them.
#[derive(Debug, Default)]
struct ArgumentBuffer {
    bytes: Vec<u8>,
    /// The end of each argument in `bytes`.
    ends: Vec<usize>,
}

impl ArgumentBuffer {
    fn with_capacity(size: ArgumentsSize) -> Self {
        Self { bytes: Vec::with_capacity(size.bytes), ends: Vec::with_capacity(size.count) }
    }

    fn add_text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn add(&mut self, argument: impl fmt::Display) {
        // Writing to a vector does not fail.
        drop(write!(self.bytes, "{argument}"));
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// How much room keys or arguments take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ArgumentsSize {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl ScriptCall {
    /// A call with room for this much: a large call would be copied several times while it grows.
    pub(super) fn with_capacity(keys: ArgumentsSize, arguments: ArgumentsSize) -> Self {
        Self { keys: ArgumentBuffer::with_capacity(keys), arguments: ArgumentBuffer::with_capacity(arguments) }
    }

    pub(crate) fn add_key(&mut self, key: &str) -> &mut Self {
        self.keys.add_text(key);
        self
    }

    pub(crate) fn add_argument(&mut self, argument: impl fmt::Display) -> &mut Self {
        self.arguments.add(argument);
        self
    }

    /// As [`Self::add_argument`], without formatting.
    pub(crate) fn add_text(&mut self, argument: &str) -> &mut Self {
        self.arguments.add_text(argument);
        self
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// Refuses keys of several slots, as a cluster does. A single server accepts them, so that tests with one would not
    /// detect a violation.
    pub(super) fn check_slot(&self) -> RedisResult<()> {
        let mut parts = self.keys.iter().map(hashed_part);
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
        let (keys, arguments) = (&self.keys, &self.arguments);
        let count = HEADER.count + keys.ends.len() + arguments.ends.len();
        let mut command = Cmd::with_capacity(count, HEADER.bytes + keys.bytes.len() + arguments.bytes.len());
        command.arg("EVALSHA").arg(digest).arg(keys.ends.len());
        for argument in keys.iter().chain(arguments.iter()) {
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
            call.add_key(key);
        }
        call
    }

    #[test]
    fn arguments_are_sent_as_they_were_added() {
        let mut call = call(&["a:{1}"]);
        call.add_argument(7_u64).add_argument("").add_text("text").add_argument(-1_i64);
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
