//! HTTP below the routes: connections, limits, the request gate, and problems.

pub(crate) mod body_memory;
pub mod client_address;
pub mod connection;
pub mod inflate;
pub(crate) mod json_bounds;
pub mod load_shedder;
mod observed_body;
pub(crate) mod problem;
pub mod rate_limiter;
pub mod request_gate;
pub mod server_metrics;
pub(crate) mod server_span;
pub(crate) mod socket_permits;
mod status_route;
