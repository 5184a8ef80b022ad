//! Files: held by the document that they belong to and the hash of what is in them, below their tenant.
//!
//! ```text
//! <dir>/<tenant>/<document>/<SHA-256>     a file, and the text that was read from it
//! <dir>/<tenant>/.<number>                one that is on its way
//! <dir>/<tenant>/<SHA-256>                from before files belonged to one document each
//! ```
//!
//! A document that is deleted takes its folder along. What no document has, because a process ended at the wrong moment or
//! a command was refused, is found by `ObjectSweeper`.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__OBJECTS__DIR` | `medhub-objects` | folder of uploaded files; shared by all processes that serve them |
//! | `MEDHUB__OBJECTS__PROGRESS_BYTES` | `65536` | an upload of which less comes within `PROGRESS_WITHIN_MS` is given up |
//! | `MEDHUB__OBJECTS__PROGRESS_WITHIN_MS` | `15000` | the time for that; an upload that goes on may take as long as it takes |
//! | `MEDHUB__OBJECTS__SWEEP_EVERY_S` | `3600` | how often files that no document has are looked for |
//! | `MEDHUB__OBJECTS__ORPHANED_AFTER_S` | `3600` | how old they have to be, to be none that are on their way |

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

use self::unfinished_file::UnfinishedFile;
pub(crate) use self::{
    sweeper::ObjectSweeper,
    upload_body::{UploadBodyError, enforce_progress},
};

/// Bytes at the beginning of a file by which its kind is told.
const HEAD_BYTES: usize = 4_096;

/// Deleted documents whose files are still to be removed; those that find no place are found by the next sweep.
const MAX_PENDING_REMOVALS: usize = 1_024;

/// Settings of the store of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The folder.
    pub dir: PathBuf,
    /// Bytes of an upload that have to come within `progress_within_ms`.
    pub progress_bytes: u64,
    /// The time for that, in milliseconds.
    pub progress_within_ms: u64,
    /// How often files that no document has are looked for, in seconds.
    pub sweep_every_s: u64,
    /// How old they have to be, in seconds: an upload that is about to be recorded is younger.
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

/// Whose files they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectOwner {
    /// The company.
    pub tenant: TenantId,
    /// The document.
    pub document: Uuid,
}

/// Holds files. Cheap to clone; clones are the same store.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    config: Arc<ObjectsConfig>,
    removal_sender: mpsc::Sender<ObjectOwner>,
    /// For the sweeper, of which there is one.
    removal_receiver: Arc<Mutex<Option<mpsc::Receiver<ObjectOwner>>>>,
}

/// A file that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Where: `<tenant>/<document>/<SHA-256>`.
    pub key: String,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// How it begins.
    pub head: Vec<u8>,
}

/// Why a file is not held.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// It is longer than it may be.
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    /// The client broke off.
    #[error("the file broke off")]
    Interrupted,
    /// Next to nothing of it came.
    #[error("the file came too slowly: at least {bytes} bytes have to come every {seconds} s")]
    TooSlow {
        /// What has to come.
        bytes: u64,
        /// Within that time.
        seconds: u64,
    },
    /// The form that it comes in is none.
    #[error("the form cannot be read: {0}")]
    InvalidForm(String),
    /// The disk did not take it.
    #[error("keeping the file")]
    Io(#[from] io::Error),
}

impl ObjectStore {
    /// In the folder of these settings, which is made when it is needed.
    pub fn new(config: &ObjectsConfig) -> Self {
        let (deleted, to_remove) = mpsc::channel(MAX_PENDING_REMOVALS);
        let to_remove = Arc::new(Mutex::new(Some(to_remove)));
        Self { config: Arc::new(config.clone()), removal_sender: deleted, removal_receiver: to_remove }
    }

    /// How slowly an upload may come.
    pub(crate) fn required_progress(&self) -> (u64, Duration) {
        (self.config.progress_bytes, Duration::from_millis(self.config.progress_within_ms.max(1)))
    }

