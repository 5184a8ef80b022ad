//! A stored file that is read: its length, and its bytes as they arrive.

use std::{io::SeekFrom, ops::Range};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::path::Path;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use super::{ObjectStoreError, s3_storage::S3Storage};

/// An open file of the object store.
#[derive(Debug)]
pub struct ObjectReader {
    length: u64,
    source: ReaderSource,
}

#[derive(Debug)]
enum ReaderSource {
    File(File),
    Object(S3Storage, Path),
}

impl ObjectReader {
    pub(crate) fn from_file(file: File, length: u64) -> Self {
        Self { length, source: ReaderSource::File(file) }
    }

    pub(crate) fn from_bucket(storage: S3Storage, path: Path, length: u64) -> Self {
        Self { length, source: ReaderSource::Object(storage, path) }
    }

    /// Returns the length of the file, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the bytes in `range`, which is cut at the end of the file. The stream fails rather than end early.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when the file cannot be read, also from the stream.
    pub async fn read(
        self,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectStoreError>>, ObjectStoreError> {
        let range = range.start.min(self.length)..range.end.min(self.length);
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        match self.source {
            ReaderSource::File(mut file) => {
                file.seek(SeekFrom::Start(range.start)).await?;
                let part = file.take(range.end - range.start);
                Ok(ReaderStream::new(part).map_err(ObjectStoreError::from).boxed())
            }
            ReaderSource::Object(storage, path) => storage.read(&path, range).await,
        }
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
