//! Where files are stored, and the walk through all of them.

use std::time::Duration;

use futures::{TryStreamExt, stream::BoxStream};
use object_store::ObjectMeta;

use super::{
    ObjectStoreError,
    file_walker::{FileWalker, StoredFile, is_older_than},
    folder_storage::FolderStorage,
    object_key::parse_owner,
    s3_storage::S3Storage,
};

/// The storage of all files.
#[derive(Debug, Clone)]
pub(crate) enum ObjectStorage {
    Folder(FolderStorage),
    Bucket(S3Storage),
}

impl ObjectStorage {
    /// Starts a walk through all files that were not modified for `min_age`.
    pub(crate) async fn walk(&self, min_age: Duration) -> Result<StorageWalk, ObjectStoreError> {
        Ok(match self {
            Self::Folder(folder) => StorageWalk::Folder(folder.walk(min_age).await?),
            Self::Bucket(bucket) => StorageWalk::Bucket { objects: bucket.list(), min_age },
        })
    }

    /// Whether a file exists and was not modified for `min_age`.
    pub(crate) async fn is_older(&self, file: &StoredFile, min_age: Duration) -> Result<bool, ObjectStoreError> {
        let modified = match self {
            Self::Folder(folder) => folder.modified_at(&file.key).await?,
            Self::Bucket(bucket) => bucket.modified_at(&file.key).await?,
        };
        Ok(modified.is_some_and(|at| is_older_than(at, min_age)))
    }

    pub(crate) async fn remove_file(&self, file: &StoredFile) -> Result<(), ObjectStoreError> {
        match self {
            Self::Folder(folder) => folder.remove_file(file).await,
            Self::Bucket(bucket) => bucket.remove_file(&file.key).await,
        }
    }
}

/// A walk through all files that the store has written.
pub(crate) enum StorageWalk {
    Folder(FileWalker),
    Bucket { objects: BoxStream<'static, Result<(String, ObjectMeta), ObjectStoreError>>, min_age: Duration },
}

impl StorageWalk {
    /// Returns the next `max_files` files; empty at the end.
    pub(crate) async fn next_batch(&mut self, max_files: usize) -> Result<Vec<StoredFile>, ObjectStoreError> {
        let (objects, min_age) = match self {
            Self::Folder(walker) => return Ok(walker.next_batch(max_files).await?),
            Self::Bucket { objects, min_age } => (objects, *min_age),
        };
        let mut files = Vec::new();
        while files.len() < max_files {
            let Some((key, object)) = objects.try_next().await? else { break };
            if is_older_than(object.last_modified.into(), min_age)
                && let Some(owner) = parse_owner(&key.split('/').collect::<Vec<_>>())
            {
                files.push(StoredFile { key, owner });
            }
        }
        Ok(files)
    }
}
