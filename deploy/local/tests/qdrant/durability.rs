//! The local Qdrant under `kill -9`, clean stops and restarts.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        CollectionStatus, Condition, CreateAliasBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
        DeletePointsBuilder, Distance, FieldType, Filter, GetPointsBuilder, OptimizersConfigDiffBuilder, PointId,
        RetrievedPoint, ScrollPointsBuilder, SetPayloadPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder,
        vector_output,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    requests::{COLLECTION, connect, count_points, create_point, create_vector, start_with_points},
    server_process::{start_expecting_failure, start_server},
};

/// Reads the round of each point from its payload, and asserts that its vector is of the same round.
async fn read_rounds(client: &Qdrant, ids: std::ops::Range<u64>) -> Vec<u64> {
    let get = GetPointsBuilder::new(COLLECTION, ids.clone().map(PointId::from).collect::<Vec<_>>());
    let points = client.get_points(get.with_payload(true).with_vectors(true)).await.unwrap().result;
    let round_of = |(number, point): (u64, RetrievedPoint)| {
        assert_eq!(point.id, Some(number.into()));
        let round = Value::from(Payload::from(point.payload))["round"].as_u64().unwrap();
        let stored = point.vectors.unwrap().get_vector().unwrap();
        let vector_output::Vector::Dense(stored) = stored else { panic!("{stored:?}") };
        let expected = create_vector(number + round * 1000, 8);
        let similarity: f32 = stored.data.iter().zip(&expected).map(|(a, b)| a * b).sum();
        assert!(similarity > 0.999, "the payload of {number} is of round {round}, its vector is not");
        round
    };
    ids.zip(points).map(round_of).collect()
}

async fn store_round(client: &Qdrant, ids: std::ops::Range<u64>, round: u64) -> bool {
    let points: Vec<_> = ids
        .map(|number| {
            let mut point = create_point(number + round * 1000, 8);
            point.id = Some(number.into());
            point.payload.insert("round".to_owned(), qdrant_client::qdrant::Value::from(i64::try_from(round).unwrap()));
            point
        })
        .collect();
    client.upsert_points(UpsertPointsBuilder::new(COLLECTION, points).wait(true)).await.is_ok()
}

const POINT_COUNT: u64 = 300;

