//! Tests of listeners with a certificate, over TLS.

use std::{fs, path::Path};

use axum::routing::get;
use rcgen::{CertificateParams, KeyPair};
use reqwest::Certificate;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::config::{HttpConfig, ListenerTlsConfig};

/// Writes a certificate that signs itself, with its key, and returns the certificate.
fn write_certificate(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate.pem"), &certificate).unwrap();
    certificate
}

async fn start_tls_server(folder: &TempDir, config: &HttpConfig) -> SocketAddr {
    let files = ListenerTlsConfig {
        certificate_file: Some(folder.path().join("certificate.pem")),
        key_file: Some(folder.path().join("key.pem")),
        reload_ms: 10,
    };
    let certificate = ServerCertificate::open(&files).unwrap();
    assert!(certificate.is_some());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(async || "page"));
    let limits = ConnectionLimits::new(config, false);
    let stop = ServerStop::new(CancellationToken::new(), CancellationToken::new());
    tokio::spawn(serve(listener, certificate, router, limits, stop));
    address
}

/// Requests the page over a new connection, as a client that trusts only this certificate.
async fn fetch_page(address: SocketAddr, trusted: &str) -> reqwest::Result<String> {
    let trusted = Certificate::from_pem(trusted.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    client.get(format!("https://{address}/")).send().await?.text().await
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_half_of_a_rotation_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let first = write_certificate(folder.path());
    let address = start_tls_server(&folder, &HttpConfig::default()).await;
    assert_eq!(fetch_page(address, &first).await.unwrap(), "page");

    // Another key, for which there is no certificate yet.
    fs::write(folder.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(fetch_page(address, &first).await.unwrap(), "page");
    }

    let second = write_certificate(folder.path());
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while fetch_page(address, &second).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fetch_page(address, &first).await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_does_not_complete_the_handshake_is_disconnected() {
    let folder = TempDir::new().unwrap();
    write_certificate(folder.path());
    let config = HttpConfig { header_timeout_ms: 100, ..HttpConfig::default() };
    let mut stream = TcpStream::connect(start_tls_server(&folder, &config).await).await.unwrap();
    let mut received = vec![];
    let ended = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut received)).await;
    assert!(ended.is_ok() && received.is_empty(), "{received:?}");
}

#[test]
fn a_certificate_without_its_key_is_refused_instead_of_serving_without_tls() {
    let folder = TempDir::new().unwrap();
    write_certificate(folder.path());
    let certificate_file = Some(folder.path().join("certificate.pem"));
    let half = ListenerTlsConfig { certificate_file, ..ListenerTlsConfig::default() };
    assert!(ServerCertificate::open(&half).is_err());
    assert!(half.find_problems()[0].contains("MEDHUB__HTTP__TLS__KEY_FILE is not"));
    assert!(ServerCertificate::open(&ListenerTlsConfig::default()).unwrap().is_none());
}
