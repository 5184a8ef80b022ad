//! Removes files without a document: those of deleted documents at once, all others by periodic sweeps.

use std::{collections::HashSet, time::Duration};

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;
use tokio::{sync::mpsc, time::interval};
use tokio_util::sync::CancellationToken;

use super::{ObjectOwner, ObjectStore, ObjectStoreError, file_walker::StoredFile, object_key::FileOwner};

const IS_DELETED: &str = include_str!("object_sweeper/is_deleted.sql");
const REFERENCED_BY_DOCUMENTS: &str = include_str!("object_sweeper/referenced_by_documents.sql");
const REFERENCED_BY_ANY_DOCUMENT: &str = include_str!("object_sweeper/referenced_by_any_document.sql");

/// Files per query to the log.
const FILES_PER_QUERY: usize = 500;

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
        let mut sweeps = interval(self.objects.config().sweep_interval());
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
    ///
    /// # Errors
    /// [`SweepError`] when the log or the store cannot be read, or a file cannot be removed.
    pub async fn sweep(&self) -> Result<usize, SweepError> {
        let storage = self.objects.storage();
        let mut files = storage.walk(self.objects.config().orphaned_after()).await?;
        let mut removed = 0;
        loop {
            let page = files.next_batch(FILES_PER_QUERY).await?;
            if page.is_empty() {
                return Ok(removed);
            }
            let referenced = self.find_referenced(&page).await?;
            for file in page.iter().filter(|file| !referenced.contains(&file.key)) {
                storage.remove_file(file).await?;
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
