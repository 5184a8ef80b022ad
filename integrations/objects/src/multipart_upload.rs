//! A file that is sent to a bucket in parts; it is removed unless it is completed, also when its request is cancelled.

use std::time::Duration;

use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload, path::Path};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{ObjectStoreError, s3_failure::S3Failure, s3_storage::S3Storage};

/// Parts that are sent at the same time.
const MAX_PARTS_IN_FLIGHT: usize = 2;

/// Time limit for removing an upload that was cut off; what remains then is removed by the sweeper, and parts by the
/// bucket's rule for incomplete uploads.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Parts of a file that is not complete. Dropping it removes them.
pub(crate) struct UnfinishedUpload {
    storage: S3Storage,
    /// Where the file is until it is copied to its key.
    path: Path,
    /// `None` when nothing is to be removed any more.
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<object_store::Result<()>>,
}

impl UnfinishedUpload {
    pub(crate) fn new(storage: S3Storage, path: Path, upload: Box<dyn MultipartUpload>) -> Self {
        Self { storage, path, upload: Some(upload), parts: JoinSet::new() }
    }

    /// Sends the next part, in the background if not too many are being sent.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when this part or an earlier one could not be sent.
    pub(crate) async fn send_part(&mut self, part: PutPayload) -> Result<(), ObjectStoreError> {
        self.wait_for_parts(MAX_PARTS_IN_FLIGHT - 1).await?;
        if let Some(upload) = &mut self.upload {
            self.parts.spawn(upload.put_part(part));
        }
        Ok(())
    }

    /// Sends the last part, and moves the file to `target`.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when a request failed; the file is not at `target` then.
    pub(crate) async fn publish_as(mut self, last: PutPayload, target: &Path) -> Result<(), ObjectStoreError> {
        if last.content_length() > 0 {
            self.send_part(last).await?;
        }
        self.wait_for_parts(0).await?;
        let failed = |error| self.storage.request_error(&error);
        if let Some(upload) = &mut self.upload {
            upload.complete().await.map_err(failed)?;
        }
        // Copies within the service.
        self.storage.client().copy(&self.path, target).await.map_err(failed)?;
        match self.storage.client().delete(&self.path).await {
            Ok(()) => self.upload = None,
            // Removed in the background, or by the sweeper; the file itself is stored.
            Err(error) => {
                let error = &S3Failure::new(&error) as &dyn std::error::Error;
                tracing::debug!(error, "cannot remove the copy of an upload");
            }
        }
        Ok(())
    }

    async fn wait_for_parts(&mut self, max_in_flight: usize) -> Result<(), ObjectStoreError> {
        while self.parts.len() > max_in_flight {
            match self.parts.join_next().await {
                Some(Ok(outcome)) => outcome.map_err(|error| self.storage.request_error(&error))?,
                Some(Err(error)) => return Err(std::io::Error::other(error).into()),
                None => break,
            }
        }
        Ok(())
    }
}

impl Drop for UnfinishedUpload {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let (storage, path) = (self.storage.clone(), self.path.clone());
        let mut parts = std::mem::take(&mut self.parts);
        // `drop` cannot await, and without a runtime nothing can be sent any more.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(timeout(REMOVAL_TIMEOUT, async move {
            // A part that arrives after the upload was ended would remain, also one whose request was cancelled.
            while parts.join_next().await.is_some() {}
            // Fails if the upload was completed; whether it was may be unknown.
            if let Err(error) = upload.abort().await {
                let error = &S3Failure::new(&error) as &dyn std::error::Error;
                tracing::debug!(error, "cannot end an upload that was cut off");
            }
            if let Err(error) = storage.client().delete(&path).await {
                let error = &S3Failure::new(&error) as &dyn std::error::Error;
                tracing::debug!(error, "cannot remove an upload that was cut off");
            }
        }));
    }
}
