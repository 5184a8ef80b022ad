//! The sweep for files without a document, in a folder and in a bucket.

use std::{
    process::Command,
    time::{Duration, SystemTime},
};

use objects::{ObjectStore, ObjectSweeper, ObjectsConfig};
use tests::database;

use super::test_store::{TestStore, document, in_parts};

#[tokio::test]
async fn only_old_files_of_the_store_without_a_document_are_removed() {
    let pool = database().await;
    for store in TestStore::both().await {
        let old = store.objects.put(&document(1), in_parts(&"old".into(), 1), 3).await.unwrap().key;
        let young = store.objects.put(&document(2), in_parts(&"new".into(), 1), 3).await.unwrap().key;
        let hash = old.rsplit('/').next().unwrap();
        let earlier_release = format!("acme/{hash}");
        let unfinished = "acme/.0190f7b1000070008000000000000002";
        let foreign = ["acme/notes.txt", "README.md", "acme/0190f7b1/more/x"];
        for path in foreign.into_iter().chain([unfinished, earlier_release.as_str()]) {
            let path = store.keys.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            // The server keeps what it knows of an object in attributes of its file.
            let copied = Command::new("cp").arg("--preserve=xattr").arg(store.keys.join(&old)).arg(path).status();
            assert!(copied.unwrap().success());
        }
        let two_hours_ago = SystemTime::now() - Duration::from_hours(2);
        for path in store.files().iter().filter(|path| **path != young) {
            let file = std::fs::File::options().write(true).open(store.keys.join(path)).unwrap();
            file.set_modified(two_hours_ago).unwrap();
        }
        let config = ObjectsConfig { orphaned_after_s: 3_600, ..store.config.clone() };
        let sweeper = ObjectSweeper::new(ObjectStore::new(&config).unwrap(), pool.clone());
        assert_eq!(sweeper.sweep().await.unwrap(), 3, "{}", store.kind);
        let mut expected: Vec<_> = foreign.map(str::to_owned).into_iter().chain([young]).collect();
        expected.sort();
        assert_eq!(store.files(), expected, "{}", store.kind);
        assert_eq!(sweeper.sweep().await.unwrap(), 0, "{}", store.kind);
    }
}
