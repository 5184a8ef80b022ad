//! Cache of an identity provider's public keys. They are fetched in the background: at startup, periodically, and when
//! a token names an unknown key, as after a key rotation.
//!
//! Callers whose keys are cached never wait for the provider, even if it hangs.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::AuthenticationError;

/// Time limit of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time that a caller waits for an unknown key.
const UNKNOWN_KEY_WAIT: Duration = Duration::from_secs(2);

/// Minimum time between two fetches: any client can send tokens with unknown keys.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum length of a key set, in bytes.
const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The cached keys. Cheap to clone; dropping the last clone ends the fetching.
#[derive(Clone)]
pub(super) struct JwksCache {
    state: Arc<JwksState>,
    min_fetch_interval: Duration,
    /// Progress of the fetches.
    fetches: watch::Receiver<FetchProgress>,
    _stop_guard: Arc<DropGuard>,
}

struct JwksState {
    /// The keys fetched last; they stay in use while the provider is unavailable.
    keys: RwLock<Option<JwkSet>>,
    /// Notified when an unknown key is needed.
    fetch_requested: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct FetchProgress {
    /// Number of completed fetches.
    completed: u64,
    /// When the latest fetch began.
    last_started: Option<Instant>,
    is_running: bool,
}

impl FetchProgress {
    /// Whether a fetch that is running or due may bring an unknown key.
    fn may_bring_new_keys(&self, min_fetch_interval: Duration) -> bool {
        self.is_running || self.last_started.is_none_or(|at| at.elapsed() >= min_fetch_interval)
    }
}

impl JwksCache {
    /// Creates a cache whose keys are refreshed after `max_age`. Call it inside a Tokio runtime.
    pub(super) fn new(url: &str, max_age: Duration) -> Result<Self, reqwest::Error> {
        Self::with_fetch_interval(url, max_age, MIN_FETCH_INTERVAL)
    }

    fn with_fetch_interval(url: &str, max_age: Duration, min_fetch_interval: Duration) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        let state = Arc::new(JwksState { keys: RwLock::default(), fetch_requested: Notify::new() });
        let (progress, fetches) = watch::channel(FetchProgress::default());
        let stop = CancellationToken::new();
        let key_fetcher =
            JwksFetcher { client, url: url.to_owned(), max_age: max_age.max(min_fetch_interval), min_fetch_interval };
        let refresh = key_fetcher.run_refresh(Arc::clone(&state), progress);
        tokio::spawn(stop.clone().run_until_cancelled_owned(refresh));
        Ok(Self { state, min_fetch_interval, fetches, _stop_guard: Arc::new(stop.drop_guard()) })
    }

    /// Returns the key with this id; `None` if the provider has none.
    pub(super) async fn load_key(&self, id: &str) -> Result<Option<Jwk>, AuthenticationError> {
        if let KeyLookup::Key(key) = self.find_cached(id) {
            return Ok(Some(*key));
        }
        let mut fetches = self.fetches.clone();
        let before = *fetches.borrow_and_update();
        if before.may_bring_new_keys(self.min_fetch_interval) {
            self.state.fetch_requested.notify_one();
            // After the wait the cache is decisive, whether or not the fetch completed in time.
            let _ = timeout(UNKNOWN_KEY_WAIT, fetches.wait_for(|now| now.completed > before.completed)).await;
        }
        match self.find_cached(id) {
            KeyLookup::Key(key) => Ok(Some(*key)),
            KeyLookup::OtherKeys => Ok(None),
            KeyLookup::NoKeys => {
                Err(AuthenticationError::Unavailable("the identity provider's keys have not been fetched yet".into()))
            }
        }
    }

    fn find_cached(&self, id: &str) -> KeyLookup {
        let keys = self.state.keys.read().unwrap_or_else(PoisonError::into_inner);
        match keys.as_ref().map(|keys| keys.find(id)) {
            Some(Some(key)) => KeyLookup::Key(Box::new(key.clone())),
            Some(None) => KeyLookup::OtherKeys,
            None => KeyLookup::NoKeys,
        }
    }
}

