//! Files in a folder on disk, which all processes that serve them share.
//!
//! ```text
//! <dir>/<key>                  a complete file
//! <dir>/<tenant>/.<number>     an unfinished file
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};
use uuid::Uuid;

use super::{
    ObjectOwner, ObjectReader, ObjectStoreError, StoredObject,
    durable_folder::create_folder,
    file_walker::{FileWalker, StoredFile},
    metered_content::MeteredContent,
    object_key::FileOwner,
    unfinished_file::UnfinishedFile,
};

/// A folder of files.
#[derive(Debug, Clone)]
pub(crate) struct FolderStorage {
    dir: Arc<Path>,
}

impl FolderStorage {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    pub(crate) async fn put(
        &self,
        owner: &ObjectOwner,
        mut content: MeteredContent<'_>,
    ) -> Result<StoredObject, ObjectStoreError> {
        let tenant = self.dir.join(owner.tenant.as_str());
        create_folder(&tenant).await?;
        let unfinished = UnfinishedFile::new(tenant.join(format!(".{}", Uuid::new_v4().simple())));
        write_file(unfinished.path(), &mut content).await?;
        let stored = content.finish(owner);
        unfinished.publish_as(&self.dir.join(&stored.key)).await?;
        Ok(stored)
    }

    pub(crate) async fn open(&self, key: &str) -> Result<Option<ObjectReader>, ObjectStoreError> {
        match File::open(self.dir.join(key)).await {
            Ok(file) => {
                let metadata = file.metadata().await?;
                Ok(metadata.is_file().then(|| ObjectReader::from_file(file, metadata.len())))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn remove_document(&self, owner: &ObjectOwner) -> Result<(), ObjectStoreError> {
        match fs::remove_dir_all(self.document_folder(owner)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Creates the folder if it does not exist.
    pub(crate) async fn ping(&self) -> Result<(), ObjectStoreError> {
        fs::create_dir_all(&self.dir).await?;
        drop(fs::read_dir(&self.dir).await?);
        Ok(())
    }

    pub(crate) async fn walk(&self, min_age: Duration) -> Result<FileWalker, ObjectStoreError> {
        Ok(FileWalker::open(&self.dir, min_age).await?)
    }

    /// When a file was modified; `None` if there is none under this key.
    pub(crate) async fn modified_at(&self, key: &str) -> Result<Option<SystemTime>, ObjectStoreError> {
        match fs::metadata(self.dir.join(key)).await {
            Ok(metadata) => Ok(Some(metadata.modified()?)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn remove_file(&self, file: &StoredFile) -> Result<(), ObjectStoreError> {
        let path = self.dir.join(&file.key);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        // Removes the document's folder with its last file; fails harmlessly while it has other files.
        if let (FileOwner::Document(_), Some(folder)) = (&file.owner, path.parent()) {
            drop(fs::remove_dir(folder).await);
        }
        Ok(())
    }

    fn document_folder(&self, owner: &ObjectOwner) -> PathBuf {
        self.dir.join(owner.tenant.as_str()).join(owner.document.to_string())
    }
}

async fn write_file(path: &Path, content: &mut MeteredContent<'_>) -> Result<(), ObjectStoreError> {
    // Not in the background, where it would go on when the request is cancelled, after the file was removed.
    let mut file = File::from_std(std::fs::File::create_new(path)?);
    while let Some(part) = content.next_part().await? {
        file.write_all(&part).await?;
    }
    file.sync_all().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::value::TenantId;
    use futures::{Stream, StreamExt as _, stream};

    use super::*;
    use crate::{ObjectStore, ObjectsConfig, UploadBodyError};

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
        let objects =
            ObjectStore::new(&ObjectsConfig { dir: folder.path().to_owned(), ..ObjectsConfig::default() }).unwrap();
        let owner = ObjectOwner { tenant: TenantId::try_new("acme").unwrap(), document: Uuid::from_u128(7) };
        let stored = objects.put(&owner, byte_stream(&["ab", "c"]), 3).await.unwrap();
        assert_eq!(stored, objects.put(&owner, byte_stream(&["abc"]), 3).await.unwrap());
        assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(stored.head, b"abc");
        assert!(objects.open(&stored.key).await.unwrap().is_some());

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
        assert_eq!(
            file_names(&FolderStorage::new(folder.path()).document_folder(&owner)),
            std::slice::from_ref(&stored.sha256)
        );

        for key in ["acme/unknown", "acme/../x", &format!("acme/{}", owner.document)] {
            assert!(objects.open(key).await.unwrap().is_none(), "{key}");
        }
        objects.remove_document(&owner).await.unwrap();
        objects.remove_document(&owner).await.unwrap();
        assert!(objects.open(&stored.key).await.unwrap().is_none());
    }
}
