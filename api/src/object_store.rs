//! Object store: the files of documents on disk, by tenant, document and hash of the content.
//!
//! ```text
//! <dir>/<tenant>/<document>/<SHA-256>     a file, or the text that was extracted from it
//! <dir>/<tenant>/.<number>                an unfinished file
//! <dir>/<tenant>/<SHA-256>                a file of an older release, not bound to a document
//! ```
//!
//! The folder of a document is removed when the document is deleted. Files without a document, as after a crash or a
//! refused command, are removed by `ObjectSweeper`.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__OBJECTS__DIR` | `medhub-objects` | folder of uploaded files; shared by all processes that serve them |
//! | `MEDHUB__OBJECTS__PROGRESS_BYTES` | `65536` | an upload with fewer bytes within `PROGRESS_WITHIN_MS` is ended |
//! | `MEDHUB__OBJECTS__PROGRESS_WITHIN_MS` | `15000` | duration in which they must arrive; an upload that makes progress has no other time limit |
//! | `MEDHUB__OBJECTS__SWEEP_EVERY_S` | `3600` | interval of sweeps for files without a document |
//! | `MEDHUB__OBJECTS__ORPHANED_AFTER_S` | `3600` | minimum age of files that are swept, so that uploads in progress are not removed |

mod sweeper;
mod unfinished_file;
mod upload_body;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::value::TenantId;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
    sync::mpsc,
};
use uuid::Uuid;

pub use self::sweeper::ObjectSweeper;
use self::unfinished_file::UnfinishedFile;
pub use self::upload_body::UploadBodyError;
pub(crate) use self::upload_body::enforce_progress;

/// Bytes at the beginning of a file by which its media type is detected.
const HEAD_BYTES: usize = 4_096;

/// Most queued removals of deleted documents; beyond it the next sweep removes the files.
const MAX_PENDING_REMOVALS: usize = 1_024;

/// Configuration of the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// Folder of the files; shared by all processes that serve them.
    pub dir: PathBuf,
    /// Bytes of an upload that must arrive within `progress_within_ms`.
    pub progress_bytes: u64,
    /// Duration in which `progress_bytes` must arrive, in milliseconds.
    pub progress_within_ms: u64,
    /// Interval of sweeps for files without a document, in seconds.
    pub sweep_every_s: u64,
    /// Minimum age of files that are swept, in seconds: an upload that is about to be recorded is younger.
    pub orphaned_after_s: u64,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("medhub-objects"),
            progress_bytes: 64 << 10,
            progress_within_ms: 15_000,
            sweep_every_s: 3_600,
            orphaned_after_s: 3_600,
        }
    }
}

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
    removal_sender: mpsc::Sender<ObjectOwner>,
    /// Taken by the sweeper, of which there is one.
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

/// Why a file cannot be stored.
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
    /// Writing to the disk failed.
    #[error("cannot store the file")]
    Io(#[from] io::Error),
}

impl ObjectStore {
    /// Creates a store in the configured folder, which is created on demand.
    pub fn new(config: &ObjectsConfig) -> Self {
        let (removal_sender, removal_receiver) = mpsc::channel(MAX_PENDING_REMOVALS);
        let removal_receiver = Arc::new(Mutex::new(Some(removal_receiver)));
        Self { config: Arc::new(config.clone()), removal_sender, removal_receiver }
    }

    /// Returns the bytes that must arrive within a duration for an upload to continue.
    pub(crate) fn required_progress(&self) -> (u64, Duration) {
        (self.config.progress_bytes, Duration::from_millis(self.config.progress_within_ms.max(1)))
    }

    /// Stores a file of a document, `max_bytes` bytes at most. It appears under its key only when it is completely on
    /// disk.
    ///
    /// # Errors
    /// When the file is too long, is aborted, or cannot be written. Then no part of it remains, as when the call is
    /// cancelled.
    pub async fn put<E>(
        &self,
        owner: &ObjectOwner,
        mut body: impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin,
        max_bytes: u64,
    ) -> Result<StoredObject, ObjectStoreError>
    where
        ObjectStoreError: From<E>,
    {
        let tenant = self.config.dir.join(owner.tenant.as_str());
        fs::create_dir_all(&tenant).await?;
        let unfinished = UnfinishedFile::new(tenant.join(format!(".{}", Uuid::new_v4().simple())));
        let written = write_file(unfinished.path(), &mut body, max_bytes).await?;
        // Storing the same file again replaces it.
        unfinished.publish_as(&self.document_folder(owner).join(&written.sha256)).await?;
        let key = format!("{}/{}/{}", owner.tenant, owner.document, written.sha256);
        Ok(StoredObject { key, ..written })
    }