enum KeyLookup {
    Key(Box<Jwk>),
    /// Keys were fetched, but not this one.
    OtherKeys,
    /// No keys have been fetched yet.
    NoKeys,
}

/// Fetches the keys periodically and on request.
struct JwksFetcher {
    client: reqwest::Client,
    url: String,
    max_age: Duration,
    min_fetch_interval: Duration,
}

impl JwksFetcher {
    /// Fetches the keys until the task is cancelled.
    async fn run_refresh(self, state: Arc<JwksState>, progress: watch::Sender<FetchProgress>) {
        loop {
            let began = Instant::now();
            progress.send_modify(|fetches| {
                fetches.last_started = Some(began);
                fetches.is_running = true;
            });
            let fetched = self.fetch_keys().await;
            let pause = if fetched.is_ok() { self.max_age } else { self.min_fetch_interval };
            match fetched {
                Ok(keys) => *state.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys),
                Err(error) => tracing::warn!(error = &*error, "cannot fetch the identity provider's keys"),
            }
            progress.send_modify(|fetches| {
                fetches.completed += 1;
                fetches.is_running = false;
            });
            tokio::select! {
                () = sleep(pause.saturating_sub(began.elapsed())) => {}
                () = state.fetch_requested.notified() => sleep(self.min_fetch_interval.saturating_sub(began.elapsed())).await,
            }
        }
    }

    async fn fetch_keys(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = vec![];
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_JWKS_BYTES {
                return Err("the identity provider's key set is too long".into());
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use axum::{Json, Router, routing::get};
    use serde_json::json;

    use super::*;

    /// A provider with one key, which hangs on demand.
    struct StubProvider {
        url: String,
        hangs: Arc<AtomicBool>,
        request_count: Arc<AtomicUsize>,
    }

    impl StubProvider {
        async fn start() -> Self {
            let (hangs, request_count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let (handler_hangs, handler_count) = (Arc::clone(&hangs), Arc::clone(&request_count));
            let handler = async move || {
                handler_count.fetch_add(1, Ordering::SeqCst);
                if handler_hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Json(json!({ "keys": [{ "kty": "oct", "kid": "known", "k": "c2VjcmV0" }] }))
            };
            let router = Router::new().route("/", get(handler));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, router).await });
            Self { url, hangs, request_count }
        }
    }

    #[tokio::test]
    async fn callers_with_a_cached_key_do_not_wait_for_a_provider_that_hangs() {
        let provider = StubProvider::start().await;
        let jwks = JwksCache::with_fetch_interval(&provider.url, Duration::ZERO, Duration::from_millis(20)).unwrap();
        assert!(jwks.load_key("known").await.unwrap().is_some(), "the first caller waits for the first fetch");
        provider.hangs.store(true, Ordering::SeqCst);
        while provider.request_count.load(Ordering::SeqCst) < 2 {
            assert!(jwks.load_key("known").await.unwrap().is_some());
            sleep(Duration::from_millis(5)).await;
        }
        let requests_before = provider.request_count.load(Ordering::SeqCst);
        // An unknown key waits for the fetch that hangs, and starts no other.
        let unknown_key = tokio::spawn({
            let jwks = jwks.clone();
            async move { jwks.load_key("unknown").await.map(|key| key.is_some()) }
        });
        let started = Instant::now();
        for _ in 0..1_000 {
            assert!(jwks.load_key("known").await.unwrap().is_some());
        }
        assert!(started.elapsed() < UNKNOWN_KEY_WAIT, "no caller waited: {:?}", started.elapsed());
        assert!(!unknown_key.await.unwrap().unwrap(), "the unknown key is reported as missing");
        assert!(provider.request_count.load(Ordering::SeqCst) <= requests_before + 1, "one refresh at a time");
    }

    #[tokio::test]
    async fn without_fetched_keys_authentication_is_unavailable() {
        let jwks = JwksCache::new("http://127.0.0.1:1/", Duration::from_mins(5)).unwrap();
        assert!(matches!(jwks.load_key("any").await, Err(AuthenticationError::Unavailable(_))));
    }
}
