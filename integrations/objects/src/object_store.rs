//! The store: puts, opens and removes files.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::value::TenantId;
use futures::Stream;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    ObjectReader, ObjectStoreError, ObjectsConfig, ObjectsConfigError, folder_storage::FolderStorage,
    metered_content::MeteredContent, object_key::is_valid_key, object_storage::ObjectStorage, s3_storage::S3Storage,
};

/// Most queued removals of deleted documents; beyond it the next sweep removes the files.
const MAX_PENDING_REMOVALS: usize = 1_024;

/// Owner of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectOwner {
    /// The company.
    pub tenant: TenantId,
    /// The document.
    pub document: Uuid,
}

/// Stores files. Cheap to clone; clones are the same store.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    config: Arc<ObjectsConfig>,
    storage: ObjectStorage,
    removal_sender: mpsc::Sender<ObjectOwner>,
    /// Taken by the only sweeper.
    removal_receiver: Arc<Mutex<Option<mpsc::Receiver<ObjectOwner>>>>,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Key: `<tenant>/<document>/<SHA-256>`.
    pub key: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Length, in bytes.
    pub bytes: u64,
    /// Its first bytes, 4,096 at most.
    pub head: Vec<u8>,
}

impl ObjectStore {
    /// Creates a store in the configured bucket or folder. Connects to nothing; the folder is created on demand.
    ///
    /// # Errors
    /// [`ObjectsConfigError`] when a setting is invalid.
    pub fn new(config: &ObjectsConfig) -> Result<Self, ObjectsConfigError> {
        let (removal_sender, removal_receiver) = mpsc::channel(MAX_PENDING_REMOVALS);
        let removal_receiver = Arc::new(Mutex::new(Some(removal_receiver)));
        let storage = if config.s3.is_enabled() {
            ObjectStorage::Bucket(S3Storage::new(&config.s3)?)
        } else {
            ObjectStorage::Folder(FolderStorage::new(&config.dir))
        };
        Ok(Self { config: Arc::new(config.clone()), storage, removal_sender, removal_receiver })
    }

    /// Returns the bytes that must arrive within a duration for an upload to continue.
    pub fn required_progress(&self) -> (u64, std::time::Duration) {
        self.config.required_progress()
    }

    /// Stores a file of a document, `max_bytes` bytes at most. It appears under its key only when it is completely
    /// stored. Storing the same content again replaces it.
    ///
    /// # Errors
    /// When the file is too long, is aborted, or cannot be written. Then no part of it remains, as when the call is
    /// cancelled.
    pub async fn put<E>(
        &self,
        owner: &ObjectOwner,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        max_bytes: u64,
    ) -> Result<StoredObject, ObjectStoreError>
    where
        ObjectStoreError: From<E>,
    {
        let content = MeteredContent::new(body, max_bytes);
        match &self.storage {
            ObjectStorage::Folder(folder) => folder.put(owner, content).await,
            ObjectStorage::Bucket(bucket) => bucket.put(owner, content).await,
        }
    }

    /// Opens a stored file; `None` if there is none under this key.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when the file cannot be read.
    pub async fn open(&self, key: &str) -> Result<Option<ObjectReader>, ObjectStoreError> {
        if !is_valid_key(key) {
            return Ok(None);
        }
        match &self.storage {
            ObjectStorage::Folder(folder) => folder.open(key).await,
            ObjectStorage::Bucket(bucket) => bucket.open(key).await,
        }
    }

    /// Schedules removal of a document's files; the sweeper removes them if the log says that the document is deleted.
    pub fn schedule_removal(&self, owner: ObjectOwner) {
        if self.removal_sender.try_send(owner).is_err() {
            tracing::debug!("the files of a deleted document are removed by the next sweep");
        }
    }

    /// Removes all files of a document.
    ///
    /// # Errors
    /// [`ObjectStoreError`] when a file cannot be removed; some may be removed then.
    pub async fn remove_document(&self, owner: &ObjectOwner) -> Result<(), ObjectStoreError> {
        match &self.storage {
            ObjectStorage::Folder(folder) => folder.remove_document(owner).await,
            ObjectStorage::Bucket(bucket) => bucket.remove_document(owner).await,
        }
    }

    /// Checks that the bucket can be listed, or that the folder exists or can be created.
    ///
    /// # Errors
    /// [`ObjectStoreError`] that says what is wrong with the bucket or folder.
    pub async fn ping(&self) -> Result<(), ObjectStoreError> {
        match &self.storage {
            ObjectStorage::Folder(folder) => folder.ping().await,
            ObjectStorage::Bucket(bucket) => bucket.ping().await,
        }
    }

    pub(crate) fn config(&self) -> &ObjectsConfig {
        &self.config
    }

    pub(crate) fn storage(&self) -> &ObjectStorage {
        &self.storage
    }

    pub(crate) fn take_removal_receiver(&self) -> Option<mpsc::Receiver<ObjectOwner>> {
        self.removal_receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
