//! Tests of the files: each wrong one is named by its variable.

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A folder with a certificate, its key, the key of another certificate, and a file without PEM.
fn write_files() -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("certificate.pem", &certificate.pem());
    write("key.pem", &key.serialize_pem());
    write("other-key.pem", &KeyPair::generate().unwrap().serialize_pem());
    write("notes.txt", "no PEM");
    folder
}

fn config(folder: &TempDir, ca: Option<&str>, certificate: Option<&str>, key: Option<&str>) -> EngineTlsConfig {
    let path = |name: Option<&str>| name.map(|name| folder.path().join(name));
    EngineTlsConfig { ca_file: path(ca), certificate_file: path(certificate), key_file: path(key) }
}

#[test]
fn files_that_fit_have_no_problems() {
    let folder = write_files();
    let complete = config(&folder, Some("certificate.pem"), Some("certificate.pem"), Some("key.pem"));
    assert_eq!(complete.find_problems("redis"), Vec::<String>::new());
    assert!(complete.client_config().unwrap().client_auth_cert_resolver.has_certs());
    assert!(complete.read_authorities().unwrap().is_some() && complete.read_identity().unwrap().is_some());
    assert_eq!(EngineTlsConfig::default().find_problems("redis"), Vec::<String>::new());
}

#[test]
fn neither_keys_nor_files_that_cannot_be_used_print_what_they_hold() {
    let folder = write_files();
    let complete = config(&folder, None, Some("certificate.pem"), Some("key.pem"));
    let identity = complete.read_identity().unwrap().unwrap();
    assert!(identity.key.starts_with(b"-----BEGIN"));
    assert_eq!(format!("{identity:?}"), "TlsIdentity { .. }");
    // A file that is cut off, as one that is being written.
    let pem = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    fs::write(folder.path().join("key.pem"), &pem[..pem.len() / 2]).unwrap();
    let problems = complete.find_problems("redis").join("; ");
    assert!(problems.contains("no unencrypted private key") && !problems.contains(&pem[40..60]), "{problems}");
}

#[test]
fn every_wrong_file_is_named_by_its_variable() {
    let folder = write_files();
    let problems = config(&folder, Some("absent.pem"), Some("notes.txt"), Some("notes.txt")).find_problems("kafka");
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("MEDHUB__KAFKA__TLS__CA_FILE: reading ") && problems[0].contains("No such file"));
    assert!(
        problems[1].starts_with("MEDHUB__KAFKA__TLS__CERTIFICATE_FILE: ") && problems[1].contains("no certificate")
    );
    assert!(problems[2].starts_with("MEDHUB__KAFKA__TLS__KEY_FILE: ") && problems[2].contains("private key"));
}

#[test]
fn an_authority_that_is_pem_of_something_else_is_a_problem() {
    let folder = write_files();
    let pem = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    fs::write(folder.path().join("other.pem"), pem).unwrap();
    let problems = config(&folder, Some("other.pem"), None, None).find_problems("registry");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("MEDHUB__REGISTRY__TLS__CA_FILE: "), "{problems:?}");
    assert!(problems[0].contains("no certificate that can be read as an authority's"), "{problems:?}");
}

#[test]
fn a_certificate_needs_its_key_and_a_key_its_certificate() {
    let folder = write_files();
    let [no_key, no_certificate] = [(Some("certificate.pem"), None), (None, Some("key.pem"))]
        .map(|(certificate, key)| config(&folder, None, certificate, key).find_problems("redis").join("; "));
    assert!(no_key.contains("TLS__CERTIFICATE_FILE is set, but MEDHUB__REDIS__TLS__KEY_FILE is not"), "{no_key}");
    assert!(no_certificate.contains("TLS__KEY_FILE is set, but MEDHUB__REDIS__TLS__CERTIFICATE"), "{no_certificate}");
    let swapped = config(&folder, None, Some("certificate.pem"), Some("other-key.pem")).find_problems("redis");
    assert!(swapped.len() == 1 && swapped[0].contains("cannot be used with the key"), "{swapped:?}");
}

#[test]
fn files_of_an_engine_without_tls_are_a_problem() {
    let folder = write_files();
    let tls = config(&folder, Some("certificate.pem"), None, None);
    let problem = |url| tls.find_scheme_problem("redis", url, "REDIS_URL", "rediss");
    assert!(problem("redis://h").unwrap().contains("REDIS_URL does not begin with rediss://"));
    assert_eq!([problem("rediss://h"), problem("REDISS://h")], [None, None]);
    assert_eq!(EngineTlsConfig::default().find_scheme_problem("redis", "redis://h", "REDIS_URL", "rediss"), None);
}
