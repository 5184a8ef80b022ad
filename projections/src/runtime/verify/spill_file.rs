//! Values in compressed temporary files, one on each line, and which pass they belong to.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, Write as _},
};

use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use serde::{Serialize, de::DeserializeOwned};

use super::VerifyError;
use crate::runtime::{BUCKET_COUNT, RowScope, VerifyScope};

/// A file that is written. It is unlinked when it is created, so that nothing remains of a process that is killed.
pub(super) struct SpillWriter {
    encoder: FrameEncoder<File>,
}

impl SpillWriter {
    pub(super) fn create() -> io::Result<Self> {
        Ok(Self { encoder: FrameEncoder::new(tempfile::tempfile()?) })
    }

    pub(super) fn write_value(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.encoder, value)?;
        self.encoder.write_all(b"\n")
    }

    /// Ends writing.
    pub(super) fn finish(self) -> io::Result<SpillReader> {
        let file = self.encoder.finish().map_err(io::Error::from)?;
        SpillReader::from_start(file)
    }
}

/// A file that is read.
pub(super) struct SpillReader {
    lines: BufReader<FrameDecoder<File>>,
    line: Vec<u8>,
}

impl SpillReader {
    fn from_start(mut file: File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { lines: BufReader::new(FrameDecoder::new(file)), line: vec![] })
    }

    /// The next value; `None` at the end.
    pub(super) fn read_value<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.line.clear();
        if self.lines.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&self.line).map(Some)?)
    }

    /// Starts again.
    pub(super) fn rewind(self) -> io::Result<Self> {
        Self::from_start(self.lines.into_inner().into_inner())
    }
}

/// The index of the pass that compares a row or an event.
pub(super) struct PassIndex {
    /// For each bucket; `None` where no pass compares it.
    buckets: Vec<Option<usize>>,
    totals: Option<usize>,
}

impl PassIndex {
    pub(super) fn new(passes: &[Vec<VerifyScope>]) -> Self {
        let pass_of = |row| passes.iter().position(|scopes| scopes.iter().any(|scope| scope.contains_row(row)));
        Self {
            buckets: (0..BUCKET_COUNT).map(|bucket| pass_of(RowScope::Bucket(bucket))).collect(),
            totals: pass_of(RowScope::Totals),
        }
    }

    pub(super) fn find(&self, row: RowScope) -> Option<usize> {
        match row {
            RowScope::Bucket(bucket) => self.buckets.get(bucket as usize).copied().flatten(),
            RowScope::Totals => self.totals,
        }
    }
}

/// Reads or writes files on a thread that may block.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, VerifyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).and_then(|outcome| outcome).map_err(VerifyError::TemporaryFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_written_as_often_as_needed() {
        let mut writer = SpillWriter::create().unwrap();
        let values: Vec<(u64, String)> =
            (0..5_000).map(|number| (u64::MAX - number, format!("\n\"{number}"))).collect();
        for value in &values {
            writer.write_value(value).unwrap();
        }
        let mut reader = writer.finish().unwrap();
        assert_eq!(reader.read_value().unwrap().as_ref(), values.first());
        for _ in 0..2 {
            reader = reader.rewind().unwrap();
            let mut found = vec![];
            while let Some(value) = reader.read_value::<(u64, String)>().unwrap() {
                found.push(value);
            }
            assert_eq!(found, values);
        }
    }

    #[test]
    fn what_no_pass_compares_has_no_pass() {
        let passes = [vec![VerifyScope::Buckets(0..=9), VerifyScope::Totals], vec![VerifyScope::Buckets(20..=29)]];
        let index = PassIndex::new(&passes);
        let found = [9, 10, 20, 255].map(|bucket| index.find(RowScope::Bucket(bucket)));
        assert_eq!(found, [Some(0), None, Some(1), None]);
        assert_eq!(index.find(RowScope::Totals), Some(0));
        assert_eq!(PassIndex::new(&passes[1..]).find(RowScope::Totals), None);
    }
}
