//! Files in a bucket of an S3-compatible service.
//!
//! ```text
//! <prefix>/<key>                  a complete file
//! <prefix>/<tenant>/.<number>     a file of more than 5 MiB that has been sent, and is about to be copied to its key
//! ```
//!
//! The key of a file ends with the hash of its content, which is known when all of it has arrived. Up to 5 MiB are held
//! in memory and stored with one request; longer files are sent in parts as they arrive, and copied within the service.
//! Nothing is visible under a key before the file is complete.

use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _,
    PutPayloadMut, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    ObjectOwner, ObjectReader, ObjectStoreError, ObjectsConfigError, S3Config, StoredObject,
    metered_content::MeteredContent,
    multipart_upload::UnfinishedUpload,
    s3_failure::{S3Failure, S3FailureKind},
};

/// Length of a part of a longer file, in bytes: the shortest that S3 allows. An upload holds at most three: one that fills, and two being sent.
pub(crate) const PART_BYTES: usize = 5 << 20;

/// Pauses before a request is repeated; they double, and vary at random.
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(2);

/// A bucket of files. Cheap to clone.
#[derive(Clone)]
pub(crate) struct S3Storage {
    client: Arc<AmazonS3>,
    prefix: Path,
    at: Arc<str>,
}

/// Without the client, which holds the access key.
impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage").field("at", &self.at).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl S3Storage {
    pub(crate) fn new(config: &S3Config) -> Result<Self, ObjectsConfigError> {
        config.validate()?;
        let options = ClientOptions::new()
            .with_connect_timeout(config.connect_timeout())
            .with_read_timeout(config.answer_timeout())
            // A download takes as long as its reader does.
            .with_timeout_disabled()
            .with_allow_http(config.endpoint.starts_with("http://"));
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: FIRST_RETRY_PAUSE, max_backoff: LONGEST_RETRY_PAUSE, base: 2.0 },
            max_retries: config.max_retries,
            retry_timeout: config.answer_timeout().saturating_mul(2),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_access_key_id(config.access_key_id.expose_secret())
            .with_secret_access_key(config.secret_access_key.expose_secret())
            // Not every compatible service offers to delete several objects at once.
            .with_disable_bulk_delete(true)
            .with_client_options(options)
            .with_retry(retry);
        if !config.session_token.expose_secret().is_empty() {
            builder = builder.with_token(config.session_token.expose_secret());
        }
        if !config.endpoint.is_empty() {
            builder = builder.with_endpoint(endpoint_url(config));
        }
        let client = builder.build().map_err(|error| ObjectsConfigError::Client(S3Failure::new(&error).to_string()))?;
        let prefix = Path::parse(&config.prefix).map_err(|error| ObjectsConfigError::Client(error.to_string()))?;
        Ok(Self { client: Arc::new(client), prefix, at: config.describe().into() })
    }

    pub(crate) async fn put(
        &self,
        owner: &ObjectOwner,
        mut content: MeteredContent<'_>,
    ) -> Result<StoredObject, ObjectStoreError> {
        let mut buffer = PutPayloadMut::new();
        let mut upload: Option<UnfinishedUpload> = None;
        while let Some(part) = content.next_part().await? {
            let mut rest = part.as_ref();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(PART_BYTES - buffer.content_length()));
                // Copied: a short part may keep a much longer buffer alive.
                buffer.extend_from_slice(now);
                rest = later;
                if buffer.content_length() == PART_BYTES {
                    let upload = match &mut upload {
                        Some(upload) => upload,
                        None => upload.insert(self.start_upload(owner).await?),
                    };
                    upload.send_part(std::mem::take(&mut buffer).freeze()).await?;
                }
            }
        }
        let stored = content.finish(owner);
        let target = self.object_path(&stored.key)?;
        match upload {
            None => {
                // The request is signed with the hash of the content, so that the service refuses what was changed on
                // the way. Replaces the same content, which renews its age for the sweeper.
                self.client.put(&target, buffer.freeze()).await.map_err(|error| self.request_error(&error))?;
            }
            Some(upload) => upload.publish_as(buffer.freeze(), &target).await?,
        }
        Ok(stored)
    }

    pub(crate) async fn open(&self, key: &str) -> Result<Option<ObjectReader>, ObjectStoreError> {
        let path = self.object_path(key)?;
        match self.client.head(&path).await {
            Ok(metadata) => Ok(Some(ObjectReader::from_bucket(self.clone(), path, metadata.size))),
            // Answers to HEAD have no body, so that a missing bucket looks like a missing object.
            Err(Error::NotFound { .. }) => self.ping().await.map(|()| None),
            Err(error) => Err(self.request_error(&error)),
        }
    }

    pub(crate) async fn read(
        &self,
        path: &Path,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectStoreError>>, ObjectStoreError> {
        let expected = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.client.get_opts(path, options).await.map_err(|error| self.request_error(&error))?;
        let storage = self.clone();
        let parts = found.into_stream().map_err(move |error| storage.request_error(&error)).boxed();
        // The client compares the received bytes with the length of the answer, not of the range.
        let state = (parts, self.clone(), 0_u64);
        let counted = stream::try_unfold(state, move |(mut parts, storage, received)| async move {
            match parts.try_next().await? {
                Some(part) => {
                    let received = received.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
                    Ok(Some((part, (parts, storage, received))))
                }
                None if received == expected => Ok(None),
                None => Err(storage.unavailable(&format!("the content ended after {received} of {expected} bytes"))),
            }
        });
        Ok(counted.boxed())
    }

    pub(crate) async fn remove_document(&self, owner: &ObjectOwner) -> Result<(), ObjectStoreError> {
        let folder = self.object_path(&format!("{}/{}", owner.tenant, owner.document))?;
        let files = self.client.list(Some(&folder)).map_ok(|file| file.location).boxed();
        let mut removed = self.client.delete_stream(files);
        while let Some(outcome) = removed.next().await {
            self.check_removed(outcome.map(drop))?;
        }
        Ok(())
    }

    /// When an object was modified; `None` if there is none under this key.
    pub(crate) async fn modified_at(&self, key: &str) -> Result<Option<SystemTime>, ObjectStoreError> {
        match self.client.head(&self.object_path(key)?).await {
            Ok(object) => Ok(Some(object.last_modified.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.request_error(&error)),
        }
    }

    pub(crate) async fn remove_file(&self, key: &str) -> Result<(), ObjectStoreError> {
        let path = self.object_path(key)?;
        self.check_removed(self.client.delete(&path).await)
    }

    /// Lists all files with their keys.
    pub(crate) fn list(&self) -> BoxStream<'static, Result<(String, ObjectMeta), ObjectStoreError>> {
        let storage = self.clone();
        let files = self.client.list((!self.prefix.as_ref().is_empty()).then_some(&self.prefix));
        let with_key = move |file: Result<ObjectMeta, Error>| match file {
            Ok(file) => storage.key(&file.location).map(|key| Ok((key, file))),
            Err(error) => Some(Err(storage.request_error(&error))),
        };
        // The walk sends one more request after the end.
        files.fuse().filter_map(move |file| std::future::ready(with_key(file))).boxed()
    }

    /// Lists one object.
    pub(crate) async fn ping(&self) -> Result<(), ObjectStoreError> {
        // Nothing has this prefix, so that the answer is short.
        let absent = self.prefix.clone().join(format!(".{}", Uuid::nil().simple()));
        self.client.list(Some(&absent)).try_next().await.map(drop).map_err(|error| self.request_error(&error))
    }

    async fn start_upload(&self, owner: &ObjectOwner) -> Result<UnfinishedUpload, ObjectStoreError> {
        let path = self.object_path(&format!("{}/.{}", owner.tenant, Uuid::new_v4().simple()))?;
        let storage = self.clone();
        // A task of its own ends also when this request is cancelled, and then drops the upload, which removes it:
        // otherwise its number would be lost.
        let started = tokio::spawn(async move {
            let parts = storage.client.put_multipart(&path).await.map_err(|error| storage.request_error(&error))?;
            Ok(UnfinishedUpload::new(storage, path, parts))
        });
        started.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
    }

    pub(crate) fn client(&self) -> &AmazonS3 {
        &self.client
    }

    fn object_path(&self, key: &str) -> Result<Path, ObjectStoreError> {
        let invalid = |_| self.unavailable("the key has characters that keys of objects must not have");
        let parsed = Path::parse(key).map_err(invalid)?;
        Ok(self.prefix.parts().chain(parsed.parts()).collect())
    }

    /// Returns the key of an object; `None` for one outside of the prefix.
    fn key(&self, location: &Path) -> Option<String> {
        if self.prefix.as_ref().is_empty() {
            return Some(location.as_ref().to_owned());
        }
        let rest = location.as_ref().strip_prefix(self.prefix.as_ref())?;
        rest.strip_prefix('/').map(str::to_owned)
    }

    fn unavailable(&self, reason: &str) -> ObjectStoreError {
        ObjectStoreError::Unavailable { at: Arc::clone(&self.at), source: S3Failure::from_text(reason) }
    }

    fn check_removed(&self, outcome: Result<(), Error>) -> Result<(), ObjectStoreError> {
        match outcome {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.request_error(&error)),
        }
    }

    /// Says what a failed request means for the store.
    pub(crate) fn request_error(&self, error: &Error) -> ObjectStoreError {
        let (at, source) = (Arc::clone(&self.at), S3Failure::new(error));
        match source.kind() {
            S3FailureKind::AccessDenied => ObjectStoreError::AccessDenied { at, source },
            S3FailureKind::MissingBucket => ObjectStoreError::MissingBucket { at },
            S3FailureKind::MissingObject => ObjectStoreError::Removed,
            S3FailureKind::Unavailable => ObjectStoreError::Unavailable { at, source },
        }
    }
}

/// The URL that the client expects: with the bucket in the host name unless it is in the path.
fn endpoint_url(config: &S3Config) -> String {
    let endpoint = config.endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if !config.path_style => format!("{scheme}://{}.{host}", config.bucket),
        _ => endpoint.to_owned(),
    }
}
