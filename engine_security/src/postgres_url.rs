//! What is wrong with the TLS parameters in a URL of Postgres, and in the variables that its client takes instead.

use std::path::{Path, PathBuf};

use url::Url;

use crate::tls_config::{EngineTlsConfig, TlsFileError, parse_certificates, parse_key, read_file};

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The variables that Postgres' client reads for values that a URL lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresTlsVariables {
    mode: Option<String>,
    root_certificate: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl PostgresTlsVariables {
    /// The variables of an environment: `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT` and `PGSSLKEY`.
    pub fn from_environment(environment: &[(String, String)]) -> Self {
        let find = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        Self {
            // An empty mode is the default one to the client, while an empty path is a file that does not exist.
            mode: find("PGSSLMODE").filter(|mode| !mode.is_empty()),
            root_certificate: find("PGSSLROOTCERT"),
            certificate: find("PGSSLCERT"),
            key: find("PGSSLKEY"),
        }
    }
}

/// A parameter of TLS, and where it comes from.
struct TlsParameter {
    /// The name in the URL, or the variable's name.
    name: String,
    /// The name; for a parameter of the URL also the variable that holds the URL.
    place: String,
    value: String,
}

/// The last parameter of the URL with one of `names`, or else the variable `default`.
fn find_parameter(
    url: &Url,
    url_variable: &str,
    names: &[&str],
    default: (&str, Option<&str>),
) -> Option<TlsParameter> {
    if let Some((_, value)) = url.query_pairs().filter(|(name, _)| names.contains(&name.as_ref())).last() {
        let name = names.first().copied().unwrap_or_default();
        let place = format!("{url_variable}: {name}");
        return Some(TlsParameter { name: name.to_owned(), place, value: value.into_owned() });
    }
    let (name, value) = default;
    value.map(|value| TlsParameter { name: name.to_owned(), place: name.to_owned(), value: value.to_owned() })
}

/// What is wrong with `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in the URL that `variable` holds, or with the
/// variables that count without them. The rest of the URL is the client's to check.
pub fn find_postgres_url_problems(url: &str, variable: &str, defaults: &PostgresTlsVariables) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return vec![] };
    let find = |names: &[&str], name: &str, value: Option<&str>| find_parameter(&url, variable, names, (name, value));
    let mode = find(&["sslmode", "ssl-mode"], "PGSSLMODE", defaults.mode.as_deref());
    let mode = mode.map(|mode| TlsParameter { value: mode.value.to_ascii_lowercase(), ..mode });
    let root_names = ["sslrootcert", "ssl-root-cert", "ssl-ca"];
    let root = find(&root_names, "PGSSLROOTCERT", defaults.root_certificate.as_deref());
    let certificate = find(&["sslcert", "ssl-cert"], "PGSSLCERT", defaults.certificate.as_deref());
    let key = find(&["sslkey", "ssl-key"], "PGSSLKEY", defaults.key.as_deref());

    let mut problems: Vec<_> =
        find_mode_problem(variable, mode.as_ref(), root.as_ref(), certificate.as_ref()).into_iter().collect();
    // The client takes the text of a certificate or key, too. An error about it as a file would print the key.
    let inline: Vec<_> = [&root, &certificate, &key]
        .into_iter()
        .flatten()
        .filter(|parameter| parameter.value.contains("-----BEGIN"))
        .map(|parameter| format!("{} holds PEM: write it to a file and name that", parameter.place))
        .collect();
    if !inline.is_empty() {
        problems.extend(inline);
        return problems;
    }
    let mut check = |parameter: &TlsParameter, outcome: Result<(), TlsFileError>| {
        if let Err(error) = outcome {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            problems.push(format!("{}: {error}{cause}", parameter.place));
        }
    };
    let certificates = |path: &Path| read_file(path).and_then(|pem| parse_certificates(path, &pem)).map(drop);
    if let Some(root) = &root {
        check(root, certificates(Path::new(&root.value)));
    }
    match (certificate, key) {
        (Some(certificate), None) => problems.push(format!("{} is set, but sslkey is not", certificate.place)),
        (None, Some(key)) => problems.push(format!("{} is set, but sslcert is not", key.place)),
        (Some(certificate), Some(key)) => {
            let (certificate_file, key_file) = (PathBuf::from(&certificate.value), PathBuf::from(&key.value));
            check(&certificate, certificates(&certificate_file));
            check(&key, read_file(&key_file).and_then(|pem| parse_key(&key_file, &pem)).map(drop));
            let identity = EngineTlsConfig {
                certificate_file: Some(certificate_file),
                key_file: Some(key_file),
                ..EngineTlsConfig::default()
            };
            if let Err(error @ TlsFileError::Identity { .. }) = identity.read_certified_key() {
                check(&key, Err(error));
            }
        }
        (None, None) => {}
    }
    problems
}

