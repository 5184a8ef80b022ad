//! The public keys of an identity provider: fetched in the background, at the start, every so often, and when a token names
//! a key that is not among them, as happens when the provider takes a new one.
//!
//! Callers whose keys are known never wait for the provider, however long it hangs.

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

/// Longest wait for the provider.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that somebody waits whose key is not known.
const UNKNOWN_KEY_WAIT: Duration = Duration::from_secs(2);

/// Least time between two fetches: a stranger can name as many unknown keys as they like.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Longest set of keys that is read, in bytes.
const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The provider's keys. Cheap to clone; with the last clone they are fetched no more.
#[derive(Clone)]
pub(super) struct JwksCache {
    state: Arc<JwksState>,
    min_fetch_interval: Duration,
    /// How often was fetched, and whether that is going on.
    fetches: watch::Receiver<FetchProgress>,
    _stop_guard: Arc<DropGuard>,
}

struct JwksState {
    /// Keys that were fetched once are used for as long as the provider is away.
    keys: RwLock<Option<JwkSet>>,
    /// Somebody needs a key that is not there.
    fetch_requested: Notify,
}

/// How the fetching stands.
#[derive(Debug, Clone, Copy, Default)]
struct FetchProgress {
    /// How many have ended.
    completed: u64,
    /// When the last one began.
    last_started: Option<Instant>,
    is_running: bool,
}

impl FetchProgress {
    /// Whether a key that is asked for now may still come with a fetch.
    fn may_bring_new_keys(&self, shortest_pause: Duration) -> bool {
        self.is_running || self.last_started.is_none_or(|at| at.elapsed() >= shortest_pause)
    }
}

impl JwksCache {
    /// Keys that are `fresh` for so long. Call it inside a Tokio runtime.
    pub(super) fn new(url: &str, fresh: Duration) -> Result<Self, reqwest::Error> {
        Self::with_fetch_interval(url, fresh, MIN_FETCH_INTERVAL)
    }

