//! Faults of the service: what is repeated, what fails and how, and that nothing incomplete is read or stored.

use axum::http::Method;
use bytes::Bytes;
use domain::error_chain::format_error_chain;
use objects::{ObjectStore, ObjectStoreError, ObjectsConfig, S3Config};
use tests::WAIT_TIMEOUT;

use super::{
    fault_proxy::{FaultProxy, RequestFault},
    test_store::{TestStore, content_of, document, in_parts},
};

/// The length of a file that is sent in parts.
const LONG: usize = 6 << 20;

/// A store behind a proxy, which repeats a request twice.
async fn store_behind_proxy(answer_timeout_ms: u64) -> (TestStore, FaultProxy) {
    let proxy = FaultProxy::start().await;
    let endpoint = proxy.endpoint.clone();
    let change = |s3| S3Config { endpoint, answer_timeout_ms, max_retries: 2, ..s3 };
    (TestStore::in_bucket(change).await, proxy)
}

async fn put(store: &TestStore, content: &Bytes) -> Result<String, ObjectStoreError> {
    let stored = store.objects.put(&document(7), in_parts(content, 1 << 20), u64::MAX).await;
    stored.map(|stored| stored.key)
}

async fn read(store: &TestStore, key: &str) -> Result<Bytes, ObjectStoreError> {
    store.objects.open(key).await?.expect("the file is there").read_all(u64::MAX).await
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(outcome: Result<T, ObjectStoreError>, reason: &str) {
    let error = outcome.unwrap_err();
    let text = format_error_chain(&error);
    assert!(matches!(error, ObjectStoreError::Unavailable { .. }) && text.contains(reason), "{text}");
}

#[tokio::test]
async fn requests_that_are_throttled_are_repeated_a_few_times() {
    let (store, proxy) = store_behind_proxy(30_000).await;
    proxy.fail_next(&Method::PUT, RequestFault::SlowDown, 2);
    put(&store, &"abc".into()).await.unwrap();
    assert_eq!(proxy.take_counts(), (3, 2));
    proxy.fail_next(&Method::GET, RequestFault::SlowDown, 1);
    store.objects.ping().await.unwrap();
    assert_eq!(proxy.take_counts(), (2, 1));
    proxy.fail_next(&Method::PUT, RequestFault::SlowDown, 100);
    assert_unavailable(put(&store, &"other".into()).await, "SlowDown: Please reduce your request rate.");
    assert_eq!(proxy.take_counts(), (3, 3));
}

#[tokio::test]
async fn requests_that_hang_are_repeated_and_end() {
    let (store, proxy) = store_behind_proxy(800).await;
    proxy.fail_next(&Method::PUT, RequestFault::Hang, 1);
    let key = put(&store, &"abc".into()).await.unwrap();
    proxy.fail_next(&Method::HEAD, RequestFault::Hang, 100);
    let outcome = tokio::time::timeout(WAIT_TIMEOUT, read(&store, &key)).await;
    assert_unavailable(outcome.expect("a request that hangs ends"), "");
}

#[tokio::test]
async fn a_download_whose_connection_is_reset_continues_or_fails_but_never_ends_early() {
    let (store, proxy) = store_behind_proxy(30_000).await;
    let content = content_of(2 << 20);
    let key = put(&store, &content).await.unwrap();
    proxy.take_counts();
    proxy.fail_next(&Method::GET, RequestFault::ResetAfter(1 << 20), 1);
    assert!(read(&store, &key).await.unwrap() == content, "the content differs");
    assert_eq!(proxy.take_counts(), (3, 1), "HEAD, GET, and GET of the rest");
    proxy.fail_next(&Method::GET, RequestFault::ResetAfter(1_000), 100);
    assert_unavailable(read(&store, &key).await, "");
    proxy.take_counts();
    proxy.fail_next(&Method::GET, RequestFault::EndAfter(1_000), 1);
    assert_unavailable(read(&store, &key).await, "ended after 1000 of 2097152 bytes");
}

#[tokio::test]
async fn an_upload_that_fails_at_any_request_leaves_nothing() {
    let (store, proxy) = store_behind_proxy(30_000).await;
    let content = content_of(LONG);
    // The start of the upload and its completion are POST, its two parts and the copy to the key PUT.
    for (method, healthy) in [(Method::POST, 0), (Method::PUT, 0), (Method::POST, 1), (Method::PUT, 2)] {
        proxy.fail_next(&method, RequestFault::PassOn, healthy);
        proxy.fail_next(&method, RequestFault::SlowDown, 100);
        assert_unavailable(put(&store, &content).await, "SlowDown");
        proxy.take_counts();
        store.wait_for_files(&[]).await;
    }
    let key = put(&store, &content).await.unwrap();
    store.wait_for_files(&[&key]).await;
}

#[tokio::test]
async fn a_refused_key_and_a_missing_bucket_are_named() {
    const WRONG_SECRET: &str = "not-the-secret-of-this-key";
    let stores = [
        TestStore::in_bucket(|s3| S3Config { secret_access_key: WRONG_SECRET.into(), ..s3 }).await,
        TestStore::in_bucket(|s3| S3Config { access_key_id: "unknown-key".into(), ..s3 }).await,
        TestStore::in_bucket(|s3| S3Config { bucket: "no-such-bucket".to_owned(), ..s3 }).await,
    ];
    for (index, store) in stores.iter().enumerate() {
        let key = format!("acme/{}/{}", document(7).document, "ab".repeat(32));
        let outcomes = [
            put(store, &"abc".into()).await.map(drop),
            put(store, &content_of(LONG)).await.map(drop),
            store.objects.open(&key).await.map(|found| assert!(found.is_none())),
            store.objects.ping().await,
            store.objects.remove_document(&document(7)).await,
        ];
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            let text = format!("{} {error:?}", format_error_chain(&error));
            assert!(text.contains(&store.config.s3.bucket) && !text.contains(WRONG_SECRET), "{text}");
            match index {
                2 => assert!(matches!(error, ObjectStoreError::MissingBucket { .. }), "{text}"),
                _ => assert!(matches!(error, ObjectStoreError::AccessDenied { .. }), "{text}"),
            }
        }
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_unavailable() {
    let s3 = S3Config {
        bucket: "files".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        access_key_id: "key".into(),
        secret_access_key: "secret".into(),
        max_retries: 1,
        ..S3Config::default()
    };
    let objects = ObjectStore::new(&ObjectsConfig { s3, ..ObjectsConfig::default() }).unwrap();
    assert_unavailable(objects.ping().await, "bucket files at http://127.0.0.1:9");
    assert_unavailable(objects.open("acme/x").await, "onnection refused");
}
