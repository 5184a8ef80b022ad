//! Folders for logs and data of tests.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
};

use tempfile::TempDir;

use crate::failure::or_fail;

/// A folder of a test's own.
///
/// Dropping it removes the folder, unless the test is failing: then logs and data stay, and standard error names the
/// folder.
#[derive(Debug)]
pub(crate) struct TestFolder {
    /// `None` once it is dropped.
    folder: Option<TempDir>,
}

impl TestFolder {
    /// A new folder in the system's folder for temporary files.
    pub(crate) fn new() -> Self {
        Self::new_in(&env::temp_dir())
    }

    /// A new folder in `parent`, which removes it if this value is never dropped.
    pub(crate) fn new_in(parent: &Path) -> Self {
        let folder = or_fail(tempfile::Builder::new().prefix("medhub-test-").tempdir_in(parent), "creating a folder");
        // Postgres runs as another user when the tests run as root.
        or_fail(fs::set_permissions(folder.path(), Permissions::from_mode(0o755)), "setting the folder's permissions");
        Self { folder: Some(folder) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take().filter(|_| thread::panicking()) else { return };
        let mut path = folder.keep();
        // A folder inside that of the shared engines would be removed with it.
        let outside = path.file_name().map(|name| env::temp_dir().join(name));
        if let Some(outside) = outside.filter(|outside| *outside != path && fs::rename(&path, outside).is_ok()) {
            path = outside;
        }
        eprintln!("logs and data of the failed test are in {}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::mpsc};

    use super::*;

    #[test]
    fn the_folder_of_a_failed_test_is_moved_out_of_the_engines_folder() {
        let engines = tempfile::tempdir().unwrap();
        let (sender, receiver) = mpsc::channel();
        let parent = engines.path().to_owned();
        let failing = thread::spawn(move || {
            let folder = TestFolder::new_in(&parent);
            fs::write(folder.path().join("product.log"), "why").unwrap();
            sender.send(folder.path().to_owned()).unwrap();
            panic!("this test fails");
        });
        failing.join().unwrap_err();
        let original: PathBuf = receiver.recv().unwrap();

        let moved = env::temp_dir().join(original.file_name().unwrap());
        let log = fs::read_to_string(moved.join("product.log"));
        fs::remove_dir_all(&moved).unwrap();

        assert_eq!(log.unwrap(), "why");
        assert!(!original.exists());
    }

    #[test]
    fn the_folder_of_a_passed_test_is_removed() {
        let folder = TestFolder::new();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
