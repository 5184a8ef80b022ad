//! Conditional writes: which points they change, also after a kill.

use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        Condition, Filter, GetPointsBuilder, PointId, PointStruct, PointsIdsList, Range, SetPayloadPointsBuilder,
        UpdateMode, UpsertPointsBuilder,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    requests::{COLLECTION, connect, create_vector, start_with_points},
    server_process::start_server,
};

fn numbered_point(number: u64, payload: Value) -> PointStruct {
    PointStruct::new(number, create_vector(number, 8), Payload::try_from(payload).unwrap())
}

fn upsert_request(points: impl IntoIterator<Item = (u64, Value)>) -> UpsertPointsBuilder {
    let points: Vec<_> = points.into_iter().map(|(number, payload)| numbered_point(number, payload)).collect();
    UpsertPointsBuilder::new(COLLECTION, points).wait(true)
}

fn older_than(sequence: u32) -> Filter {
    let range = Range { lt: Some(f64::from(sequence)), ..Range::default() };
    Filter::must([Condition::range("sequence", range)])
}

async fn read_payloads(client: &Qdrant, numbers: &[u64]) -> Vec<Value> {
    let ids: Vec<PointId> = numbers.iter().map(|number| (*number).into()).collect();
    let found = client.get_points(GetPointsBuilder::new(COLLECTION, ids).with_payload(true)).await.unwrap().result;
    found.into_iter().map(|point| Payload::from(point.payload).into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_upsert_changes_only_the_points_that_match() {
    let folder = TempDir::new().unwrap();
    let process = start_server(folder.path()).await;
    let client = start_with_points(&process, 0).await;
    let sequence = |number: u64| json!({ "sequence": number });
    client.upsert_points(upsert_request([(1, sequence(1)), (2, sequence(9))])).await.unwrap();

    let newer = upsert_request([(1, sequence(5)), (2, sequence(5)), (3, sequence(5))]).update_filter(older_than(5));
    client.upsert_points(newer).await.unwrap();
    assert_eq!(read_payloads(&client, &[1, 2, 3]).await, [sequence(5), sequence(9), sequence(5)], "older or absent");

    let insert = upsert_request([(1, sequence(6)), (4, sequence(6))]).update_mode(UpdateMode::InsertOnly);
    client.upsert_points(insert).await.unwrap();
    assert_eq!(read_payloads(&client, &[1, 4]).await, [sequence(5), sequence(6)], "absent only");

    let update =
        upsert_request([(1, sequence(7)), (2, sequence(7)), (5, sequence(7))]).update_mode(UpdateMode::UpdateOnly);
    client.upsert_points(update.update_filter(older_than(7))).await.unwrap();
    assert_eq!(read_payloads(&client, &[1, 2, 5]).await, [sequence(7), sequence(9)], "older only");

    // The condition matches no point, which is not an error.
    client.upsert_points(upsert_request([(2, sequence(8))]).update_filter(older_than(8))).await.unwrap();
    assert_eq!(read_payloads(&client, &[2]).await, [sequence(9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_conditional_write_stays_refused_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut process = start_server(folder.path()).await;
    let client = start_with_points(&process, 0).await;
    for round in 0..20 {
        client.upsert_points(upsert_request([(round, json!({ "sequence": 9 }))])).await.unwrap();
        // Refused; afterwards the point changes so that the condition would match.
        let refused = upsert_request([(round, json!({ "sequence": 5, "wrong": true }))]).update_filter(older_than(5));
        client.upsert_points(refused).await.unwrap();
        let ids = PointsIdsList { ids: vec![round.into()] };
        let lower = Payload::try_from(json!({ "sequence": 1 })).unwrap();
        let lower = SetPayloadPointsBuilder::new(COLLECTION, lower).points_selector(ids).wait(true);
        client.set_payload(lower).await.unwrap();
    }

    process.kill();
    process = start_server(folder.path()).await;

    let numbers: Vec<u64> = (0..20).collect();
    assert_eq!(read_payloads(&connect(&process), &numbers).await, vec![json!({ "sequence": 1 }); 20]);
}