    /// Opens a stored file; `None` if there is none under this key.
    ///
    /// # Errors
    /// [`io::Error`] when the file cannot be read.
    pub async fn get(&self, key: &str) -> io::Result<Option<File>> {
        let Some(path) = self.resolve_path(key) else { return Ok(None) };
        match File::open(path).await {
            Ok(file) if file.metadata().await?.is_file() => Ok(Some(file)),
            Ok(_folder) => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Schedules removal of a document's files; the sweeper removes them if the log says that the document is deleted.
    pub(crate) fn schedule_removal(&self, owner: ObjectOwner) {
        if self.removal_sender.try_send(owner).is_err() {
            tracing::debug!("the files of a deleted document are removed by the next sweep");
        }
    }

    /// Removes all files of a document.
    pub(crate) async fn remove_document(&self, owner: &ObjectOwner) -> io::Result<()> {
        match fs::remove_dir_all(self.document_folder(owner)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn document_folder(&self, owner: &ObjectOwner) -> PathBuf {
        self.config.dir.join(owner.tenant.as_str()).join(owner.document.to_string())
    }

    /// Returns the path of a key; `None` for an invalid key.
    fn resolve_path(&self, key: &str) -> Option<PathBuf> {
        let parts: Vec<_> = key.split('/').collect();
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        let is_valid = matches!(parts.len(), 2 | 3) && parts.into_iter().all(is_name);
        is_valid.then(|| self.config.dir.join(key))
    }

    fn take_removal_receiver(&self) -> Option<mpsc::Receiver<ObjectOwner>> {
        self.removal_receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn write_file<E>(
    path: &Path,
    body: &mut (impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin),
    max_bytes: u64,
) -> Result<StoredObject, ObjectStoreError>
where
    ObjectStoreError: From<E>,
{
    let (mut file, mut digest, mut bytes) = (File::create_new(path).await?, Sha256::new(), 0_u64);
    let mut head = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > max_bytes {
            return Err(ObjectStoreError::TooLong(max_bytes));
        }
        head.extend(chunk.iter().take(HEAD_BYTES.saturating_sub(head.len())));
        digest.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.sync_all().await?;
    Ok(StoredObject { key: String::new(), sha256: format!("{:x}", digest.finalize()), bytes, head })
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures::stream;

    use super::*;

    fn byte_stream(
        parts: &[&'static str],
    ) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Unpin + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    fn file_names(folder: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_file_is_stored_under_its_document_and_hash_and_an_aborted_one_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = ObjectStore::new(&ObjectsConfig { dir: folder.path().to_owned(), ..ObjectsConfig::default() });
        let owner = ObjectOwner { tenant: TenantId::try_new("acme").unwrap(), document: Uuid::from_u128(7) };
        let stored = objects.put(&owner, byte_stream(&["ab", "c"]), 3).await.unwrap();
        assert_eq!(stored, objects.put(&owner, byte_stream(&["abc"]), 3).await.unwrap());
        assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(stored.head, b"abc");
        assert!(objects.get(&stored.key).await.unwrap().is_some());

        let too_long = objects.put(&owner, byte_stream(&["ab", "cd"]), 3).await;
        assert!(matches!(too_long, Err(ObjectStoreError::TooLong(3))));
        let interrupted = stream::iter([Ok(Bytes::from_static(b"ab")), Err(UploadBodyError::Interrupted)]);
        assert!(matches!(
            objects.put(&owner, interrupted, 3).await,
            Err(ObjectStoreError::Body(UploadBodyError::Interrupted))
        ));
        // A request that is cancelled while its body arrives.
        let endless = Box::pin(byte_stream(&["ab"]).chain(stream::pending()));
        let cancelled = tokio::time::timeout(Duration::from_millis(50), objects.put(&owner, endless, 3)).await;
        assert!(cancelled.is_err());
        assert_eq!(file_names(&folder.path().join("acme")), [owner.document.to_string()]);
        assert_eq!(file_names(&objects.document_folder(&owner)), std::slice::from_ref(&stored.sha256));

        let invalid_keys =
            ["../x", "acme/../../etc/passwd", "acme", "acme/.x", "", "/etc/passwd", "acme/unknown", "a/b/c/d"];
        for key in invalid_keys.into_iter().chain(["acme/../x", "acme//x", "a\\b/c"]) {
            assert!(objects.get(key).await.unwrap().is_none(), "{key}");
        }
        objects.remove_document(&owner).await.unwrap();
        objects.remove_document(&owner).await.unwrap();
        assert!(objects.get(&stored.key).await.unwrap().is_none());
    }
}
