//! A data folder that one process uses at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::EngineError;

/// The kernel releases the lock when the process ends, so a killed one leaves nothing to clean up.
const LOCK_FILE: &str = "medhub.lock";

/// A data folder that this process has locked; dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let to_error = |source| EngineError::DataFolder { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(to_error)?;
        let path = path.canonicalize().map_err(to_error)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates an empty folder inside; a folder of that name is removed first.
    pub(crate) fn empty_subfolder(&self, name: &str) -> Result<PathBuf, EngineError> {
        let path = self.path.join(name);
        let outcome = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => fs::create_dir_all(&path),
        };
        match outcome {
            Ok(()) => Ok(path),
            Err(source) => Err(EngineError::DataFolder { path, source }),
        }
    }
}

fn lock(folder: &Path) -> Result<File, EngineError> {
    let path = folder.join(LOCK_FILE);
    let to_error = |source| EngineError::DataFolder { path: path.clone(), source };
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(to_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(EngineError::Locked { path: folder.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(to_error(source)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(to_error)?;
    writeln!(file, "{}", std::process::id()).map_err(to_error)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_folder_in_use_contains_the_pid() {
        let folder = tempfile::tempdir().unwrap();
        let folder_lock = DataFolder::open(folder.path()).unwrap();
        let error = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(error, EngineError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        drop(folder_lock);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_subfolder_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let folder_lock = DataFolder::open(folder.path()).unwrap();
        let spool = folder_lock.empty_subfolder("spool").unwrap();
        fs::write(spool.join("left-over"), "x").unwrap();
        folder_lock.empty_subfolder("spool").unwrap();
        assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
    }
}
