//! The public keys of an identity provider: fetched when needed, kept for a while, fetched again when a token names a key
//! that is not among them, as happens when the provider takes a new one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;

use super::Unauthenticated;

/// Longest wait for the provider.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Least time between two fetches: a stranger can name as many unknown keys as they like.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);

/// Longest set of keys that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The provider's keys.
#[derive(Clone)]
pub(super) struct Jwks {
    url: Arc<str>,
    client: reqwest::Client,
    fresh: Duration,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    keys: Option<JwkSet>,
    /// When they were fetched.
    fetched: Option<Instant>,
    /// When that was tried last.
    tried: Option<Instant>,
}

impl Jwks {
    pub(super) fn new(url: &str, fresh: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { url: url.into(), client, fresh, known: Arc::default() })
    }

    /// The key with that id; `None` where the provider has none. Keys that were fetched once are used for as long as the
    /// provider is away.
    pub(super) async fn key(&self, id: &str) -> Result<Option<Jwk>, Unauthenticated> {
        let mut known = self.known.lock().await;
        let is_fresh = known.fetched.is_some_and(|at| at.elapsed() < self.fresh);
        let found = known.keys.as_ref().and_then(|keys| keys.find(id)).cloned();
        if is_fresh && found.is_some() {
            return Ok(found);
        }
        if known.tried.is_none_or(|at| at.elapsed() >= SHORTEST_PAUSE) {
            known.tried = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    known.keys = Some(keys);
                    known.fetched = Some(Instant::now());
                }
                Err(error) if known.keys.is_none() => return Err(Unauthenticated::Unavailable(error)),
                Err(error) => tracing::warn!(error = &*error, "the identity provider's keys cannot be fetched anew"),
            }
        }
        match &known.keys {
            Some(keys) => Ok(keys.find(id).cloned()),
            None => Err(Unauthenticated::Unavailable("the identity provider's keys are not there yet".into())),
        }
    }

    async fn fetch(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let mut answer = self.client.get(&*self.url).send().await?.error_for_status()?;
        let mut body = vec![];
        while let Some(some) = answer.chunk().await? {
            body.extend_from_slice(&some);
            if body.len() > MAX_BYTES {
                return Err("the identity provider answers with more than keys".into());
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
