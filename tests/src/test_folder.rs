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
/// Dropping it removes it, unless the test is failing: then its logs and data stay, and standard error says where.
#[derive(Debug)]
pub(crate) struct TestFolder {
    /// `None` once it is dropped.
    folder: Option<TempDir>,
}

impl TestFolder {
    /// A new folder among the machine's temporary ones.
    pub(crate) fn new() -> Self {
        Self::new_in(&env::temp_dir())
    }

    /// A new folder in one that outlives it, for what is never dropped.
    pub(crate) fn new_in(parent: &Path) -> Self {
        let folder = or_fail(tempfile::Builder::new().prefix("medhub-test-").tempdir_in(parent), "making a folder");
        // Postgres runs as another user when the tests run as root.
        or_fail(fs::set_permissions(folder.path(), Permissions::from_mode(0o755)), "opening the folder");
        Self { folder: Some(folder) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take().filter(|_| thread::panicking()) else { return };
        let mut kept = folder.keep();
        // What is in the folder of the shared engines would be removed with it.
        let outside = kept.file_name().map(|name| env::temp_dir().join(name));
        if let Some(outside) = outside.filter(|outside| *outside != kept && fs::rename(&kept, outside).is_ok()) {
            kept = outside;
        }
        eprintln!("logs and data of the failed test are in {}", kept.display());
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::mpsc};

    use super::*;

    #[test]
    fn the_folder_of_a_test_that_fails_is_kept_outside_of_the_engines_folder() {
        let engines = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::channel();
        let parent = engines.path().to_owned();
        let failing = thread::spawn(move || {
            let folder = TestFolder::new_in(&parent);
            fs::write(folder.path().join("product.log"), "why").unwrap();
            tell.send(folder.path().to_owned()).unwrap();
            panic!("this test fails");
        });
        failing.join().unwrap_err();
        let made: PathBuf = told.recv().unwrap();

        let kept = env::temp_dir().join(made.file_name().unwrap());
        let log = fs::read_to_string(kept.join("product.log"));
        fs::remove_dir_all(&kept).unwrap();

        assert_eq!(log.unwrap(), "why");
        assert!(!made.exists());
    }

    #[test]
    fn the_folder_of_a_test_that_passes_is_removed() {
        let folder = TestFolder::new();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
