//! Certificates of a test's own: authorities, and what they sign, as PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

use crate::failure::or_fail;

/// An authority whose certificate is a PEM file.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    file: PathBuf,
}

/// A certificate and its key, each in a PEM file.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// File of the certificate.
    pub certificate: PathBuf,
    /// File of the key.
    pub key: PathBuf,
}

impl CertificateAuthority {
    /// Creates an authority; its files are in `folder`.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = or_fail(CertificateParams::new([]), "describing an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = or_fail(KeyPair::generate(), "generating a key");
        let issuer = or_fail(CertifiedIssuer::self_signed(params, key), "signing an authority");
        let file = folder.join(format!("{name}.pem"));
        or_fail(fs::write(&file, issuer.pem()), "writing an authority");
        Self { issuer, folder: folder.to_owned(), file }
    }

    /// The file with the authority's certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Signs a certificate for a server at 127.0.0.1 and localhost, or for a client whose name is `common_name`.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub fn issue(&self, common_name: &str) -> IssuedCertificate {
        self.sign(common_name, |_| {})
    }

    /// [`Self::issue`], for a certificate that has expired.
    ///
    /// # Panics
    /// As [`Self::issue`].
    pub fn issue_expired(&self, common_name: &str) -> IssuedCertificate {
        self.sign(common_name, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    fn sign(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> IssuedCertificate {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = or_fail(CertificateParams::new(names), "describing a certificate");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = or_fail(KeyPair::generate(), "generating a key");
        let certificate = or_fail(params.signed_by(&key, &self.issuer), "signing a certificate");
        let file = |ending: &str| self.folder.join(format!("{common_name}{ending}.pem"));
        let issued = IssuedCertificate { certificate: file(""), key: file("-key") };
        or_fail(fs::write(&issued.certificate, certificate.pem()), "writing a certificate");
        or_fail(fs::write(&issued.key, key.serialize_pem()), "writing a key");
        issued
    }
}
