//! Errors of the object store.

use std::{convert::Infallible, io};

use super::UploadBodyError;

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
    #[error("cannot read or write the folder of the object store")]
    Io(#[from] io::Error),
}

impl From<Infallible> for ObjectStoreError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
