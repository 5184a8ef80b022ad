//! A thread that flushes collections and rebuilds their indexes while they are idle.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use super::{catalog::Catalog, collection::Collection};

/// Ends the thread, after its current step, when dropped.
pub(super) struct Upkeep {
    _stop: Sender<()>,
}

/// Starts the thread. It is no task of the runtime, which would wait for it: rebuilding an index can take minutes.
pub(super) fn start(catalog: Arc<Catalog>, every: Duration, optimise_after: u64) -> std::io::Result<Upkeep> {
    let (stop, stopped) = mpsc::channel::<()>();
    thread::Builder::new().name("upkeep".to_owned()).spawn(move || {
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            for collection in catalog.all() {
                look_after(&collection, every, optimise_after);
            }
        }
    })?;
    Ok(Upkeep { _stop: stop })
}

fn look_after(collection: &Collection, every: Duration, optimise_after: u64) {
    let step = || collection.flush_when_calm(every).and_then(|()| collection.optimise_when_due(optimise_after, every));
    // The engine panics where it cannot write; the journal still has everything, and the next round tries again.
    match panic::catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(())) => {}
        Ok(Err(refused)) => tracing::warn!(reason = refused.message(), "upkeep of a collection failed"),
        Err(_) => tracing::error!("upkeep of a collection panicked"),
    }
}
