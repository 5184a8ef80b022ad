//! Scripts and their calls.

use std::sync::OnceLock;

use redis::{Arg, Cmd, RedisResult, ToSingleRedisArg, make_extension_error};
use redis_connections::hashed_part;

/// A script that the server runs atomically.
#[derive(Debug)]
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

/// A script that a server has loaded, so that its calls can name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadedScript {
    script: &'static RedisScript,
    digest: &'static str,
}

impl LoadedScript {
    pub(super) fn new(script: &'static RedisScript, digest: &'static str) -> Self {
        Self { script, digest }
    }

    pub(super) fn script(self) -> &'static RedisScript {
        self.script
    }

    /// A script that no server has.
    #[cfg(test)]
    pub(crate) fn for_test(script: &'static RedisScript) -> Self {
        Self::new(script, "digest")
    }
}

/// One call of a script. All its keys have the same hash tag. It is written as the command that is sent: a call has
/// thousands of arguments, and each copy of them takes time.
#[derive(Debug)]
pub(crate) struct ScriptCall {
    command: Cmd,
    key_count: usize,
}

/// How much room arguments take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ArgumentsSize {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// The command's name, the digest and the number of keys.
const HEADER: ArgumentsSize = ArgumentsSize { count: 3, bytes: 64 };

impl ScriptCall {
    /// A call without arguments.
    pub(crate) fn new(script: LoadedScript, keys: &[impl AsRef<str>]) -> Self {
        Self::with_capacity(script, keys, ArgumentsSize::default())
    }

    /// A call without arguments, which has room for them: a large call would be copied several times while it grows.
    pub(super) fn with_capacity(script: LoadedScript, keys: &[impl AsRef<str>], arguments: ArgumentsSize) -> Self {
        let key_bytes = keys.iter().map(|key| key.as_ref().len()).sum::<usize>();
        let count = HEADER.count + keys.len() + arguments.count;
        let mut command = Cmd::with_capacity(count, HEADER.bytes + key_bytes + arguments.bytes);
        command.arg("EVALSHA").arg(script.digest).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        Self { command, key_count: keys.len() }
    }

    pub(crate) fn add_argument(&mut self, argument: impl ToSingleRedisArg) -> &mut Self {
        self.command.arg(argument);
        self
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<String> {
        self.raw_keys().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    fn raw_keys(&self) -> impl Iterator<Item = &[u8]> {
        let arguments = self.command.args_iter().skip(HEADER.count).take(self.key_count);
        arguments.map(|argument| if let Arg::Simple(bytes) = argument { bytes } else { &[] })
    }

    /// Refuses keys of several slots, as a cluster does. A single server accepts them, so that tests with one would not
    /// detect a violation.
    pub(super) fn check_slot(&self) -> RedisResult<()> {
        let mut parts = self.raw_keys().map(hashed_part);
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

    pub(super) fn into_command(self) -> Cmd {
        self.command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCRIPT: RedisScript = RedisScript::new("return 1");

    fn call(keys: &[&str]) -> ScriptCall {
        ScriptCall::new(LoadedScript::for_test(&SCRIPT), keys)
    }

    #[test]
    fn arguments_are_sent_as_they_were_added() {
        let mut call = call(&["a:{1}"]);
        call.add_argument(7_u64).add_argument("").add_argument("text").add_argument(-1_i64);
        let mut expected = redis::cmd("EVALSHA");
        expected.arg("digest").arg(1).arg("a:{1}").arg("7").arg("").arg("text").arg("-1");
        assert_eq!(call.into_command().get_packed_command(), expected.get_packed_command());
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
