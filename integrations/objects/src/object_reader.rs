//! A stored file that is read: its length, and its bytes as they arrive.

use std::{io::SeekFrom, ops::Range};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use super::ObjectStoreError;

/// An open file of the object store.
#[derive(Debug)]
pub struct ObjectReader {
    length: u64,
    file: File,
}

impl ObjectReader {
    pub(crate) fn new(file: File, length: u64) -> Self {
        Self { length, file }
    }

    /// Returns the length of the file, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the bytes in `range`, which is cut at the end of the file.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when the file cannot be read, also from the stream.
    pub async fn read(
        mut self,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, ObjectStoreError>> + Send + Unpin + 'static, ObjectStoreError> {
        let range = range.start.min(self.length)..range.end.min(self.length);
        self.file.seek(SeekFrom::Start(range.start)).await?;
        let part = self.file.take(range.end.saturating_sub(range.start));
        Ok(ReaderStream::new(part).map_err(ObjectStoreError::from).boxed())
    }

    /// Reads the whole file into memory.
    ///
    /// # Errors
    /// [`ObjectStoreError::TooLong`] when it has more than `max_bytes` bytes, and others when it cannot be read.
    pub async fn read_all(self, max_bytes: u64) -> Result<Bytes, ObjectStoreError> {
        if self.length > max_bytes {
            return Err(ObjectStoreError::TooLong(max_bytes));
        }
        let length = self.length;
        let mut content = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut parts = self.read(0..length).await?;
        while let Some(part) = parts.try_next().await? {
            content.extend_from_slice(&part);
        }
        Ok(content.freeze())
    }
}
