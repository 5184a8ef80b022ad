//! Rate limits.
//!
//! A request counts as one. A batch of events counts as one for each `EVENTS_PER_REQUEST` of them, and a GraphQL
//! document by its cost. A user is one caller, for all companies they act for, and a /64 network of IPv6 is one
//! address. Routes without login (`/`, `/ready`, `/metrics`, the schema registry) are limited by address, too, in each
//! process separately.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__LIMITS__ENABLED` | `true` | whether limits apply |
//! | `MEDHUB__LIMITS__PER_ADDRESS` | `1200` | requests per minute of one address without credentials |
//! | `MEDHUB__LIMITS__PAGES_PER_ADDRESS` | `1200` | requests per minute of one address to routes without login |
//! | `MEDHUB__LIMITS__PER_USER` | `3000` | requests per minute of one user |
//! | `MEDHUB__LIMITS__PER_KEY` | `60000` | requests per minute of one API key |
//! | `MEDHUB__LIMITS__REFUSED_TOKENS` | `60` | invalid tokens and keys per minute from one address |
//! | `MEDHUB__LIMITS__EVENTS_PER_REQUEST` | `50` | events of a batch to `/ingest` that count as one request |
//! | `MEDHUB__LIMITS__COMPLEXITY_PER_REQUEST` | `200` | complexity of a GraphQL document that counts as one request |
//! | `MEDHUB__LIMITS__TRUST_FORWARDED` | `false` | takes the address from `X-Forwarded-For`, behind a proxy that sets it |

use serde::{Deserialize, Serialize};

/// Configuration of rate limits. All requests of a minute may arrive at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Whether limits apply.
    pub enabled: bool,
    /// Requests per minute of one address without credentials.
    pub per_address: u32,
    /// Requests per minute of one address to routes without login, in each process.
    pub pages_per_address: u32,
    /// Requests per minute of one user.
    pub per_user: u32,
    /// Requests per minute of one API key.
    pub per_key: u32,
    /// Invalid tokens and keys per minute from one address.
    pub refused_tokens: u32,
    /// Events of a batch that count as one request.
    pub events_per_request: usize,
    /// Complexity of a GraphQL document that counts as one request.
    pub complexity_per_request: usize,
    /// Whether the last address in `X-Forwarded-For` is the client's.
    pub trust_forwarded: bool,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            per_address: 1_200,
            pages_per_address: 1_200,
            per_user: 3_000,
            per_key: 60_000,
            refused_tokens: 60,
            events_per_request: 50,
            complexity_per_request: 200,
            trust_forwarded: false,
        }
    }
}