/// What is wrong with the mode, by itself or with the files.
fn find_mode_problem(
    url_variable: &str,
    mode: Option<&TlsParameter>,
    root: Option<&TlsParameter>,
    certificate: Option<&TlsParameter>,
) -> Option<String> {
    if let Some(mode) = mode
        && !MODES.contains(&mode.value.as_str())
    {
        return Some(format!("{}={} is not one of {}", mode.place, mode.value, MODES.join(", ")));
    }
    if let Some(root) = root
        && mode.is_none_or(|mode| !mode.value.starts_with("verify-"))
    {
        return Some(format!(
            "{url_variable}: with {} the server's certificate is only verified if sslmode is verify-full (or verify-ca, \
             which ignores its name)",
            root.name
        ));
    }
    let certificate = certificate.filter(|_| mode.is_some_and(|mode| mode.value == "disable"))?;
    Some(format!("{} is not used with sslmode=disable", certificate.place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(query: &str) -> Vec<String> {
        problems_with_variables(query, &[])
    }

    fn problems_with_variables(query: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let environment: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let defaults = PostgresTlsVariables::from_environment(&environment);
        find_postgres_url_problems(&format!("postgres://medhub:s3cr3t@h/db{query}"), "DATABASE_URL", &defaults)
    }

    #[test]
    fn variables_of_the_client_count_unless_the_url_says_otherwise() {
        let root = ("PGSSLROOTCERT", "/absent/ca.pem");
        for (query, variables, expected) in [
            ("", vec![("PGSSLMODE", "verify")], "PGSSLMODE=verify is not one of"),
            ("", vec![root], "DATABASE_URL: with PGSSLROOTCERT the server's certificate is only verified if"),
            ("?sslmode=require", vec![root, ("PGSSLMODE", "verify-full")], "with PGSSLROOTCERT the server's"),
            ("", vec![root, ("PGSSLMODE", "verify-full")], "PGSSLROOTCERT: reading /absent/ca.pem"),
            ("?sslrootcert=/absent/ca.pem", vec![("PGSSLMODE", "verify-ca")], "DATABASE_URL: sslrootcert: reading"),
            ("", vec![("PGSSLCERT", "/absent/a.pem")], "PGSSLCERT is set, but sslkey is not"),
            ("?sslcert=/absent/a.pem", vec![("PGSSLKEY", "/absent/a.key")], "PGSSLKEY: reading /absent/a.key"),
            ("", vec![("PGSSLKEY", "-----BEGIN PRIVATE KEY-----s3cr3t")], "PGSSLKEY holds PEM"),
        ] {
            let found = problems_with_variables(query, &variables).join("; ");
            assert!(found.contains(expected) && !found.contains("s3cr3t"), "{query} {variables:?}: {found}");
        }
        for (query, variables) in [
            ("?sslmode=require", [("PGSSLMODE", "verify")]),
            ("", [("PGSSLMODE", "verify-full")]),
            ("", [("PGSSLMODE", "")]),
        ] {
            assert_eq!(problems_with_variables(query, &variables), Vec::<String>::new(), "{query} {variables:?}");
        }
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
