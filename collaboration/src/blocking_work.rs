//! Runs blocking work without blocking other tasks.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// Runs work that may take long. On a multi-threaded runtime other tasks move to other threads meanwhile; on a
/// single-threaded one they wait. Must be called within a Tokio runtime.
pub(crate) fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread { block_in_place(work) } else { work() }
}
