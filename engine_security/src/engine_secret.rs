//! A password or key of an engine, which is neither printed nor serialized.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// A password or key; empty if there is none. Fields of this type need `#[serde(skip_serializing)]`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct EngineSecret(SecretString);

impl EngineSecret {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }

    /// The text; only a client of the engine may get it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Default for EngineSecret {
    fn default() -> Self {
        Self(String::new().into())
    }
}

impl From<&str> for EngineSecret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned().into())
    }
}

/// Settings are compared with each other, never with input, so the time that a comparison takes reveals nothing.
impl PartialEq for EngineSecret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for EngineSecret {}

impl fmt::Debug for EngineSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = EngineSecret::from("s3cr3t");
        assert_eq!((format!("{secret:?}").as_str(), secret.expose()), ("***", "s3cr3t"));
        assert_eq!(format!("{:?}", EngineSecret::default()), "none");
    }
}
