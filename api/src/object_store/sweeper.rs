//! Removes files without a document: those of deleted documents at once, all others by periodic sweeps.

mod file_walker;

use std::{collections::HashSet, io, time::Duration};

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;
use tokio::{fs, sync::mpsc, time::interval};
use tokio_util::sync::CancellationToken;

use self::file_walker::{FileOwner, FileWalker, StoredFile};
use super::{ObjectOwner, ObjectStore};

const IS_DELETED: &str = include_str!("sweeper/is_deleted.sql");
const REFERENCED_BY_DOCUMENTS: &str = include_str!("sweeper/referenced_by_documents.sql");
const REFERENCED_BY_ANY_DOCUMENT: &str = include_str!("sweeper/referenced_by_any_document.sql");

/// Files per query to the log.
const FILES_PER_QUERY: usize = 500;

/// Pauses between attempts to remove the files of a deleted document.
const RETRY_PAUSES: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_max_times(4);

/// Why files are not removed; the next sweep tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    /// The log cannot be queried.
    #[error("cannot query the log for files of documents")]
    EventLog(#[from] sqlx::Error),
    /// The disk cannot be read or changed.
    #[error("cannot remove files without a document")]
    Io(#[from] io::Error),
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
        let mut sweeps = interval(Duration::from_secs(self.objects.config.sweep_every_s.max(1)));
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

    /// Checks all files; returns the number of removed ones.
    pub(crate) async fn sweep(&self) -> Result<usize, SweepError> {
        let min_age = Duration::from_secs(self.objects.config.orphaned_after_s);
        let mut files = FileWalker::open(&self.objects.config.dir, min_age).await?;
        let mut removed = 0;
        loop {
            let page = files.next_batch(FILES_PER_QUERY).await?;
            if page.is_empty() {
                return Ok(removed);
            }
            let referenced = self.find_referenced(&page).await?;
            for file in page.iter().filter(|file| !referenced.contains(&file.key)) {
                remove_file(file).await?;
                removed += 1;
            }
        }
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

async fn remove_file(file: &StoredFile) -> io::Result<()> {
    match fs::remove_file(&file.path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Removes the document's folder with its last file; fails harmlessly while it has other files.
    if let (FileOwner::Document(_), Some(folder)) = (&file.owner, file.path.parent()) {
        drop(fs::remove_dir(folder).await);
    }
    Ok(())
}