    fn with_fetch_interval(url: &str, fresh: Duration, shortest_pause: Duration) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        let shared = Arc::new(JwksState { keys: RwLock::default(), fetch_requested: Notify::new() });
        let (tell, fetches) = watch::channel(FetchProgress::default());
        let stop = CancellationToken::new();
        let source = JwksFetcher {
            client,
            url: url.to_owned(),
            max_age: fresh.max(shortest_pause),
            min_fetch_interval: shortest_pause,
        };
        let refresh = source.run_refresh(Arc::clone(&shared), tell);
        tokio::spawn(stop.clone().run_until_cancelled_owned(refresh));
        Ok(Self {
            state: shared,
            min_fetch_interval: shortest_pause,
            fetches,
            _stop_guard: Arc::new(stop.drop_guard()),
        })
    }

    /// The key with that id; `None` where the provider has none.
    pub(super) async fn load_key(&self, id: &str) -> Result<Option<Jwk>, AuthenticationError> {
        if let KeyLookup::Key(key) = self.find_cached(id) {
            return Ok(Some(*key));
        }
        let mut fetches = self.fetches.clone();
        let before = *fetches.borrow_and_update();
        if before.may_bring_new_keys(self.min_fetch_interval) {
            self.state.fetch_requested.notify_one();
            // Whether it came in time or not: what is there now is what there is.
            let _ = timeout(UNKNOWN_KEY_WAIT, fetches.wait_for(|now| now.completed > before.completed)).await;
        }
        match self.find_cached(id) {
            KeyLookup::Key(key) => Ok(Some(*key)),
            KeyLookup::OtherKeys => Ok(None),
            KeyLookup::NoKeys => {
                Err(AuthenticationError::Unavailable("the identity provider's keys are not there yet".into()))
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

/// What is there of a key.
enum KeyLookup {
    Key(Box<Jwk>),
    /// Only others.
    OtherKeys,
    /// Nothing was fetched yet.
    NoKeys,
}

/// Where the keys come from, and how often they are fetched.
struct JwksFetcher {
    client: reqwest::Client,
    url: String,
    max_age: Duration,
    min_fetch_interval: Duration,
}

impl JwksFetcher {
    /// Fetches the keys again and again.
    async fn run_refresh(self, shared: Arc<JwksState>, tell: watch::Sender<FetchProgress>) {
        loop {
            let began = Instant::now();
            tell.send_modify(|fetches| {
                fetches.last_started = Some(began);
                fetches.is_running = true;
            });
            let fetched = self.fetch_keys().await;
            let pause = if fetched.is_ok() { self.max_age } else { self.min_fetch_interval };
            match fetched {
                Ok(keys) => *shared.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys),
                Err(error) => tracing::warn!(error = &*error, "the identity provider's keys cannot be fetched"),
            }
            tell.send_modify(|fetches| {
                fetches.completed += 1;
                fetches.is_running = false;
            });
            tokio::select! {
                () = sleep(pause.saturating_sub(began.elapsed())) => {}
                () = shared.fetch_requested.notified() => sleep(self.min_fetch_interval.saturating_sub(began.elapsed())).await,
            }
        }
    }

    async fn fetch_keys(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let mut answer = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = vec![];
        while let Some(some) = answer.chunk().await? {
            body.extend_from_slice(&some);
            if body.len() > MAX_JWKS_BYTES {
                return Err("the identity provider answers with more than keys".into());
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

    /// A provider of one key, which hangs when told to.
    struct StubProvider {
        url: String,
        hangs: Arc<AtomicBool>,
        request_count: Arc<AtomicUsize>,
    }

    impl StubProvider {
        async fn start() -> Self {
            let (hangs, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let (does_hang, count) = (Arc::clone(&hangs), Arc::clone(&asked));
            let answer = async move || {
                count.fetch_add(1, Ordering::SeqCst);
                if does_hang.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Json(json!({ "keys": [{ "kty": "oct", "kid": "known", "k": "c2VjcmV0" }] }))
            };
            let router = Router::new().route("/", get(answer));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, router).await });
            Self { url, hangs, request_count: asked }
        }
    }

    #[tokio::test]
    async fn who_has_a_known_key_never_waits_for_a_provider_that_hangs() {
        let provider = StubProvider::start().await;
        let jwks = JwksCache::with_fetch_interval(&provider.url, Duration::ZERO, Duration::from_millis(20)).unwrap();
        assert!(jwks.load_key("known").await.unwrap().is_some(), "the first caller waits for the first fetch");
        provider.hangs.store(true, Ordering::SeqCst);
        while provider.request_count.load(Ordering::SeqCst) < 2 {
            assert!(jwks.load_key("known").await.unwrap().is_some());
            sleep(Duration::from_millis(5)).await;
        }
        let asked = provider.request_count.load(Ordering::SeqCst);
        // A stranger's key waits for the fetch that hangs, and starts no other.
        let stranger = tokio::spawn({
            let jwks = jwks.clone();
            async move { jwks.load_key("unknown").await.map(|key| key.is_some()) }
        });
        let began = Instant::now();
        for _ in 0..1_000 {
            assert!(jwks.load_key("known").await.unwrap().is_some());
        }
        assert!(began.elapsed() < UNKNOWN_KEY_WAIT, "nobody waited: {:?}", began.elapsed());
        assert!(!stranger.await.unwrap().unwrap(), "a stranger is told that nobody knows their key");
        assert!(provider.request_count.load(Ordering::SeqCst) <= asked + 1, "one refresh at a time");
    }

    #[tokio::test]
    async fn without_any_keys_nobody_can_be_recognised() {
        let jwks = JwksCache::new("http://127.0.0.1:1/", Duration::from_mins(5)).unwrap();
        assert!(matches!(jwks.load_key("any").await, Err(AuthenticationError::Unavailable(_))));
    }
}
