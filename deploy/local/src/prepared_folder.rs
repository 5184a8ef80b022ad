//! Folders that are made once from fetched artifacts and then only read, such as Kafka's start kit.
//!
//! Like an artifact, such a folder is complete or absent: it is filled as a draft and renamed into place. It goes to
//! the cache, which all stacks share, or to the stack's data folder if the cache cannot be written.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use crate::{artifact::ArtifactCache, folder};

/// Below the data folder of a stack.
const FALLBACK_FOLDER: &str = "prepared";
/// A draft is created before it is locked, so an unlocked one counts as left over only if it is older than this.
const LOCK_GRACE_PERIOD: Duration = Duration::from_mins(1);
/// The age at which a draft counts as left over where the file system has no locks.
const FILL_TIMEOUT: Duration = Duration::from_hours(1);

/// A prepared folder, whether it exists or not.
#[derive(Debug)]
pub(crate) struct PreparedFolder {
    kind: &'static str,
    name: String,
    /// The folders that may contain it, the preferred one first.
    parents: [PathBuf; 2],
}

impl PreparedFolder {
    /// The folder of this kind; `key` is a digest of everything that its content depends on.
    pub(crate) fn new(cache: &ArtifactCache, data: &Path, kind: &'static str, key: &str) -> Self {
        Self { kind, name: format!("{kind}-{key}"), parents: [cache.folder.clone(), data.join(FALLBACK_FOLDER)] }
    }

    /// Returns the path of the finished folder, if it exists.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        self.parents.iter().map(|parent| parent.join(&self.name)).find(|path| path.exists())
    }

    /// Creates a draft to fill, and removes the drafts of this kind that killed processes left behind.
    pub(crate) fn begin_draft(&self) -> anyhow::Result<FolderDraft> {
        let [cache, data] = &self.parents;
        self.begin_draft_in(cache).or_else(|error| {
            tracing::info!(error = %format!("{error:#}"), "the cache cannot be written, using {}", data.display());
            self.begin_draft_in(data)
        })
    }

    fn begin_draft_in(&self, parent: &Path) -> anyhow::Result<FolderDraft> {
        folder::create_folder(parent)?;
        let prefix = format!(".{}.", self.kind);
        remove_leftovers(parent, &prefix)?;
        let work = parent.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
        folder::create_folder(&work)?;
        let lock = File::open(&work).with_context(|| format!("opening {}", work.display()))?;
        if let Err(error) = lock.try_lock() {
            tracing::debug!(%error, "locking a draft failed");
        }
        Ok(FolderDraft { draft_path: work, target_path: parent.join(&self.name), _lock: lock })
    }
}

/// A prepared folder that is being filled; removed when dropped.
#[derive(Debug)]
pub(crate) struct FolderDraft {
    draft_path: PathBuf,
    target_path: PathBuf,
    /// Locked while the owner lives, so that other processes do not remove the draft.
    _lock: File,
}

impl FolderDraft {
    /// The folder to fill.
    pub(crate) fn path(&self) -> &Path {
        &self.draft_path
    }

    /// Renames the draft to the finished folder. If another process was faster, its folder is used: both are equal.
    pub(crate) fn publish(self) -> anyhow::Result<PathBuf> {
        match fs::rename(&self.draft_path, &self.target_path) {
            Err(error) if !self.target_path.exists() => {
                Err(error).with_context(|| format!("moving a finished folder to {}", self.target_path.display()))
            }
            Ok(()) | Err(_) => Ok(self.target_path.clone()),
        }
    }
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        if self.draft_path.exists()
            && let Err(error) = fs::remove_dir_all(&self.draft_path)
        {
            // `begin_draft` of another process removes it later.
            tracing::debug!(%error, "removing the draft {} failed", self.draft_path.display());
        }
    }
}

fn remove_leftovers(parent: &Path, prefix: &str) -> anyhow::Result<()> {
    let entries = fs::read_dir(parent).with_context(|| format!("listing {}", parent.display()))?;
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        let path = entry.path();
        let age =
            entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|modified| modified.elapsed().ok());
        let lock = File::open(&path);
        let least_age = match lock.as_ref().map(File::try_lock) {
            Ok(Err(TryLockError::WouldBlock)) => continue,
            Ok(Ok(())) => LOCK_GRACE_PERIOD,
            Ok(Err(TryLockError::Error(_))) | Err(_) => FILL_TIMEOUT,
        };
        if age.is_some_and(|age| age > least_age)
            && let Err(error) = fs::remove_dir_all(&path)
        {
            // It may belong to another user, whose processes can remove it.
            tracing::debug!(%error, "removing the leftover draft {} failed", path.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn prepared_folder(cache: &Path, data: &Path) -> PreparedFolder {
        let cache = ArtifactCache { folder: cache.to_owned(), use_system: false };
        PreparedFolder::new(&cache, data, "kit", "1")
    }

    fn draft_aged(cache: &Path, name: &str, age: Duration) -> PathBuf {
        let draft = cache.join(name);
        fs::create_dir(&draft).unwrap();
        File::open(&draft).unwrap().set_modified(SystemTime::now() - age).unwrap();
        draft
    }

    #[test]
    fn a_folder_is_found_once_it_is_published() {
        let root = tempfile::tempdir().unwrap();
        let prepared = prepared_folder(&root.path().join("cache"), root.path());
        assert_eq!(prepared.find(), None);

        let (draft, second_draft) = (prepared.begin_draft().unwrap(), prepared.begin_draft().unwrap());
        fs::write(draft.path().join("file"), "first").unwrap();
        fs::write(second_draft.path().join("file"), "second").unwrap();
        let path = draft.publish().unwrap();

        assert_eq!(second_draft.publish().unwrap(), path, "the first draft wins");
        assert_eq!(prepared.find(), Some(path.clone()));
        assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "first");
        assert_eq!(fs::read_dir(root.path().join("cache")).unwrap().count(), 1);
    }

    #[test]
    fn the_data_folder_replaces_a_cache_that_cannot_be_written() {
        let root = tempfile::tempdir().unwrap();
        // Root may write to every folder, but not below a file.
        let cache = root.path().join("file");
        fs::write(&cache, "").unwrap();
        let prepared = prepared_folder(&cache, &root.path().join("data"));

        let path = prepared.begin_draft().unwrap().publish().unwrap();

        assert_eq!(path, root.path().join("data/prepared/kit-1"));
        assert_eq!(prepared.find(), Some(path));
    }

    #[test]
    fn drafts_of_ended_processes_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let prepared = prepared_folder(root.path(), root.path());
        let held = prepared.begin_draft().unwrap();
        File::open(held.path()).unwrap().set_modified(SystemTime::now() - 2 * FILL_TIMEOUT).unwrap();
        let abandoned = draft_aged(root.path(), ".kit.abandoned", 2 * LOCK_GRACE_PERIOD);
        let new = draft_aged(root.path(), ".kit.new", Duration::ZERO);
        let other_kind = draft_aged(root.path(), ".other.abandoned", 2 * FILL_TIMEOUT);

        let _draft = prepared.begin_draft().unwrap();

        let exist = [held.path(), &abandoned, &new, &other_kind].map(Path::exists);
        assert_eq!(exist, [true, false, true, true]);
    }
}
