//! The certificates and keys of the connections to an engine.
//!
//! | key in the section `tls` of an engine | default | meaning |
//! | --- | --- | --- |
//! | `ca_file` | the system's | PEM file of the authorities that may have signed the server's certificate; no others are trusted then |
//! | `certificate_file` | none | PEM file of the certificate that the server asks of its clients, followed by its intermediates |
//! | `key_file` | none | PEM file of the key of that certificate, not encrypted |
//!
//! Without `ca_file`, the system's authorities are trusted: those of the file or folder that `SSL_CERT_FILE` or
//! `SSL_CERT_DIR` name, or else of the operating system.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use serde::{Deserialize, Serialize};

use crate::setting_variable;

/// The PEM files of the connections to an engine. The module has a table of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineTlsConfig {
    /// Authorities that may have signed the server's certificate; the system's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Certificate of the client, followed by its intermediates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Key of the client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// Certificate and key of a client, in PEM.
pub struct TlsIdentity {
    /// The certificate, followed by its intermediates.
    pub certificates: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// Without the key, which is a secret.
impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// A file of [`EngineTlsConfig`] that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// The file does not exist or cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file has no certificate in PEM, or one that cannot be parsed.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file has no certificate of an authority.
    #[error("{} holds no certificate that can be read as an authority's", path.display())]
    UnusableAuthorities {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file has no private key in PEM, or an encrypted one.
    #[error("{} holds no unencrypted private key in PEM", path.display())]
    NoKey {
        /// Path of the file.
        path: PathBuf,
    },
    /// The certificate cannot be used, or the key does not belong to it.
    #[error("the certificate in {} cannot be used with the key in {}", certificate.display(), key.display())]
    Identity {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the key.
        key: PathBuf,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{} is set without the file that belongs to it: a certificate needs its key", given.display())]
    Half {
        /// Path of the file that is set.
        given: PathBuf,
    },
    /// The system has no authorities, and the settings name none.
    #[error("the system trusts no authorities (Debian: `apt-get install ca-certificates`), and no ca_file is set")]
    NoAuthorities,
    /// The provider of cryptography supports no version of TLS.
    #[error("setting up TLS")]
    Provider(#[source] rustls::Error),
}

/// Whether a URL has this scheme; capital letters count as small ones, as for the clients.
pub fn has_scheme(url: &str, scheme: &str) -> bool {
    url.split_once("://").is_some_and(|(found, _)| found.trim_start().eq_ignore_ascii_case(scheme))
}

/// Makes aws-lc the provider of clients that take the one of the process. Safe to call more than once.
pub fn install_crypto_provider() {
    // Fails only if there is one already.
    let _installed = aws_lc_rs::default_provider().install_default();
}

impl EngineTlsConfig {
    /// Whether no file is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The authorities in PEM; `None` for the system's.
    ///
    /// # Errors
    /// [`TlsFileError`] when the file cannot be read or holds no certificate.
    pub fn read_authorities(&self) -> Result<Option<Vec<u8>>, TlsFileError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let pem = read_file(path)?;
        parse_certificates(path, &pem)?;
        Ok(Some(pem))
    }

    /// Certificate and key of the client; `None` without a certificate.
    ///
    /// # Errors
    /// [`TlsFileError`] when one of the files cannot be used.
    pub fn read_identity(&self) -> Result<Option<TlsIdentity>, TlsFileError> {
        let (Some(certificate_file), Some(key_file)) = (&self.certificate_file, &self.key_file) else {
            return Ok(None);
        };
        let (certificates, key) = (read_file(certificate_file)?, read_file(key_file)?);
        parse_certificates(certificate_file, &certificates)?;
        parse_key(key_file, &key)?;
        Ok(Some(TlsIdentity { certificates, key }))
    }

    /// Certificate and key, as rustls shows them to the other side; `None` if neither is set.
    ///
    /// # Errors
    /// [`TlsFileError`] when a file cannot be used, or only one of them is set.
    pub fn read_certified_key(&self) -> Result<Option<CertifiedKey>, TlsFileError> {
        let (certificate, key) = match (&self.certificate_file, &self.key_file) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Ok(None),
            (Some(given), None) | (None, Some(given)) => return Err(TlsFileError::Half { given: given.clone() }),
        };
        let chain = parse_certificates(certificate, &read_file(certificate)?)?;
        let private_key = parse_key(key, &read_file(key)?)?;
        let certified = CertifiedKey::from_der(chain, private_key, &aws_lc_rs::default_provider());
        certified.map(Some).map_err(|source| TlsFileError::Identity {
            certificate: certificate.clone(),
            key: key.clone(),
            source,
        })
    }

    /// The settings of a client that uses rustls.
    ///
    /// # Errors
    /// [`TlsFileError`] when a file cannot be used, or no authority is trusted.
    pub fn client_config(&self) -> Result<ClientConfig, TlsFileError> {
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsFileError::Provider)?
            .with_root_certificates(self.root_store()?);
        Ok(match self.read_certified_key()? {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        })
    }

