//! Settings of a bucket, and their validation.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

/// Settings of a bucket of an S3-compatible service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// Name of the bucket, which must exist. Empty: files are stored in a folder.
    pub bucket: String,
    /// URL of the service. Empty: AWS in `region`.
    pub endpoint: String,
    /// Region that requests are signed for; services other than AWS usually accept any.
    pub region: String,
    /// Beginning of all keys in the bucket, without slashes at its ends. Empty: keys begin with the company.
    pub prefix: String,
    /// Whether the bucket is in the path of URLs, as most services other than AWS require, or in the host name.
    pub path_style: bool,
    /// Id of the access key.
    #[serde(skip_serializing)]
    pub access_key_id: SecretString,
    /// The secret access key.
    #[serde(skip_serializing)]
    pub secret_access_key: SecretString,
    /// Token of temporary access keys; empty for others.
    #[serde(skip_serializing)]
    pub session_token: SecretString,
    /// Time to connect, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time without a byte of an answer until a request has failed, in milliseconds. An upload is sent in requests of
    /// at most 5 MiB.
    pub answer_timeout_ms: u64,
    /// How often a request that failed is repeated, with growing pauses.
    pub max_retries: usize,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            prefix: String::new(),
            path_style: true,
            access_key_id: SecretString::default(),
            secret_access_key: SecretString::default(),
            session_token: SecretString::default(),
            connect_timeout_ms: 3_000,
            answer_timeout_ms: 15_000,
            max_retries: 4,
        }
    }
}

/// A setting of the object store that is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsConfigError {
    /// A setting has an invalid value.
    #[error("objects.s3.{setting}: {problem}")]
    Invalid {
        /// Name of the setting in the section `objects.s3`.
        setting: &'static str,
        /// What is wrong with it, and what is right.
        problem: String,
    },
    /// The client of the object store rejects its settings.
    #[error("objects.s3: the client rejects the settings: {0}")]
    Client(String),
}

impl S3Config {
    /// Whether files are stored in a bucket.
    pub fn is_enabled(&self) -> bool {
        !self.bucket.is_empty()
    }

    /// Returns the bucket and its service for messages.
    pub fn describe(&self) -> String {
        let at = if self.endpoint.is_empty() { format!("AWS {}", self.region) } else { self.endpoint.clone() };
        format!("bucket {} at {at}", self.bucket)
    }

    /// Checks all settings.
    ///
    /// # Errors
    /// [`ObjectsConfigError`] naming the first invalid setting.
    pub(crate) fn validate(&self) -> Result<(), ObjectsConfigError> {
        check("bucket", is_bucket_name(&self.bucket), || {
            format!("{:.80?} is no name of a bucket: 3 to 63 lowercase letters, digits, dots and hyphens", self.bucket)
        })?;
        check("endpoint", self.endpoint.is_empty() || is_endpoint(&self.endpoint), || {
            "it must be the URL of a service without path, query and credentials, as https://s3.example.com".to_owned()
        })?;
        let is_region = |region: &str| {
            !region.is_empty() && region.len() <= 64 && region.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        check("region", is_region(&self.region), || {
            format!("{:.80?} is no region; services other than AWS usually accept us-east-1", self.region)
        })?;
        check("prefix", is_prefix(&self.prefix), || {
            "it must consist of letters, digits, dots, hyphens and underscores, and of slashes between them".to_owned()
        })?;
        let (id, secret) = (self.access_key_id.expose_secret(), self.secret_access_key.expose_secret());
        check("access_key_id", is_credential(id), || {
            "set AWS_ACCESS_KEY_ID to the id of an access key for the bucket".to_owned()
        })?;
        check("secret_access_key", is_credential(secret), || {
            "set AWS_SECRET_ACCESS_KEY to the secret access key that belongs to AWS_ACCESS_KEY_ID".to_owned()
        })?;
        let token = self.session_token.expose_secret();
        check("session_token", token.is_empty() || is_credential(token), || {
            "AWS_SESSION_TOKEN must be printable ASCII without spaces".to_owned()
        })?;
        check("connect_timeout_ms", (1..=60_000).contains(&self.connect_timeout_ms), || {
            "it must be between 1 and 60000".to_owned()
        })?;
        check("answer_timeout_ms", (1..=300_000).contains(&self.answer_timeout_ms), || {
            "it must be between 1 and 300000".to_owned()
        })?;
        check("max_retries", self.max_retries <= 20, || "it must be at most 20".to_owned())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }
}

fn check(setting: &'static str, is_valid: bool, problem: impl FnOnce() -> String) -> Result<(), ObjectsConfigError> {
    if is_valid { Ok(()) } else { Err(ObjectsConfigError::Invalid { setting, problem: problem() }) }
}

fn is_bucket_name(name: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-');
    let is_outer = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && is_outer(name.bytes().next())
        && is_outer(name.bytes().next_back())
        && !name.contains("..")
}

fn is_endpoint(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

fn is_prefix(prefix: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty()
            && !matches!(part, "." | "..")
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
    };
    prefix.is_empty() || (prefix.len() <= 256 && prefix.split('/').all(is_name))
}

fn is_credential(text: &str) -> bool {
    !text.is_empty() && text.len() <= 8_192 && text.bytes().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> S3Config {
        S3Config {
            bucket: "medhub-files".to_owned(),
            endpoint: "http://127.0.0.1:9000".to_owned(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "very-secret".into(),
            ..S3Config::default()
        }
    }

    #[test]
    fn an_invalid_setting_is_named_and_no_secret_is_shown() {
        assert!(valid().validate().is_ok());
        assert!(S3Config { endpoint: String::new(), prefix: "a/b_c.d-1".to_owned(), ..valid() }.validate().is_ok());
        let invalid = |setting: &str, config: S3Config| {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("objects.s3.{setting}: ")), "{error}");
            assert!(!error.contains("secret value") && error.len() < 300, "{error}");
        };
        for bucket in ["ab", "Upper", "a..b", "-ab", "ab-", "a b", "a/b", &"x".repeat(64)] {
            invalid("bucket", S3Config { bucket: bucket.to_owned(), ..valid() });
        }
        for endpoint in ["s3.example.com", "ftp://x", "http://u:p@x", "http://x/path", "http://x?y", "http://", "http:"]
        {
            invalid("endpoint", S3Config { endpoint: endpoint.to_owned(), ..valid() });
        }
        invalid("region", S3Config { region: "eu west".to_owned(), ..valid() });
        for prefix in ["/a", "a/", "a//b", "..", "a/../b", "a b", "ä"] {
            invalid("prefix", S3Config { prefix: prefix.to_owned(), ..valid() });
        }
        invalid("access_key_id", S3Config { access_key_id: SecretString::default(), ..valid() });
        invalid("secret_access_key", S3Config { secret_access_key: "secret value\n".into(), ..valid() });
        invalid("session_token", S3Config { session_token: "secret value".into(), ..valid() });
        invalid("connect_timeout_ms", S3Config { connect_timeout_ms: 0, ..valid() });
        invalid("answer_timeout_ms", S3Config { answer_timeout_ms: u64::MAX, ..valid() });
        invalid("max_retries", S3Config { max_retries: 21, ..valid() });
        assert!(!format!("{:?}", valid()).contains("very-secret") && !format!("{:?}", valid()).contains("AKID"));
    }
}
