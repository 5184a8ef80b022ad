//! What the local Qdrant does differently for speed: filters that match every point are left out, and large vectors are
//! stored in eight bits for each value.

use qdrant_client::{
    Payload,
    qdrant::{
        Condition, CreateCollectionBuilder, Distance, Filter, GetPointsBuilder, PayloadIncludeSelector, PointStruct,
        QueryPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder, point_id::PointIdOptions,
        with_payload_selector::SelectorOptions,
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    requests::{COLLECTION, connect, create_vector},
    server_process::start_server,
};

/// Number of values of each vector.
const SIZE: usize = 256;

fn owned_point(number: u64, owner: &str) -> PointStruct {
    let payload = Payload::try_from(json!({ "owner": owner })).unwrap();
    PointStruct::new(Uuid::from_u64_pair(7, number).to_string(), create_vector(number, SIZE), payload)
}

#[tokio::test]
async fn a_filter_that_matches_every_point_holds_after_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let process = start_server(folder.path()).await;
    let client = connect(&process);
    let vectors = VectorParamsBuilder::new(SIZE as u64, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new(COLLECTION).vectors_config(vectors)).await.unwrap();
    let upsert = async |points: Vec<PointStruct>| {
        client.upsert_points(UpsertPointsBuilder::new(COLLECTION, points).wait(true)).await.unwrap();
    };
    let search = async || -> Vec<(String, f32)> {
        let query = QueryPointsBuilder::new(COLLECTION)
            .query(create_vector(3, SIZE))
            .filter(Filter::should([Condition::matches("owner", "all".to_owned())]))
            .with_payload(SelectorOptions::Include(PayloadIncludeSelector::default()));
        let found = client.query(query).await.unwrap().result;
        assert!(found.iter().all(|point| point.payload.is_empty()), "no field is selected");
        let id = |point: Option<PointIdOptions>| match point {
            Some(PointIdOptions::Uuid(id)) => id,
            other => panic!("{other:?}"),
        };
        found.into_iter().map(|point| (id(point.id.unwrap().point_id_options), point.score)).collect()
    };
    upsert((1..=5).map(|number| owned_point(number, "all")).collect()).await;
    for _ in 0..3 {
        let found = search().await;
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].0, Uuid::from_u64_pair(7, 3).to_string());
        assert!((found[0].1 - 1.0).abs() < 1e-3, "{found:?}");
    }

    // The nearest point is now another owner's.
    upsert(vec![owned_point(3, "one")]).await;
    for _ in 0..3 {
        let found = search().await;
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|(id, _)| *id != Uuid::from_u64_pair(7, 3).to_string()));
    }
    upsert(vec![owned_point(3, "all")]).await;
    assert_eq!(search().await.len(), 5);

    let get = GetPointsBuilder::new(COLLECTION, vec![Uuid::from_u64_pair(7, 2).to_string().into()]).with_vectors(true);
    let point = client.get_points(get).await.unwrap().result.remove(0);
    let Some(qdrant_client::qdrant::vector_output::Vector::Dense(stored)) = point.vectors.unwrap().get_vector() else {
        panic!("no dense vector");
    };
    let error =
        create_vector(2, SIZE).iter().zip(&stored.data).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max);
    assert!(error < 0.005, "{error}");
    process.stop().await;
}
