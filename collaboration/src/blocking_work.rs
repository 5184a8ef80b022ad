//! Work that takes long, away from the threads that serve everybody.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// Runs what may take long where it holds up nobody else, if there is such a place. Call it inside a Tokio runtime.
pub(crate) fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread { block_in_place(work) } else { work() }
}
