//! The certificate of the listeners, which is read again when its files change.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine_security::{EngineTlsConfig, TlsFileError};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use crate::config::ListenerTlsConfig;

/// What a client may ask for in the handshake, in the order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificate and key of the listeners. Cheap to clone; clones have the same certificate.
#[derive(Clone)]
pub struct ServerCertificate {
    files: EngineTlsConfig,
    reload_interval: Duration,
    current: Arc<CurrentCertificate>,
    /// Whether a listener follows the files: one does so for all of them.
    is_followed: Arc<AtomicBool>,
    acceptor: TlsAcceptor,
}

/// The certificate that the next handshake shows.
#[derive(Debug)]
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    fn load(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.load())
    }
}

impl ServerCertificate {
    /// Reads the files; `None` if the settings name none, for listeners without TLS.
    ///
    /// # Errors
    /// [`TlsFileError`] when a file cannot be used.
    pub fn open(config: &ListenerTlsConfig) -> Result<Option<Self>, TlsFileError> {
        let files = config.files();
        let Some(key) = files.read_certified_key()? else { return Ok(None) };
        let current = Arc::new(CurrentCertificate(RwLock::new(Arc::new(key))));
        let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsFileError::Provider)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        let reload_interval = Duration::from_millis(config.reload_ms.max(1));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Some(Self { files, reload_interval, current, is_followed: Arc::default(), acceptor }))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again and again. Connections that are open keep the certificate that they were opened with; files
    /// that cannot be used, such as those of half a rotation, change nothing. Returns at once if a clone does so already.
    pub(super) async fn follow_files(self) {
        if self.is_followed.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut is_usable = true;
        loop {
            tokio::time::sleep(self.reload_interval).await;
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read_certified_key()).await else { continue };
            match read {
                Ok(Some(key)) => {
                    if key.cert != self.current.load().cert {
                        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                        tracing::info!("the listeners have a new certificate");
                    }
                    is_usable = true;
                }
                Ok(None) => {}
                Err(error) => {
                    if is_usable {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(
                            error,
                            "the new certificate of the listeners cannot be used; the previous one stays in use"
                        );
                    }
                    is_usable = false;
                }
            }
        }
    }
}
