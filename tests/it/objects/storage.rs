//! Storing, reading and removing files, in a folder and in a bucket.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use objects::{ObjectStoreError, UploadBodyError};

use super::test_store::{TestStore, content_of, document, in_parts};

const ABC_HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Longer than two parts of an upload to a bucket.
const LONG: usize = 11 << 20;

#[tokio::test]
async fn a_file_is_stored_under_its_document_and_hash_and_is_read_whole_or_in_ranges() {
    for store in TestStore::both().await {
        let (kind, owner) = (store.kind, document(7));
        let stored = store.objects.put(&owner, in_parts(&"abc".into(), 2), 3).await.unwrap();
        let again = store.objects.put(&owner, in_parts(&"abc".into(), 1), 3).await.unwrap();
        assert_eq!(stored, again, "{kind}");
        assert_eq!(stored.key, format!("acme/{}/{ABC_HASH}", owner.document), "{kind}");
        assert_eq!((stored.sha256.as_str(), stored.bytes, stored.head.as_slice()), (ABC_HASH, 3, &b"abc"[..]));
        assert_eq!(store.files(), [stored.key.as_str()], "{kind}");

        let read = async |range| {
            let reader = store.objects.open(&stored.key).await.unwrap().unwrap();
            assert_eq!(reader.length(), 3, "{kind}");
            let parts: Vec<_> = reader.read(range).await.unwrap().try_collect().await.unwrap();
            parts.concat()
        };
        for (range, expected) in [(0..3, "abc"), (1..2, "b"), (2..100, "c"), (3..9, ""), (1..1, "")] {
            assert_eq!(read(range).await, expected.as_bytes(), "{kind}");
        }
        let too_long = store.objects.open(&stored.key).await.unwrap().unwrap().read_all(2).await;
        assert!(matches!(too_long, Err(ObjectStoreError::TooLong(2))), "{kind}: {too_long:?}");
        let empty = store.objects.put(&document(8), in_parts(&"".into(), 1), 3).await.unwrap();
        assert_eq!(store.objects.open(&empty.key).await.unwrap().unwrap().read_all(0).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_long_file_arrives_unchanged_also_when_it_is_uploaded_twice_at_the_same_time() {
    for store in TestStore::both().await {
        let (content, owner) = (content_of(LONG), document(7));
        let max_bytes = u64::try_from(LONG).unwrap();
        let upload = |part| store.objects.put(&owner, in_parts(&content, part), max_bytes);
        let (one, other) = tokio::join!(upload(1 << 20), upload(700_001));
        let stored = one.unwrap();
        assert_eq!(stored, other.unwrap(), "{}", store.kind);
        let read = store.objects.open(&stored.key).await.unwrap().unwrap().read_all(max_bytes).await.unwrap();
        assert!(read == content, "{}: the content differs", store.kind);
        store.wait_for_files(&[&stored.key]).await;
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_nothing() {
    for store in TestStore::both().await {
        let (long, owner) = (content_of(LONG), document(7));
        for content in ["abc".into(), long] {
            let max_bytes = u64::try_from(content.len()).unwrap() - 1;
            let too_long = store.objects.put(&owner, in_parts(&content, 1 << 20), max_bytes).await;
            assert!(matches!(too_long, Err(ObjectStoreError::TooLong(max)) if max == max_bytes), "{}", store.kind);

            let interrupted = in_parts(&content, 1 << 20).chain(stream::iter([Err(UploadBodyError::Interrupted)]));
            let interrupted = store.objects.put(&owner, interrupted, u64::MAX).await;
            let expected = ObjectStoreError::Body(UploadBodyError::Interrupted).to_string();
            assert_eq!(interrupted.unwrap_err().to_string(), expected, "{}", store.kind);

            // A request that is cancelled while its body arrives.
            let endless = Box::pin(in_parts(&content, 1 << 20).chain(stream::pending()));
            let put = store.objects.put(&owner, endless, u64::MAX);
            assert!(tokio::time::timeout(Duration::from_millis(200), put).await.is_err(), "{}", store.kind);
            store.wait_for_files(&[]).await;
        }
    }
}

#[tokio::test]
async fn the_files_of_one_document_are_removed_and_unknown_keys_name_nothing() {
    for store in TestStore::both().await {
        let kind = store.kind;
        let mut keys = Vec::new();
        // The document's files, and the files of a document whose name begins with the same characters.
        for (owner, content) in [(document(1), "a"), (document(1), "b"), (document(0x10), "a")] {
            keys.push(store.objects.put(&owner, in_parts(&content.into(), 1), 1).await.unwrap().key);
        }
        let unknown = format!("acme/{}/{ABC_HASH}", document(1).document);
        let folder = format!("acme/{}", document(1).document);
        for key in ["acme/unknown", "../x", "acme/../x", "acme", "", "acme//x", "a/b/c/d", &unknown, &folder] {
            assert!(store.objects.open(key).await.unwrap().is_none(), "{kind}: {key}");
        }
        for _ in 0..2 {
            store.objects.remove_document(&document(1)).await.unwrap();
        }
        for key in &keys[..2] {
            assert!(store.objects.open(key).await.unwrap().is_none(), "{kind}: {key}");
        }
        assert_eq!(store.files(), [keys[2].as_str()], "{kind}");
        store.objects.ping().await.unwrap();
    }
}
