//! Errors of the object store.

use std::{convert::Infallible, io, sync::Arc};

use super::{UploadBodyError, s3_failure::S3Failure};

/// Why a file cannot be stored, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// The file is longer than allowed, in bytes.
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    /// The body ended early.
    #[error(transparent)]
    Body(#[from] UploadBodyError),
    /// The form data is malformed.
    #[error("the form cannot be read: {0}")]
    InvalidForm(String),
    /// The folder of the store cannot be read or written.
    #[error("cannot read or write the folder of the object store, objects.dir")]
    Io(#[from] io::Error),
    /// The service did not answer in time, or failed, also when the request was repeated.
    #[error("the object store fails or does not answer ({at}); requests to it are repeated, try again later")]
    Unavailable {
        /// The bucket and its service.
        at: Arc<str>,
        /// What the request failed with.
        source: S3Failure,
    },
    /// The service refuses the access key.
    #[error(
        "the object store refuses access ({at}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that this key \
         may list the bucket, and get, put and delete its objects"
    )]
    AccessDenied {
        /// The bucket and its service.
        at: Arc<str>,
        /// What the request failed with.
        source: S3Failure,
    },
    /// The bucket does not exist.
    #[error("the bucket of the object store does not exist ({at}): create it, or correct MEDHUB__OBJECTS__S3__BUCKET")]
    MissingBucket {
        /// The bucket and its service.
        at: Arc<str>,
    },
    /// A file was removed while it was being read.
    #[error("the file was removed while it was being read")]
    Removed,
}

impl From<Infallible> for ObjectStoreError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