/// Writes rounds until the engine is killed; pauses sometimes, so that the engine rebuilds its indexes meanwhile.
async fn write_rounds(client: Qdrant, acknowledged: Arc<AtomicU64>) {
    loop {
        let round = acknowledged.load(Ordering::SeqCst) + 1;
        if !store_round(&client, 0..POINT_COUNT, round).await {
            return;
        }
        acknowledged.store(round, Ordering::SeqCst);
        if round.is_multiple_of(20) {
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    }
}

/// Stores enough rounds for a rebuild and waits for it, so that the first kill hits an indexed segment.
async fn store_indexed_rounds(client: &Qdrant, acknowledged: &AtomicU64) {
    for round in 1..=6 {
        assert!(store_round(client, 0..POINT_COUNT, round).await);
        acknowledged.store(round, Ordering::SeqCst);
    }
    let green = async {
        loop {
            let info = client.collection_info(COLLECTION).await.unwrap().result.unwrap();
            if info.status() == CollectionStatus::Green {
                return info;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let info = tokio::time::timeout(Duration::from_secs(30), green).await.unwrap();
    assert!(info.segments_count > 1, "green before its index was built: {info:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_change_survives_kills_at_any_moment() {
    let folder = TempDir::new().unwrap();
    let mut process = start_server(folder.path()).await;
    let mut client = connect(&process);
    // With this small threshold every rebuild makes an indexed segment, and later rounds move points out of it.
    let optimizers = OptimizersConfigDiffBuilder::default().indexing_threshold(1_u64);
    let vectors = VectorParamsBuilder::new(8, Distance::Cosine);
    let create = CreateCollectionBuilder::new(COLLECTION).vectors_config(vectors).optimizers_config(optimizers);
    client.create_collection(create).await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    store_indexed_rounds(&client, &acknowledged).await;
    for kill in 0..8_u64 {
        let writer = tokio::spawn(write_rounds(client.clone(), Arc::clone(&acknowledged)));
        // Each kill comes after another delay; some hit a flush or a rebuild, which the engine of the test does often.
        tokio::time::sleep(Duration::from_millis(300 + kill * 97)).await;
        process.kill();
        writer.await.unwrap();
        process = start_server(folder.path()).await;
        client = connect(&process);
        let acknowledged_round = acknowledged.load(Ordering::SeqCst);
        let found = read_rounds(&client, 0..POINT_COUNT).await;
        // The round in progress at the kill may be stored too, but only completely.
        let newest = found.first().copied().unwrap_or(0);
        assert!(
            newest == acknowledged_round || newest == acknowledged_round + 1,
            "kill {kill}: {newest} found, {acknowledged_round} acknowledged"
        );
        assert!(found.iter().all(|round| *round == newest), "kill {kill}: mixed rounds: {found:?}");
        assert_eq!(count_points(&client, Filter::default()).await, POINT_COUNT, "kill {kill}");
        acknowledged.store(newest, Ordering::SeqCst);
    }
    println!("qdrant: {} rounds of {POINT_COUNT} points, 8 kills", acknowledged.load(Ordering::SeqCst));
}

#[tokio::test]
async fn changes_by_filter_are_not_repeated_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let process = start_server(folder.path()).await;
    let client = start_with_points(&process, 20).await;
    let odd = || Filter::must([Condition::matches("agency", "DLA".to_owned())]);
    client.delete_points(DeletePointsBuilder::new(COLLECTION).points(odd()).wait(true)).await.unwrap();
    let moved = Payload::try_from(json!({"agency": "DLA"})).unwrap();
    let all: Vec<PointId> = (0..20_u64).step_by(2).map(PointId::from).collect();
    let set = SetPayloadPointsBuilder::new(COLLECTION, moved).points_selector(all).wait(true);
    client.set_payload(set).await.unwrap();
    assert_eq!(count_points(&client, odd()).await, 10);
    process.kill();
    let process = start_server(folder.path()).await;
    assert_eq!(count_points(&connect(&process), odd()).await, 10, "the deletion was repeated after later changes");
}

// Several threads, so that the client's connection is served while the test waits for the server to end.
#[tokio::test(flavor = "multi_thread")]
async fn points_indexes_and_aliases_survive_a_clean_stop() {
    let folder = TempDir::new().unwrap();
    let process = start_server(folder.path()).await;
    let client = start_with_points(&process, 300).await;
    let index = CreateFieldIndexCollectionBuilder::new(COLLECTION, "agency", FieldType::Keyword);
    client.create_field_index(index.wait(true)).await.unwrap();
    client.create_alias(CreateAliasBuilder::new(COLLECTION, "current")).await.unwrap();
    let all = || ScrollPointsBuilder::new("current").limit(1000).with_vectors(true);
    let before = client.scroll(all()).await.unwrap().result;
    process.stop().await;
    let process = start_server(folder.path()).await;
    let client = connect(&process);
    assert_eq!(client.scroll(all()).await.unwrap().result, before);
    let info = client.collection_info(COLLECTION).await.unwrap().result.unwrap();
    assert!(info.payload_schema.contains_key("agency"));
}

#[tokio::test]
async fn a_folder_or_an_address_in_use_is_reported() {
    let folder = TempDir::new().unwrap();
    let process = start_server(folder.path()).await;
    let log = start_expecting_failure("127.0.0.1:0", folder.path()).await;
    assert!(log.contains("in use by another process (pid "), "{log}");
    let other = TempDir::new().unwrap();
    let address = process.address.to_string();
    let log = start_expecting_failure(&address, other.path()).await;
    assert!(log.contains(&format!("cannot listen on {address}")), "{log}");
}

const COLLECTION_NAMES: [&str; 3] = ["first", "second", "third"];

/// Creates and deletes collections in turn until the server is killed; returns which of them exist, and the collection
/// of the last, unanswered request.
async fn create_and_delete(
    client: Qdrant,
    mut existing: BTreeSet<&'static str>,
) -> (BTreeSet<&'static str>, &'static str) {
    loop {
        for name in COLLECTION_NAMES {
            let succeeded = if existing.contains(name) {
                client.delete_collection(name).await.is_ok()
            } else {
                let vectors = VectorParamsBuilder::new(8, Distance::Cosine);
                client.create_collection(CreateCollectionBuilder::new(name).vectors_config(vectors)).await.is_ok()
            };
            if !succeeded {
                return (existing, name);
            }
            if !existing.remove(name) {
                existing.insert(name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_complete_or_absent_after_a_kill_while_it_is_created_or_deleted() {
    let folder = TempDir::new().unwrap();
    let mut process = start_server(folder.path()).await;
    let mut existing = BTreeSet::new();
    for kill in 0..8_u64 {
        let writer = tokio::spawn(create_and_delete(connect(&process), existing));
        tokio::time::sleep(Duration::from_millis(50 + kill * 37)).await;
        process.kill();
        // The request in progress at the kill may have been executed or not.
        let (expected, uncertain) = writer.await.unwrap();
        process = start_server(folder.path()).await;
        let client = connect(&process);
        existing = BTreeSet::new();
        for name in COLLECTION_NAMES {
            let exists = client.collection_exists(name).await.unwrap();
            assert!(exists == expected.contains(name) || name == uncertain, "kill {kill}: {name}, {expected:?}");
            if exists {
                assert_eq!(client.collection_info(name).await.unwrap().result.unwrap().points_count, Some(0));
                existing.insert(name);
            }
        }
    }
}
