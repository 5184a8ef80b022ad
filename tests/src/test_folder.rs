//! Folders for logs and data of tests.
//!
//! They are in memory if there is enough of it: the engines write, copy and remove hundreds of thousands of small files,
//! which takes a disk's file system a multiple of the time. A process that is killed loses nothing of either.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::LazyLock,
    thread,
};

use nix::sys::{
    statfs::{TMPFS_MAGIC, statfs},
    statvfs::statvfs,
};
use tempfile::TempDir;

use crate::failure::or_fail;

/// Where Linux has a file system in memory for everybody.
const MEMORY_FOLDER: &str = "/dev/shm";

/// Bytes that must be free there, and in memory: a run of all tests stores some 8 GB at a time, and its programs use 4.
const MIN_FREE_MEMORY: u64 = 16 << 30;

/// Names of test folders begin with this, and with the pid of the test program.
const FOLDER_PREFIX: &str = "medhub-test-";

/// The parent of all test folders.
static PARENT_FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new(MEMORY_FOLDER);
    // A folder that somebody has chosen has its reasons.
    if env::var_os("TMPDIR").is_some() || !has_free_memory(memory) {
        return env::temp_dir();
    }
    remove_leftovers(memory);
    memory.to_owned()
});

/// A folder of a test's own.
///
/// Dropping it removes the folder, unless the test is failing: then logs and data stay, and standard error names the
/// folder.
#[derive(Debug)]
pub struct TestFolder {
    /// `None` once it is dropped.
    folder: Option<TempDir>,
}

impl TestFolder {
    /// A new folder in memory, or in the system's folder for temporary files.
    ///
    /// # Panics
    /// If it cannot be created.
    #[expect(clippy::new_without_default, reason = "two of them are never equal")]
    pub fn new() -> Self {
        Self::new_in(&PARENT_FOLDER)
    }

    /// A new folder in `parent`, which removes it if this value is never dropped.
    pub(crate) fn new_in(parent: &Path) -> Self {
        let prefix = format!("{FOLDER_PREFIX}{}-", process::id());
        let folder = or_fail(tempfile::Builder::new().prefix(&prefix).tempdir_in(parent), "creating a folder");
        // Postgres runs as another user when the tests run as root.
        or_fail(fs::set_permissions(folder.path(), Permissions::from_mode(0o755)), "setting the folder's permissions");
        Self { folder: Some(folder) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take().filter(|_| thread::panicking()) else { return };
        let mut path = folder.keep();
        // A folder inside that of the shared engines would be removed with it, and one in memory would occupy it.
        let outside = path.file_name().map(|name| env::temp_dir().join(name));
        if let Some(outside) = outside.filter(|outside| *outside != path && move_folder(&path, outside)) {
            path = outside;
        }
        eprintln!("logs and data of the failed test are in {}", path.display());
    }
}

/// Whether `folder` is in memory, can hold the data of all tests, and leaves enough memory to their programs.
fn has_free_memory(folder: &Path) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let is_in_memory = statfs(folder).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC);
    let free = statvfs(folder).map(|system| system.blocks_available() * system.fragment_size()).unwrap_or_default();
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|table| available_memory(&table));
    is_in_memory
        && has_attributes_in_memory(&release)
        && free >= MIN_FREE_MEMORY
        && available.is_some_and(|bytes| bytes >= MIN_FREE_MEMORY)
}

/// Whether files in memory have attributes of users, in which the S3 server stores what it knows of an object: since
/// Linux 6.6.
fn has_attributes_in_memory(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    let mut next_number = || numbers.next().and_then(Result::ok);
    (next_number(), next_number()) >= (Some(6), Some(6))
}

/// The available memory in bytes, from the kernel's table.
fn available_memory(table: &str) -> Option<u64> {
    let kib = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<u64>().ok()? * 1024)
}

/// Removes the folders of test programs that were killed: nothing else would free their memory. Best effort, since they may
/// belong to another user.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let owner = entry.file_name().to_str().and_then(owner_pid);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _removed = fs::remove_dir_all(entry.path());
        }
    }
}

/// The pid of the test program that has created a folder of this name.
fn owner_pid(name: &str) -> Option<u32> {
    name.strip_prefix(FOLDER_PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Moves a folder, also to another file system.
fn move_folder(from: &Path, to: &Path) -> bool {
    let copy = || Command::new("mv").arg(from).arg(to).status().is_ok_and(|status| status.success());
    fs::rename(from, to).is_ok() || copy()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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

    #[test]
    fn folders_of_ended_programs_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let own = TestFolder::new_in(parent.path());
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let [leftover, other] = [format!("{FOLDER_PREFIX}{}-a", ended.id()), "other".to_owned()];
        for name in [&leftover, &other] {
            fs::create_dir_all(parent.path().join(name).join("log")).unwrap();
        }

        remove_leftovers(parent.path());

        assert!(own.path().is_dir() && parent.path().join(other).is_dir());
        assert!(!parent.path().join(leftover).exists());
    }

    #[test]
    fn available_memory_is_read_from_the_table_of_the_kernel() {
        let table = "MemTotal:       24683652 kB\nMemFree:         1464000 kB\nMemAvailable:   21391000 kB\n";
        assert_eq!(available_memory(table), Some(21_391_000 * 1024));
        assert_eq!(available_memory("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn kernels_since_6_6_have_attributes_in_memory() {
        for (release, expected) in [
            ("6.18.44-generic", true),
            ("6.6.0", true),
            ("7.0", true),
            ("6.1.0-37-amd64", false),
            ("5.15", false),
            ("", false),
        ] {
            assert_eq!(has_attributes_in_memory(release), expected, "{release}");
        }
    }
}
