//! Tests of a promised time, each of which runs alone ([`tests::run_alone`]). Their module is the first in the order of
//! tests, so that the others wait for them once.

mod document_analysis;
mod import_time;
mod rate_limits;
mod relay_latency;
mod relay_takeover;
mod warm_start;