    /// What is wrong with the files; `section` is that of the engine, e.g. `redis`.
    pub fn find_problems(&self, section: &str) -> Vec<String> {
        let variable = |key: &str| setting_variable(&format!("{section}.tls.{key}"));
        let mut problems = Vec::from_iter(self.find_authority_problem(&variable("ca_file")));
        let files = [("certificate_file", &self.certificate_file), ("key_file", &self.key_file)];
        match files {
            [(given, Some(_)), (missing, None)] | [(missing, None), (given, Some(_))] => problems.push(format!(
                "{} is set, but {} is not: a server that asks for a certificate needs both",
                variable(given),
                variable(missing)
            )),
            [(_, None), (_, None)] => {}
            [(_, Some(certificate)), (_, Some(key))] => {
                let certificates = read_file(certificate).and_then(|pem| parse_certificates(certificate, &pem));
                let private_key = read_file(key).and_then(|pem| parse_key(key, &pem));
                let are_readable = certificates.is_ok() && private_key.is_ok();
                let certificates = certificates.err().map(|error| ("certificate_file", error));
                let private_key = private_key.err().map(|error| ("key_file", error));
                for (file, error) in certificates.into_iter().chain(private_key) {
                    problems.push(format!("{}: {}", variable(file), with_cause(&error)));
                }
                if are_readable && let Err(error) = self.read_certified_key() {
                    problems.push(format!("{}: {}", variable("certificate_file"), with_cause(&error)));
                }
            }
        }
        problems
    }

    /// Why no server would be trusted with the file of authorities; `variable` names it.
    pub(crate) fn find_authority_problem(&self, variable: &str) -> Option<String> {
        // The system's authorities are not a matter of these settings, and not needed without TLS.
        self.ca_file.as_ref()?;
        // The certificates are parsed, too: a client may skip what it cannot read, and then trusts no authority.
        self.root_store().err().map(|error| format!("{variable}: {}", with_cause(&error)))
    }

    /// A problem if files are set for an engine whose URL is not one for TLS.
    pub fn find_scheme_problem(&self, section: &str, url: &str, url_variable: &str, scheme: &str) -> Option<String> {
        let is_unused = !self.is_empty() && !has_scheme(url, scheme);
        is_unused.then(|| {
            let files = setting_variable(&format!("{section}.tls"));
            format!("{url_variable} does not begin with {scheme}://, so that the files of {files}__* would not be used")
        })
    }

    fn root_store(&self) -> Result<RootCertStore, TlsFileError> {
        let mut roots = RootCertStore::empty();
        let certificates = match &self.ca_file {
            Some(path) => parse_certificates(path, &read_file(path)?)?,
            // Certificates that cannot be read are left out, as by every other client.
            None => rustls_native_certs::load_native_certs().certs,
        };
        roots.add_parsable_certificates(certificates);
        match &self.ca_file {
            Some(path) if roots.is_empty() => Err(TlsFileError::UnusableAuthorities { path: path.clone() }),
            None if roots.is_empty() => Err(TlsFileError::NoAuthorities),
            Some(_) | None => Ok(roots),
        }
    }
}

/// The error and its cause; causes of a file that cannot be read say why.
fn with_cause(error: &TlsFileError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|source| TlsFileError::Read { path: path.to_owned(), source })
}

pub(crate) fn parse_certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsFileError::NoCertificate { path: path.to_owned() }),
    }
}

pub(crate) fn parse_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsFileError::NoKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
