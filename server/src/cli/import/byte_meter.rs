//! Counts the bytes read from a source, before decompression.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Number of bytes read so far; clones share the count.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteMeter(Arc<AtomicU64>);

impl ByteMeter {
    pub(super) fn bytes_read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Wraps a source so that its bytes are counted.
    pub(super) fn wrap_reader<R>(&self, source: R) -> MeteredReader<R> {
        MeteredReader { source, meter: self.clone() }
    }
}

/// A source whose bytes are counted.
pub(super) struct MeteredReader<R> {
    source: R,
    meter: ByteMeter,
}

impl<R: Read> Read for MeteredReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.meter.0.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(read)
    }
}