    /// Holds a file of a document, `most` bytes at most. It is under its name only when all of it is on the disk.
    ///
    /// # Errors
    /// When the file is too long, breaks off, or the disk does not take it; nothing is left behind then, nor where nobody
    /// waits for the answer any more.
    pub async fn put<E>(
        &self,
        owner: &ObjectOwner,
        mut body: impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin,
        most: u64,
    ) -> Result<StoredObject, ObjectStoreError>
    where
        ObjectStoreError: From<E>,
    {
        let tenant = self.config.dir.join(owner.tenant.as_str());
        fs::create_dir_all(&tenant).await?;
        let unfinished = UnfinishedFile::new(tenant.join(format!(".{}", Uuid::new_v4().simple())));
        let written = write_file(unfinished.path(), &mut body, most).await?;
        // The same file again replaces itself.
        unfinished.publish_as(&self.document_folder(owner).join(&written.sha256)).await?;
        let key = format!("{}/{}/{}", owner.tenant, owner.document, written.sha256);
        Ok(StoredObject { key, ..written })
    }

    /// A file that is held; `None` where there is none under that key.
    ///
    /// # Errors
    /// [`io::Error`] when the disk does not give it.
    pub async fn get(&self, key: &str) -> io::Result<Option<File>> {
        let Some(path) = self.resolve_path(key) else { return Ok(None) };
        match File::open(path).await {
            Ok(file) if file.metadata().await?.is_file() => Ok(Some(file)),
            Ok(_folder) => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A document may have been deleted: its files are removed soon, if the log says so.
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

    /// Where a file is; `None` for what is no key of a file.
    fn resolve_path(&self, key: &str) -> Option<PathBuf> {
        let parts: Vec<_> = key.split('/').collect();
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        let is_ours = matches!(parts.len(), 2 | 3) && parts.into_iter().all(is_name);
        is_ours.then(|| self.config.dir.join(key))
    }

    fn take_removal_receiver(&self) -> Option<mpsc::Receiver<ObjectOwner>> {
        self.removal_receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn write_file<E>(
    path: &Path,
    body: &mut (impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin),
    most: u64,
) -> Result<StoredObject, ObjectStoreError>
where
    ObjectStoreError: From<E>,
{
    let (mut file, mut digest, mut bytes) = (File::create_new(path).await?, Sha256::new(), 0_u64);
    let mut head = Vec::new();
    while let Some(some) = body.next().await {
        let some = some?;
        bytes = bytes.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
        if bytes > most {
            return Err(ObjectStoreError::TooLong(most));
        }
        head.extend(some.iter().take(HEAD_BYTES.saturating_sub(head.len())));
        digest.update(&some);
        file.write_all(&some).await?;
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
    async fn a_file_is_held_under_its_document_and_its_hash_and_nothing_is_left_of_one_that_broke_off() {
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
        let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err(UploadBodyError::Interrupted)]);
        assert!(matches!(objects.put(&owner, broken, 3).await, Err(ObjectStoreError::Interrupted)));
        // A request that is given up while its body comes: nobody waits for it any more.
        let endless = Box::pin(byte_stream(&["ab"]).chain(stream::pending()));
        let given_up = tokio::time::timeout(Duration::from_millis(50), objects.put(&owner, endless, 3)).await;
        assert!(given_up.is_err());
        assert_eq!(file_names(&folder.path().join("acme")), [owner.document.to_string()]);
        assert_eq!(file_names(&objects.document_folder(&owner)), std::slice::from_ref(&stored.sha256));

        let outside =
            ["../x", "acme/../../etc/passwd", "acme", "acme/.x", "", "/etc/passwd", "acme/unknown", "a/b/c/d"];
        for key in outside.into_iter().chain(["acme/../x", "acme//x", "a\\b/c"]) {
            assert!(objects.get(key).await.unwrap().is_none(), "{key}");
        }
        objects.remove_document(&owner).await.unwrap();
        objects.remove_document(&owner).await.unwrap();
        assert!(objects.get(&stored.key).await.unwrap().is_none());
    }
}
