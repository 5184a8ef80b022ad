//! Tests that promise a time: each runs while no other does ([`tests::run_alone`]). Their folder comes first in the order
//! of tests, so that the others wait for them once.

mod import_time;
mod rate_limits;
mod relay_latency;
mod relay_takeover;
mod warm_start;
