//! Files: kept by the hash of what is in them, below the tenant that they belong to.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__OBJECTS__DIR` | `medhub-objects` | folder of uploaded files; shared by all processes that serve them |

use std::{
    io,
    path::{Path, PathBuf},
};

use domain::value::TenantId;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};
use uuid::Uuid;

/// Settings of the store of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The folder.
    pub dir: PathBuf,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self { dir: PathBuf::from("medhub-objects") }
    }
}

/// Holds files.
#[derive(Debug, Clone)]
pub struct Objects {
    dir: PathBuf,
}

/// A file that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where: `<tenant>/<SHA-256>`.
    pub key: String,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Why a file is not held.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailure {
    /// It is longer than it may be.
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    /// The client broke off.
    #[error("the file broke off")]
    Broken,
    /// The disk did not take it.
    #[error("keeping the file")]
    Disk(#[from] io::Error),
}

impl Objects {
    /// In the folder of these settings, which is made when it is needed.
    pub fn new(config: &ObjectsConfig) -> Self {
        Self { dir: config.dir.clone() }
    }

    /// Holds a file of a tenant, `most` bytes at most. It is under its name only when all of it is on the disk.
    ///
    /// # Errors
    /// When the file is too long, breaks off, or the disk does not take it; nothing is left behind then.
    pub async fn put<E>(
        &self,
        tenant: &TenantId,
        mut body: impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin,
        most: u64,
    ) -> Result<Stored, StoreFailure> {
        let folder = self.dir.join(tenant.as_str());
        fs::create_dir_all(&folder).await?;
        let unfinished = folder.join(format!(".{}", Uuid::new_v4().simple()));
        let written = write(&unfinished, &mut body, most).await;
        let (sha256, bytes) = match written {
            Ok(written) => written,
            Err(failure) => {
                // It may not even be there.
                drop(fs::remove_file(&unfinished).await);
                return Err(failure);
            }
        };
        // The same file again replaces itself.
        fs::rename(&unfinished, folder.join(&sha256)).await?;
        Ok(Stored { key: format!("{tenant}/{sha256}"), sha256, bytes })
    }

    /// A file that is held; `None` where there is none under that key.
    ///
    /// # Errors
    /// [`io::Error`] when the disk does not give it.
    pub async fn get(&self, key: &str) -> io::Result<Option<File>> {
        let is_ours =
            key.split('/').count() == 2 && !key.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        if !is_ours {
            return Ok(None);
        }
        match File::open(self.dir.join(key)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn write<E>(
    path: &Path,
    body: &mut (impl Stream<Item = Result<axum::body::Bytes, E>> + Unpin),
    most: u64,
) -> Result<(String, u64), StoreFailure> {
    let (mut file, mut digest, mut bytes) = (File::create_new(path).await?, Sha256::new(), 0_u64);
    while let Some(some) = body.next().await {
        let some = some.map_err(|_| StoreFailure::Broken)?;
        bytes = bytes.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
        if bytes > most {
            return Err(StoreFailure::TooLong(most));
        }
        digest.update(&some);
        file.write_all(&some).await?;
    }
    file.sync_all().await?;
    Ok((format!("{:x}", digest.finalize()), bytes))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures::stream;

    use super::*;

    fn body(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, ()>> + Unpin + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_file_is_held_once_under_its_hash_and_nothing_is_left_of_one_that_broke_off() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::new(&ObjectsConfig { dir: folder.path().to_owned() });
        let acme = TenantId::try_new("acme").unwrap();
        let stored = objects.put(&acme, body(&["ab", "c"]), 3).await.unwrap();
        assert_eq!(stored, objects.put(&acme, body(&["abc"]), 3).await.unwrap());
        assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(objects.get(&stored.key).await.unwrap().is_some());

        let too_long = objects.put(&acme, body(&["ab", "cd"]), 3).await;
        assert!(matches!(too_long, Err(StoreFailure::TooLong(3))));
        let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err(())]);
        assert!(matches!(objects.put(&acme, broken, 3).await, Err(StoreFailure::Broken)));
        assert_eq!(std::fs::read_dir(folder.path().join("acme")).unwrap().count(), 1);
        for key in ["../x", "acme/../../etc/passwd", "acme", "acme/.x", "", "/etc/passwd", "acme/unknown"] {
            assert!(objects.get(key).await.unwrap().is_none(), "{key}");
        }
    }
}
