//! What is wrong with the TLS parameters in a URL of Postgres.

use std::path::{Path, PathBuf};

use url::Url;

use crate::tls_config::{EngineTlsConfig, TlsFileError, parse_certificates, parse_key, read_file};

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What is wrong with `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in the URL that `variable` holds. The rest of the
/// URL is the client's to check.
pub fn find_postgres_url_problems(url: &str, variable: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return vec![] };
    let parameter = |names: &[&str]| {
        let found = url.query_pairs().filter(|(name, _)| names.contains(&name.as_ref())).last();
        found.map(|(_, value)| value.into_owned())
    };
    let mode = parameter(&["sslmode", "ssl-mode"]).map(|mode| mode.to_ascii_lowercase());
    let root = parameter(&["sslrootcert", "ssl-root-cert", "ssl-ca"]).map(PathBuf::from);
    let certificate = parameter(&["sslcert", "ssl-cert"]).map(PathBuf::from);
    let key = parameter(&["sslkey", "ssl-key"]).map(PathBuf::from);

    let mut problems = vec![];
    let verifies = mode.as_deref().is_some_and(|mode| mode.starts_with("verify-"));
    match &mode {
        Some(mode) if !MODES.contains(&mode.as_str()) => {
            problems.push(format!("{variable}: sslmode={mode} is not one of {}", MODES.join(", ")));
        }
        _ if root.is_some() && !verifies => problems.push(format!(
            "{variable}: with sslrootcert the server's certificate is only verified if sslmode is verify-full (or \
             verify-ca, which ignores its name)"
        )),
        _ if certificate.is_some() && matches!(mode.as_deref(), Some("disable")) => {
            problems.push(format!("{variable}: sslcert is not used with sslmode=disable"));
        }
        Some(_) | None => {}
    }
    // The client takes the text of a certificate or key, too. An error about it as a file would print the key.
    let inline: Vec<_> = [("sslrootcert", &root), ("sslcert", &certificate), ("sslkey", &key)]
        .into_iter()
        .filter(|(_, value)| value.as_ref().is_some_and(|value| value.to_string_lossy().contains("-----BEGIN")))
        .map(|(name, _)| format!("{variable}: {name} holds PEM: write it to a file and name that"))
        .collect();
    if !inline.is_empty() {
        problems.extend(inline);
        return problems;
    }
    let mut check = |name: &str, outcome: Result<(), TlsFileError>| {
        if let Err(error) = outcome {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            problems.push(format!("{variable}: {name}: {error}{cause}"));
        }
    };
    let certificates = |path: &Path| read_file(path).and_then(|pem| parse_certificates(path, &pem)).map(drop);
    if let Some(path) = &root {
        check("sslrootcert", certificates(path));
    }
    match (certificate, key) {
        (Some(_), None) => problems.push(format!("{variable}: sslcert is set, but sslkey is not")),
        (None, Some(_)) => problems.push(format!("{variable}: sslkey is set, but sslcert is not")),
        (Some(certificate), Some(key)) => {
            check("sslcert", certificates(&certificate));
            check("sslkey", read_file(&key).and_then(|pem| parse_key(&key, &pem)).map(drop));
            let identity = EngineTlsConfig { ca_file: root, certificate_file: Some(certificate), key_file: Some(key) };
            if let Err(error @ TlsFileError::Identity { .. }) = identity.read_certified_key() {
                check("sslkey", Err(error));
            }
        }
        (None, None) => {}
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(query: &str) -> Vec<String> {
        find_postgres_url_problems(&format!("postgres://medhub:s3cr3t@h/db{query}"), "DATABASE_URL")
    }

    #[test]
    fn a_url_without_files_has_no_problems() {
        for query in ["", "?sslmode=require", "?sslmode=VERIFY-FULL", "?sslmode=verify-full&application_name=a"] {
            assert_eq!(problems(query), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn every_problem_names_the_variable_and_the_parameter_and_no_password() {
        let all =
            problems("?sslmode=verify-full&sslrootcert=/absent/ca.pem&sslcert=/absent/a.pem&sslkey=/absent/a.key");
        assert_eq!(all.len(), 3, "{all:?}");
        for (problem, parameter) in all.iter().zip(["sslrootcert", "sslcert", "sslkey"]) {
            assert!(problem.starts_with(&format!("DATABASE_URL: {parameter}: reading /absent/")), "{problem}");
        }
        for (query, expected) in [
            ("?sslmode=verify", "sslmode=verify is not one of"),
            ("?sslmode=verify-full&sslcert=/a.pem", "sslcert is set, but sslkey is not"),
            ("?sslmode=verify-full&sslkey=/a.key", "sslkey is set, but sslcert is not"),
            ("?sslmode=verify-full&sslkey=-----BEGIN PRIVATE KEY-----s3cr3t", "sslkey holds PEM"),
            ("?sslmode=require&sslrootcert=/absent/ca.pem", "only verified if sslmode is verify-full"),
        ] {
            let found = problems(query).join("; ");
            assert!(found.contains(expected) && !found.contains("s3cr3t"), "{query}: {found}");
        }
    }
}
