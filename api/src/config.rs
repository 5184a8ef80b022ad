//! Settings of the edges, and of the engines that they use. The module of each section has a table of its keys;
//! `server::config` merges all sections.

mod admin;
mod auth;
mod connection_problems;
mod engines;
mod http;
mod masked_url;
mod rate_limits;

pub use self::{
    admin::{AdminConfig, AdminToken, TokenTooShort},
    auth::{AuthConfig, AuthSecret, SecretTooShort},
    engines::EngineConfig,
    http::{HttpConfig, ListenerTlsConfig},
    masked_url::{MASK, is_secret_key, mask_url},
    rate_limits::RateLimitConfig,
};
