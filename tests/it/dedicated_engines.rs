//! Tests with their own engines ([`tests::TestStack`]): they kill engines, stop and start whole stacks, or change their
//! configuration. Each of these counts as two. The remaining tests of this folder share engines.

mod benchmarks;
mod chaos;
mod demonstration;
mod engines_away;
mod engines_with_tls;
mod faults;
mod import_crash;
mod ingest_crash;
mod local_stack;
mod log_restore;
mod rolling_upgrade;
mod worker_memory;
