//! Values in compressed temporary files, one on each line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, Write as _},
};

use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use serde::{Serialize, de::DeserializeOwned};

use super::VerifyError;

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
}
