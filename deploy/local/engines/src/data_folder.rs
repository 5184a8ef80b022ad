//! A data folder that one process uses at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::EngineError;

/// The lock lives as long as the process, so a killed one leaves nothing to clean up.
const LOCK_FILE: &str = "medhub.lock";

/// A data folder this process holds the lock of; dropping it lets go.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let broken = |source| EngineError::DataFolder { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(broken)?;
        let path = path.canonicalize().map_err(broken)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder inside, empty.
    pub(crate) fn empty_subfolder(&self, name: &str) -> Result<PathBuf, EngineError> {
        let path = self.path.join(name);
        let made = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => fs::create_dir_all(&path),
        };
        match made {
            Ok(()) => Ok(path),
            Err(source) => Err(EngineError::DataFolder { path, source }),
        }
    }
}

fn lock(folder: &Path) -> Result<File, EngineError> {
    let path = folder.join(LOCK_FILE);
    let broken = |source| EngineError::DataFolder { path: path.clone(), source };
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(broken)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(EngineError::Locked { path: folder.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(broken(source)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(broken)?;
    writeln!(file, "{}", std::process::id()).map_err(broken)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_names_the_process_that_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataFolder::open(folder.path()).unwrap();
        let refused = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(refused, EngineError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        drop(held);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_subfolder_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataFolder::open(folder.path()).unwrap();
        let spool = held.empty_subfolder("spool").unwrap();
        fs::write(spool.join("left-over"), "x").unwrap();
        held.empty_subfolder("spool").unwrap();
        assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
    }
}
