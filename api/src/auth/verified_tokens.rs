//! Cache of verified tokens: the signature of a token is verified once, and not for each request.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use lru::LruCache;

use super::{signed_out_tokens::TokenId, token_verifier::TokenSubject};

/// Maximum number of cached tokens.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Cheap to clone; clones share the tokens.
#[derive(Clone)]
pub(super) struct VerifiedTokens {
    tokens: Arc<Mutex<LruCache<TokenId, VerifiedToken>>>,
    /// Time until a token is verified again: a key stays valid for this long after the identity provider withdrew it.
    max_age: Duration,
    /// How long a token is accepted after its expiry.
    leeway: Duration,
}

struct VerifiedToken {
    subject: TokenSubject,
    verified_at: Instant,
}

impl VerifiedTokens {
    pub(super) fn new(max_age: Duration, leeway: Duration) -> Self {
        Self { tokens: Arc::new(Mutex::new(LruCache::new(MAX_TOKENS))), max_age, leeway }
    }

    /// The subject of a token that was verified less than `max_age` ago and has not expired at `now`.
    pub(super) fn find(&self, token: TokenId, now: DateTime<Utc>) -> Option<TokenSubject> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let VerifiedToken { subject, verified_at } = tokens.get(&token)?;
        // Not the sum of expiry and leeway: an expiry may be as late as a time can be.
        let is_expired = (now - subject.expires_at?).to_std().is_ok_and(|late| late >= self.leeway);
        (verified_at.elapsed() < self.max_age && !is_expired).then(|| subject.clone())
    }

    /// Adds a token that has just been verified.
    pub(super) fn insert(&self, token: TokenId, subject: TokenSubject) {
        let verified = VerifiedToken { subject, verified_at: Instant::now() };
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).put(token, verified);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::value::UserId;

    use super::*;

    #[test]
    fn a_token_is_verified_again_after_its_expiry_and_after_the_maximum_age() {
        let now: DateTime<Utc> = "2026-03-03T12:00:00Z".parse().unwrap();
        let subject = TokenSubject { user: UserId::try_new("ann").unwrap(), tenant: None, expires_at: Some(now) };
        let (token, other) = (TokenId::from_token("one"), TokenId::from_token("other"));
        let tokens = VerifiedTokens::new(Duration::from_hours(1), Duration::from_secs(30));
        tokens.insert(token, subject.clone());
        assert_eq!(tokens.find(token, now + TimeDelta::seconds(29)), Some(subject.clone()));
        assert_eq!(tokens.find(token, now + TimeDelta::seconds(30)), None);
        assert_eq!(tokens.find(other, now), None);

        let uncached = VerifiedTokens::new(Duration::ZERO, Duration::from_secs(30));
        uncached.insert(token, subject);
        assert_eq!(uncached.find(token, now), None);
    }
}
