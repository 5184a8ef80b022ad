//! Bounds the memory of texts that are analysed at the same time in this process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many times its own size a text takes while it is analysed: its pages, and the blocks that they are split into.
const MEMORY_PER_BYTE: u64 = 6;

/// The memory of all texts at the same time. A single text that takes more is analysed while no other one is.
const TOTAL_BYTES: u64 = 96 << 20;

/// The size of one permit.
const PERMIT_BYTES: u64 = 1 << 10;

/// The memory that is left for texts.
#[derive(Debug, Clone)]
pub(crate) struct TextMemory {
    permits: Arc<Semaphore>,
}

/// The memory of one text, until it is dropped.
#[derive(Debug)]
pub(crate) struct ReservedMemory {
    _permit: Option<OwnedSemaphorePermit>,
}

impl TextMemory {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(usize::try_from(permits_for(TOTAL_BYTES)).unwrap_or(usize::MAX))) }
    }

    /// Waits until there is memory for a text of this many bytes. Texts get it in the order of their requests.
    pub(crate) async fn reserve(&self, text_bytes: u64) -> ReservedMemory {
        let bytes = text_bytes.saturating_mul(MEMORY_PER_BYTE).min(TOTAL_BYTES);
        // The semaphore is never closed.
        ReservedMemory { _permit: Arc::clone(&self.permits).acquire_many_owned(permits_for(bytes)).await.ok() }
    }
}

fn permits_for(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn large_texts_wait_for_each_other_and_small_ones_do_not() {
        let memory = TextMemory::new();
        let small: Vec<_> =
            (0..20).map(|_| memory.reserve(100_000).now_or_never().expect("there is memory for small texts")).collect();
        let large = memory.reserve(1 << 40);
        tokio::pin!(large);
        assert!(large.as_mut().now_or_never().is_none());
        drop(small);
        let large = large.await;
        assert!(memory.reserve(1).now_or_never().is_none());
        drop(large);
        assert!(memory.reserve(1).now_or_never().is_some());
    }
}
