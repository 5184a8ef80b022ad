//! Counts the bytes that are read from a source, packed as they come.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many bytes were read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteMeter(Arc<AtomicU64>);

impl ByteMeter {
    pub(super) fn bytes_read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The same source, counted.
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
