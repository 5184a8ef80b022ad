//! The folder where a process has copies of files while they are read. It is removed when the process ends, and by the
//! next process if it was killed.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::ExtractionConfig;

/// How the names of the folders of processes begin.
const PREFIX: &str = "process-";

/// Only the user that runs the program may read copies of files.
const PRIVATE: u32 = 0o700;

/// Attempts to create a folder: a process that starts at the same moment may remove it before it is locked.
const MAX_ATTEMPTS: usize = 5;

/// A folder of this process, locked as long as the process lives. Dropping it removes it.
#[derive(Debug)]
pub struct ExtractionFolder {
    /// Dropped before the lock.
    folder: TempDir,
    _lock: File,
    removed_folders: usize,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folder {} for copies of files cannot be used; set MEDHUB__EXTRACTION__FOLDER to a folder of the user that \
     runs this program",
    path.display()
)]
pub struct ExtractionFolderError {
    /// The configured folder, or the default.
    path: PathBuf,
    /// What the system says.
    source: io::Error,
}

impl ExtractionFolder {
    /// Removes the folders of processes that were killed, and creates one for this process.
    ///
    /// # Errors
    /// [`ExtractionFolderError`] when the configured folder cannot be created or written, or belongs to another user.
    pub fn open(config: &ExtractionConfig) -> Result<Self, ExtractionFolderError> {
        let default = || std::env::temp_dir().join(format!("medhub-extraction-{}", geteuid()));
        let parent = config.folder.clone().unwrap_or_else(default);
        Self::open_below(&parent).map_err(|source| ExtractionFolderError { path: parent, source })
    }

    /// Its path, which is absolute.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How many folders of killed processes were removed.
    pub fn removed_folders(&self) -> usize {
        self.removed_folders
    }

    fn open_below(parent: &Path) -> io::Result<Self> {
        let parent = std::path::absolute(parent)?;
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&parent)?;
        // Anybody can create a folder or a link of this name in the temporary folder of the system.
        let metadata = fs::symlink_metadata(&parent)?;
        if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user, or is a link"));
        }
        let removed_folders = remove_abandoned(&parent)?;
        for _ in 0..MAX_ATTEMPTS {
            let mut builder = tempfile::Builder::new();
            let folder = builder.prefix(PREFIX).permissions(Permissions::from_mode(PRIVATE)).tempdir_in(&parent)?;
            let locked = File::open(folder.path()).ok().filter(|lock| lock.try_lock().is_ok());
            // Another process may have removed it before it was locked; afterwards none does.
            if let Some(lock) = locked
                && folder.path().is_dir()
            {
                return Ok(Self { folder, _lock: lock, removed_folders });
            }
        }
        Err(io::Error::other("other processes remove each new folder at once, or it cannot be locked"))
    }
}

/// Removes the folders that no process has locked; returns how many.
fn remove_abandoned(parent: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        // Another process may remove it at the same time.
        let Ok(folder) = File::open(entry.path()) else { continue };
        if folder.try_lock().is_ok() && fs::remove_dir_all(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(parent: &Path) -> Result<ExtractionFolder, ExtractionFolderError> {
        ExtractionFolder::open(&ExtractionConfig { folder: Some(parent.to_owned()), ..ExtractionConfig::default() })
    }

    #[test]
    fn only_folders_of_killed_processes_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let parent = temporary.path().join("extraction");
        let living = open(&parent).unwrap();
        fs::write(living.path().join("rfp.pdf"), "secret").unwrap();
        // The folder of a process that was killed has no lock.
        let abandoned = parent.join("process-killed");
        fs::create_dir_all(abandoned.join("medhub-extraction-x")).unwrap();
        fs::write(abandoned.join("medhub-document-y"), "secret").unwrap();
        fs::create_dir(parent.join("of-somebody-else")).unwrap();
        let next = open(&parent).unwrap();
        assert_eq!((living.removed_folders(), next.removed_folders()), (0, 1));
        assert!(!abandoned.exists() && parent.join("of-somebody-else").exists());
        assert!(living.path().join("rfp.pdf").exists() && next.path() != living.path());
        assert_eq!(fs::metadata(next.path()).unwrap().mode() & 0o777, PRIVATE);
        let (first, second) = (living.path().to_owned(), next.path().to_owned());
        drop((living, next));
        assert!(!first.exists() && !second.exists());
    }

    #[test]
    fn a_link_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(temporary.path(), &link).unwrap();
        let error = open(&link).unwrap_err();
        assert!(error.to_string().contains("MEDHUB__EXTRACTION__FOLDER"), "{error}");
    }
}
