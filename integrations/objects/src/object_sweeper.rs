//! Removes files without a document: files of deleted documents at once, all others by periodic sweeps.

use std::{collections::HashSet, slice, time::Duration};

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;
use tokio::{
    sync::mpsc,
    time::{Instant, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{ObjectOwner, ObjectStore, ObjectStoreError, file_walker::StoredFile, object_key::FileOwner};

const IS_DELETED: &str = include_str!("object_sweeper/is_deleted.sql");
const REFERENCED_BY_DOCUMENTS: &str = include_str!("object_sweeper/referenced_by_documents.sql");
const REFERENCED_BY_ANY_DOCUMENT: &str = include_str!("object_sweeper/referenced_by_any_document.sql");

/// Files per query to the log.
const FILES_PER_QUERY: usize = 500;

/// The longest pause between the start and the first sweep. A service that has just started may have been restored from
/// a backup, and is busy anyway.
const LONGEST_START_PAUSE: Duration = Duration::from_mins(5);

/// Number of consecutive files that cannot be removed at which a sweep ends: then the store fails rather than a file.
const MAX_FAILURES_IN_A_ROW: usize = 100;

/// Pauses between attempts to remove the files of a deleted document.
const RETRY_PAUSES: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_max_times(4);

/// Why files are not removed; the next sweep tries again.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The log cannot be queried.
    #[error("cannot query the log for files of documents")]
    EventLog(#[from] sqlx::Error),
    /// The store cannot be read or changed.
    #[error("cannot remove files without a document")]
    Storage(#[from] ObjectStoreError),
    /// Some files cannot be removed.
    #[error("{failed} files without a document were not removed, {removed} were; the first failure concerns {key}")]
    Incomplete {
        /// How many files were not removed.
        failed: usize,
        /// How many files were removed.
        removed: usize,
        /// The first one that was not.
        key: String,
        /// Why not.
        source: Box<SweepError>,
    },
}

/// What a sweep has done so far.
#[derive(Debug, Default)]
struct SweepProgress {
    removed: usize,
    failed: usize,
    failed_in_a_row: usize,
    first_failure: Option<(String, SweepError)>,
}

/// Sweeps the object store. Every process that serves files runs one; they do not interfere with each other.
#[derive(Debug)]
pub struct ObjectSweeper {
    objects: ObjectStore,
    pool: PgPool,
}

impl ObjectSweeper {
    /// Creates a sweeper; the events in `pool` tell which files documents refer to.
    pub fn new(objects: ObjectStore, pool: PgPool) -> Self {
        Self { objects, pool }
    }

    /// Removes files until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let Some(deleted) = self.objects.take_removal_receiver() else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.remove_deleted(deleted) => {}
            () = self.run_sweeps() => {}
        }
    }

    async fn remove_deleted(&self, mut deleted: mpsc::Receiver<ObjectOwner>) {
        while let Some(owner) = deleted.recv().await {
            if let Err(error) = (|| self.remove_if_deleted(&owner)).retry(RETRY_PAUSES).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, document = %owner.document, "cannot remove files of a deleted document");
            }
        }
    }

    async fn remove_if_deleted(&self, owner: &ObjectOwner) -> Result<(), SweepError> {
        let stream = format!("{}:{}", owner.tenant, owner.document);
        let is_deleted: bool = sqlx::query_scalar(IS_DELETED).bind(stream).fetch_one(&self.pool).await?;
        if is_deleted {
            self.objects.remove_document(owner).await?;
        }
        Ok(())
    }

    async fn run_sweeps(&self) {
        let interval = self.objects.config().sweep_interval();
        let mut sweeps = interval_at(Instant::now() + interval.min(LONGEST_START_PAUSE), interval);
        loop {
            sweeps.tick().await;
            match self.sweep().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed files without a document"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "sweep failed, the next one tries again");
                }
            }
        }
    }

    /// Checks all files; returns the number of removed ones. A file that cannot be removed does not keep the others.
    ///
    /// # Errors
    /// [`SweepError`] when the log or the store cannot be read; at the end, when files could not be removed.
    pub async fn sweep(&self) -> Result<usize, SweepError> {
        let mut files = self.objects.storage().walk(self.objects.config().orphaned_after()).await?;
        let mut progress = SweepProgress::default();
        while progress.failed_in_a_row < MAX_FAILURES_IN_A_ROW {
            let page = files.next_batch(FILES_PER_QUERY).await?;
            if page.is_empty() {
                break;
            }
            self.sweep_files(&page, &mut progress).await?;
        }
        progress.finish()
    }

    /// Removes the files that no document refers to.
    async fn sweep_files(&self, files: &[StoredFile], progress: &mut SweepProgress) -> Result<(), SweepError> {
        let referenced = self.find_referenced(files).await?;
        for file in files.iter().filter(|file| !referenced.contains(&file.key)) {
            if progress.failed_in_a_row >= MAX_FAILURES_IN_A_ROW {
                break;
            }
            let outcome = self.remove_orphan(file).await;
            progress.add(file, outcome);
        }
        Ok(())
    }

    /// Removes a file unless it was stored again since it was found, or a document refers to it by now. Returns whether
    /// it was removed.
    async fn remove_orphan(&self, file: &StoredFile) -> Result<bool, SweepError> {
        let storage = self.objects.storage();
        if self.find_referenced(slice::from_ref(file)).await?.contains(&file.key) {
            return Ok(false);
        }
        // The last look before the removal: a file is stored first, and recorded in the log afterwards.
        if !storage.is_older(file, self.objects.config().orphaned_after()).await? {
            return Ok(false);
        }
        storage.remove_file(file).await?;
        Ok(true)
    }

    /// Returns the keys of those files that a document refers to.
    async fn find_referenced(&self, files: &[StoredFile]) -> Result<HashSet<String>, SweepError> {
        let (mut streams, mut keys, mut old_keys) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            match &file.owner {
                FileOwner::Document(stream) => {
                    streams.push(stream.clone());
                    keys.push(file.key.clone());
                }
                FileOwner::AnyDocument => old_keys.push(file.key.clone()),
                FileOwner::Unfinished => {}
            }
        }
        let mut referenced = HashSet::new();
        if !keys.is_empty() {
            let found =
                sqlx::query_scalar(REFERENCED_BY_DOCUMENTS).bind(streams).bind(keys).fetch_all(&self.pool).await?;
            referenced.extend(found);
        }
        if !old_keys.is_empty() {
            referenced
                .extend(sqlx::query_scalar(REFERENCED_BY_ANY_DOCUMENT).bind(old_keys).fetch_all(&self.pool).await?);
        }
        Ok(referenced)
    }
}

