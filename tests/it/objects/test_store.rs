//! Stores of a test's own: in a folder, and in a bucket.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::value::TenantId;
use futures::{Stream, stream};
use objects::{ObjectOwner, ObjectStore, ObjectsConfig, S3Config, UploadBodyError};
use tempfile::TempDir;
use tests::{eventually, s3_server};
use uuid::Uuid;

/// The prefix of the bucket's keys.
pub(super) const PREFIX: &str = "files/v1";

/// A store and the folder in which its files can be seen.
pub(super) struct TestStore {
    pub(super) kind: &'static str,
    pub(super) objects: ObjectStore,
    pub(super) config: ObjectsConfig,
    /// Where the keys are paths.
    pub(super) keys: PathBuf,
    /// All that is stored, unfinished parts of uploads included.
    root: PathBuf,
    _folder: Option<TempDir>,
}

impl TestStore {
    /// One in a folder, and one in a bucket with a prefix.
    pub(super) async fn both() -> [Self; 2] {
        let folder = tempfile::tempdir().unwrap();
        let config = ObjectsConfig { dir: folder.path().join("objects"), ..ObjectsConfig::default() };
        let root = config.dir.clone();
        let in_folder = Self {
            kind: "folder",
            objects: ObjectStore::new(&config).unwrap(),
            config,
            keys: root.clone(),
            root,
            _folder: Some(folder),
        };
        [in_folder, Self::in_bucket(|settings| settings).await]
    }

    /// One in its own bucket, with changed settings.
    pub(super) async fn in_bucket(change: impl FnOnce(S3Config) -> S3Config) -> Self {
        let server = s3_server().await;
        let bucket = server.create_bucket();
        let root = server.bucket_folder(&bucket);
        let s3 = change(S3Config { prefix: PREFIX.to_owned(), ..server.settings(&bucket) });
        let config = ObjectsConfig { s3, ..ObjectsConfig::default() };
        let objects = ObjectStore::new(&config).unwrap();
        Self { kind: "bucket", objects, config, keys: root.join(PREFIX), root, _folder: None }
    }

    /// The paths of all files, unfinished ones included.
    pub(super) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_files(&self.root, &mut found);
        let relative = |path: PathBuf| path.strip_prefix(&self.keys).unwrap_or(&path).display().to_string();
        let mut files: Vec<_> = found.into_iter().map(relative).collect();
        files.sort();
        files
    }

    /// Waits until these are all files; what was cut off is removed in the background.
    pub(super) async fn wait_for_files(&self, expected: &[&str]) {
        eventually(async || {
            let files = self.files();
            if files == expected { Ok(()) } else { Err(format!("{}: {files:?}, not {expected:?}", self.kind)) }
        })
        .await;
    }
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    // A folder may be removed while it is listed.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_files(&entry.path(), found),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
}

/// A document of the company acme.
pub(super) fn document(number: u128) -> ObjectOwner {
    ObjectOwner { tenant: TenantId::try_new("acme").unwrap(), document: Uuid::from_u128(number) }
}

/// Content that arrives in parts of this length.
pub(super) fn in_parts(
    content: &Bytes,
    part: usize,
) -> impl Stream<Item = Result<Bytes, UploadBodyError>> + Unpin + use<> {
    let content = content.clone();
    let starts = (0..content.len()).step_by(part);
    stream::iter(starts.map(move |start| Ok(content.slice(start..content.len().min(start + part)))))
}

/// Content that repeats after a prime number of bytes, so that no two parts are the same.
pub(super) fn content_of(length: usize) -> Bytes {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect::<Vec<_>>().into()
}
