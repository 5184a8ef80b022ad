//! Walks the files of the store in batches, skipping those that are too young.

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::fs::{self, DirEntry, ReadDir};

use super::object_key::{FileOwner, parse_owner};

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// Key of the file.
    pub(crate) key: String,
    /// What it may belong to.
    pub(crate) owner: FileOwner,
}

/// Walks through the folders of the store, its tenants and their documents.
pub(crate) struct FileWalker {
    folders: Vec<(ReadDir, Vec<String>)>,
    min_age: Duration,
}

impl FileWalker {
    /// Starts at a folder; only files that were not modified for `min_age` are returned.
    ///
    /// # Errors
    /// [`io::Error`] when the folder cannot be read; a missing one has no files.
    pub(crate) async fn open(dir: &Path, min_age: Duration) -> io::Result<Self> {
        let folders = open_folder(dir).await?.map(|folder| (folder, Vec::new()));
        Ok(Self { folders: folders.into_iter().collect(), min_age })
    }

    /// Returns the next `max_files` files; empty at the end.
    ///
    /// # Errors
    /// [`io::Error`] when a folder cannot be read.
    pub(crate) async fn next_batch(&mut self, max_files: usize) -> io::Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        while files.len() < max_files {
            let Some((folder, names)) = self.folders.last_mut() else { break };
            let Some(entry) = folder.next_entry().await? else {
                self.folders.pop();
                continue;
            };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let names: Vec<_> = names.iter().cloned().chain([name]).collect();
            let Ok(kind) = entry.file_type().await else { continue };
            if kind.is_dir() && names.len() <= 2 {
                self.folders.extend(open_folder(&entry.path()).await?.map(|folder| (folder, names)));
            } else if kind.is_file()
                && let Some(owner) = parse_owner(&names)
                && self.is_older(&entry).await
            {
                files.push(StoredFile { key: names.join("/"), owner });
            }
        }
        Ok(files)
    }

    async fn is_older(&self, entry: &DirEntry) -> bool {
        let modified = entry.metadata().await.and_then(|metadata| metadata.modified());
        // A file that was removed meanwhile is skipped.
        modified.is_ok_and(|at| is_older_than(at, self.min_age))
    }
}

/// Whether this much time has passed since a modification. One in the future counts as new: the clock of a service may
/// differ from this one, by much less than the minimum age.
pub(crate) fn is_older_than(modified_at: SystemTime, min_age: Duration) -> bool {
    SystemTime::now().duration_since(modified_at).is_ok_and(|age| age >= min_age)
}

/// Opens a folder; `None` if it was removed meanwhile.
async fn open_folder(folder: &Path) -> io::Result<Option<ReadDir>> {
    match fs::read_dir(folder).await {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_old_files_of_the_store_are_found() {
        let store = tempfile::tempdir().unwrap();
        let (hash, document) = ("ab".repeat(32), "0190f7b1-0000-7000-8000-000000000001");
        let unfinished = ".0190f7b1000070008000000000000002";
        let stored = [
            (format!("acme/{document}/{hash}"), FileOwner::Document(format!("acme:{document}"))),
            (format!("acme/{hash}"), FileOwner::AnyDocument),
            (format!("acme/{unfinished}"), FileOwner::Unfinished),
        ];
        let others = ["README".to_owned(), "acme/notes.txt".to_owned(), format!("acme/{document}/more/{hash}")];
        for file in stored.iter().map(|(file, _)| file).chain(&others) {
            let path = store.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let mut files = FileWalker::open(store.path(), Duration::ZERO).await.unwrap();
        let mut found = Vec::new();
        loop {
            let page = files.next_batch(2).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page.into_iter().map(|file| (file.key, file.owner)));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let mut expected = stored.to_vec();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, expected);
        let mut young = FileWalker::open(store.path(), Duration::from_hours(1)).await.unwrap();
        assert_eq!(young.next_batch(10).await.unwrap(), []);
        let mut absent = FileWalker::open(&store.path().join("absent"), Duration::ZERO).await.unwrap();
        assert_eq!(absent.next_batch(10).await.unwrap(), []);
    }
}