impl SweepProgress {
    fn add(&mut self, file: &StoredFile, outcome: Result<bool, SweepError>) {
        match outcome {
            Ok(removed) => {
                self.removed += usize::from(removed);
                self.failed_in_a_row = 0;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, key = file.key, "file not removed");
                self.failed += 1;
                self.failed_in_a_row += 1;
                self.first_failure.get_or_insert_with(|| (file.key.clone(), error));
            }
        }
    }

    fn finish(self) -> Result<usize, SweepError> {
        let Self { removed, failed, first_failure, .. } = self;
        match first_failure {
            None => Ok(removed),
            Some((key, source)) => Err(SweepError::Incomplete { failed, removed, key, source: Box::new(source) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        path::Path,
        time::SystemTime,
    };

    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;
    use crate::ObjectsConfig;

    const MIN_AGE: Duration = Duration::from_hours(1);

    /// A sweeper that never asks the log, because no document can refer to unfinished uploads.
    fn sweeper(folder: &Path) -> ObjectSweeper {
        let config =
            ObjectsConfig { dir: folder.to_owned(), orphaned_after_s: MIN_AGE.as_secs(), ..ObjectsConfig::default() };
        let pool = PgPoolOptions::new().connect_lazy_with(PgConnectOptions::new());
        ObjectSweeper::new(ObjectStore::new(&config).unwrap(), pool)
    }

    fn make_old(path: &Path) {
        File::open(path).unwrap().set_modified(SystemTime::now() - 2 * MIN_AGE).unwrap();
    }

    /// Writes old unfinished uploads, and finds them as a sweep does.
    async fn find_uploads(sweeper: &ObjectSweeper, folder: &Path, count: usize) -> Vec<StoredFile> {
        fs::create_dir(folder.join("acme")).unwrap();
        for number in 0..count {
            let path = folder.join(format!("acme/.0190f7b100007000800000000000000{number}"));
            fs::write(&path, "x").unwrap();
            make_old(&path);
        }
        let mut files = sweeper.objects.storage().walk(MIN_AGE).await.unwrap();
        let found = files.next_batch(FILES_PER_QUERY).await.unwrap();
        assert_eq!(found.len(), count);
        found
    }

    #[tokio::test]
    async fn a_file_that_is_stored_again_during_the_sweep_stays() {
        let folder = tempfile::tempdir().unwrap();
        let sweeper = sweeper(folder.path());
        let found = find_uploads(&sweeper, folder.path(), 2).await;
        fs::write(folder.path().join(&found[0].key), "x").unwrap();
        let mut progress = SweepProgress::default();
        sweeper.sweep_files(&found, &mut progress).await.unwrap();
        assert_eq!(progress.finish().unwrap(), 1);
        let exists = |file: &StoredFile| folder.path().join(&file.key).exists();
        assert_eq!((exists(&found[0]), exists(&found[1])), (true, false));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_removed_does_not_keep_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let sweeper = sweeper(folder.path());
        let found = find_uploads(&sweeper, folder.path(), 3).await;
        // Also root cannot remove a folder as a file.
        let stuck = folder.path().join(&found[0].key);
        fs::remove_file(&stuck).unwrap();
        fs::create_dir(&stuck).unwrap();
        make_old(&stuck);
        let mut progress = SweepProgress::default();
        sweeper.sweep_files(&found, &mut progress).await.unwrap();
        let outcome = progress.finish();
        let Err(SweepError::Incomplete { failed: 1, removed: 2, key, source }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(key, found[0].key);
        assert!(matches!(*source, SweepError::Storage(ObjectStoreError::Io(_))), "{source:?}");
    }
}
