//! Access of operators over the API.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__ADMIN__TOKEN` | none | bearer token of operators, at least 16 characters; without it there are no operators over the API |

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// Minimum length of a token; shorter ones could be guessed.
const MIN_TOKEN_CHARS: usize = 16;

/// Configuration of operators' access.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Token of operators; `None` disables access.
    pub token: Option<AdminToken>,
}

/// A token of sufficient length.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct AdminToken(SecretString);

/// The token is shorter than 16 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is shorter than {MIN_TOKEN_CHARS} characters")]
pub struct TokenTooShort;

impl TryFrom<SecretString> for AdminToken {
    type Error = TokenTooShort;

    fn try_from(token: SecretString) -> Result<Self, Self::Error> {
        if token.expose_secret().chars().count() < MIN_TOKEN_CHARS { Err(TokenTooShort) } else { Ok(Self(token)) }
    }
}

impl AdminConfig {
    /// Whether `candidate` is the operators' token; compares in constant time.
    pub fn is_operator_token(&self, candidate: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.0.expose_secret().as_bytes().ct_eq(candidate.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_token(token: &str) -> Result<AdminToken, TokenTooShort> {
        AdminToken::try_from(SecretString::from(token))
    }

    #[test]
    fn only_the_exact_token_is_accepted() {
        let admin = AdminConfig { token: Some(parse_token("correct-horse-battery").unwrap()) };
        assert!(admin.is_operator_token("correct-horse-battery"));
        for other in ["", "correct-horse-batterz", "correct-horse-battery ", "correct-horse"] {
            assert!(!admin.is_operator_token(other), "{other}");
        }
        assert!(!AdminConfig::default().is_operator_token(""), "without a configured token there are no operators");
    }

    #[test]
    fn a_short_token_is_refused_and_debug_hides_a_valid_one() {
        assert_eq!(parse_token("fifteen letters").unwrap_err(), TokenTooShort);
        assert!(!format!("{:?}", parse_token("correct-horse-battery").unwrap()).contains("horse"));
    }
}
