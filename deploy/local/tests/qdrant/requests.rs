//! The local Qdrant through the crate `qdrant-client`: collections, filters and searches.

use std::time::{Duration, Instant};

use qdrant_client::{
    Payload, Qdrant, QdrantError,
    qdrant::{
        Condition, CountPointsBuilder, CreateAliasBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
        DatetimeRange, DeletePointsBuilder, Direction, Distance, FacetCountsBuilder, FieldType, Filter, Fusion,
        GeoPoint, GeoRadius, GetPointsBuilder, NamedVectors, OrderByBuilder, PointId, PointStruct, PointVectors,
        PrefetchQueryBuilder, Query, QueryPointGroupsBuilder, QueryPointsBuilder, Range, RecommendInputBuilder,
        RecommendStrategy, ScrollPointsBuilder, SearchPointsBuilder, SetPayloadPointsBuilder,
        SparseVectorParamsBuilder, SparseVectorsConfigBuilder, Timestamp, UpdatePointVectorsBuilder,
        UpsertPointsBuilder, Vector, VectorInput, VectorParamsBuilder, VectorsConfigBuilder,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use crate::{child_process::ChildProcess, server_process::start_server};

pub(crate) const COLLECTION: &str = "opportunities";

pub(crate) fn connect(process: &ChildProcess) -> Qdrant {
    Qdrant::from_url(&format!("http://{}", process.address)).timeout(Duration::from_mins(1)).build().unwrap()
}

/// A unit vector that depends on the number.
pub(crate) fn create_vector(number: u64, size: usize) -> Vec<f32> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(i16::try_from(state % 2001).unwrap() - 1000)
    };
    let vector: Vec<f32> = (0..size).map(|_| next()).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

pub(crate) fn create_point(number: u64, size: usize) -> PointStruct {
    let payload = json!({
        "agency": if number.is_multiple_of(2) { "VA" } else { "DLA" },
        "naics": number % 5,
        "open": number.is_multiple_of(3),
        "posted": format!("2026-03-{:02}T12:00:00Z", number % 28 + 1),
        "award": { "cents": number * 100 },
        "place": { "lon": f64::from(u32::try_from(number).unwrap()) / 100.0, "lat": 52.0 },
        "tags": ["medical", format!("tag{}", number % 7)],
        "title": "wheelchairs and patient lifts for the clinic, delivered",
    });
    PointStruct::new(number, create_vector(number, size), Payload::try_from(payload).unwrap())
}

pub(crate) async fn start_with_points(process: &ChildProcess, count: u64) -> Qdrant {
    let client = connect(process);
    let vectors = VectorParamsBuilder::new(8, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new(COLLECTION).vectors_config(vectors)).await.unwrap();
    let points: Vec<_> = (0..count).map(|number| create_point(number, 8)).collect();
    client.upsert_points(UpsertPointsBuilder::new(COLLECTION, points).wait(true)).await.unwrap();
    client
}

pub(crate) async fn count_points(client: &Qdrant, filter: Filter) -> u64 {
    client.count(CountPointsBuilder::new(COLLECTION).filter(filter).exact(true)).await.unwrap().result.unwrap().count
}

fn error_code(error: QdrantError) -> Code {
    let QdrantError::ResponseError { status } = error else { panic!("{error}") };
    status.code()
}

async fn start_empty_server() -> (TempDir, ChildProcess) {
    let folder = TempDir::new().unwrap();
    let process = start_server(folder.path()).await;
    (folder, process)
}

#[tokio::test]
async fn collections_and_aliases_are_created_and_deleted() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 3).await;
    assert!(client.health_check().await.unwrap().title.contains("qdrant"));
    assert!(client.collection_exists(COLLECTION).await.unwrap());
    let info = client.collection_info(COLLECTION).await.unwrap().result.unwrap();
    assert_eq!(info.points_count, Some(3));
    let again = CreateCollectionBuilder::new(COLLECTION).vectors_config(VectorParamsBuilder::new(8, Distance::Dot));
    assert_eq!(error_code(client.create_collection(again).await.unwrap_err()), Code::AlreadyExists);
    client.create_alias(CreateAliasBuilder::new(COLLECTION, "current")).await.unwrap();
    assert_eq!(client.list_aliases().await.unwrap().aliases.len(), 1);
    let by_alias = client.count(CountPointsBuilder::new("current").exact(true)).await.unwrap();
    assert_eq!(by_alias.result.unwrap().count, 3);
    assert!(client.delete_collection(COLLECTION).await.unwrap().result);
    assert!(!client.delete_collection(COLLECTION).await.unwrap().result);
    assert!(!client.collection_exists(COLLECTION).await.unwrap());
    assert_eq!(client.list_collections().await.unwrap().collections.len(), 0);
    let missing = client.count(CountPointsBuilder::new(COLLECTION)).await.unwrap_err();
    assert_eq!(error_code(missing), Code::NotFound);
    start_with_points(&process, 1).await;
}

#[tokio::test]
async fn filters_match_the_expected_points() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 100).await;
    let expected = |matches: fn(u64) -> bool| (0..100).filter(|number| matches(*number)).count() as u64;
    let day = |day: i64| Timestamp { seconds: 1_772_323_200 + (day - 1) * 86_400, nanos: 0 };
    let march = DatetimeRange { gte: Some(day(5)), lt: Some(day(10)), ..DatetimeRange::default() };
    let cents = Range { gt: Some(1000.0), lte: Some(2000.0), ..Range::default() };
    // A hundredth of a degree of longitude is 685 metres at this latitude.
    let near = GeoRadius { center: Some(GeoPoint { lon: 0.0, lat: 52.0 }), radius: 7_000.0 };
    let must = |condition: Condition| Filter::must([condition]);
    let cases: Vec<(&str, Filter, u64)> = vec![
        ("keyword", must(Condition::matches("agency", "VA".to_owned())), expected(|n| n % 2 == 0)),
        ("integer", must(Condition::matches("naics", 3)), expected(|n| n % 5 == 3)),
        ("flag", must(Condition::matches("open", true)), expected(|n| n % 3 == 0)),
        ("any", must(Condition::matches("naics", vec![1, 2])), expected(|n| n % 5 == 1 || n % 5 == 2)),
        ("in a list", must(Condition::matches("tags", "tag6".to_owned())), expected(|n| n % 7 == 6)),
        ("range", must(Condition::range("award.cents", cents)), expected(|n| n > 10 && n <= 20)),
        ("time", must(Condition::datetime_range("posted", march)), expected(|n| (4..9).contains(&(n % 28)))),
        ("ids", must(Condition::has_id([1, 2, 1000])), 2),
        ("place", must(Condition::geo_radius("place", near)), expected(|n| n <= 10)),
        ("text", must(Condition::matches_text("title", "patient lifts")), 100),
        ("empty", must(Condition::is_empty("nothing")), 100),
        (
            "must, should and must not",
            Filter {
                must: vec![Condition::matches("agency", "DLA".to_owned())],
                should: vec![Condition::matches("naics", 0), Condition::matches("naics", 1)],
                must_not: vec![Condition::matches("open", true)],
                min_should: None,
            },
            expected(|n| n % 2 == 1 && n % 5 < 2 && n % 3 != 0),
        ),
    ];
    for indexed in [false, true] {
        for (name, filter, expected) in &cases {
            assert_eq!(count_points(&client, filter.clone()).await, *expected, "{name}, indexed: {indexed}");
        }
        for (field, kind) in [
            ("agency", FieldType::Keyword),
            ("naics", FieldType::Integer),
            ("open", FieldType::Bool),
            ("award.cents", FieldType::Integer),
            ("posted", FieldType::Datetime),
        ] {
            let index = CreateFieldIndexCollectionBuilder::new(COLLECTION, field, kind).wait(true);
            client.create_field_index(index).await.unwrap();
        }
    }
    let facets = client.facet(FacetCountsBuilder::new(COLLECTION, "agency").exact(true)).await.unwrap();
    assert_eq!(facets.hits.iter().map(|hit| hit.count).collect::<Vec<_>>(), [50, 50]);
}

#[tokio::test]
async fn points_are_changed_partly_and_completely() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 4).await;
    let only = |number: u64| -> Vec<PointId> { vec![number.into()] };
    let set = |values: Value| Payload::try_from(values).unwrap();
    let some =
        SetPayloadPointsBuilder::new(COLLECTION, set(json!({"open": "maybe"}))).points_selector(only(0)).wait(true);
    client.set_payload(some).await.unwrap();
    let all =
        SetPayloadPointsBuilder::new(COLLECTION, set(json!({"a": [1.5, null]}))).points_selector(only(1)).wait(true);
    client.overwrite_payload(all).await.unwrap();
    let unnamed = qdrant_client::qdrant::Vectors::from(vec![0.0, 3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    let moved = PointVectors { id: Some(2.into()), vectors: Some(unnamed) };
    client.update_vectors(UpdatePointVectorsBuilder::new(COLLECTION, vec![moved]).wait(true)).await.unwrap();
    client.delete_points(DeletePointsBuilder::new(COLLECTION).points(only(3)).wait(true)).await.unwrap();
    let ids: Vec<PointId> = (0..5_u64).map(PointId::from).collect();
    let get = GetPointsBuilder::new(COLLECTION, ids).with_payload(true).with_vectors(true);
    let read = client.get_points(get).await.unwrap().result;
    let payload = |at: usize| Value::from(Payload::from(read[at].payload.clone()));
    assert_eq!(read.len(), 3);
    assert_eq!((&payload(0)["open"], &payload(0)["agency"]), (&json!("maybe"), &json!("VA")));
    assert_eq!(payload(1), json!({"a": [1.5, null]}));
    let vectors = read[2].vectors.as_ref().unwrap().get_vector().unwrap();
    let qdrant_client::qdrant::vector_output::Vector::Dense(dense) = vectors else { panic!("{vectors:?}") };
    assert_eq!(dense.data, [0.0, 0.6, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0]);
    let missing = SetPayloadPointsBuilder::new(COLLECTION, set(json!({"a": 1}))).points_selector(only(99)).wait(true);
    assert_eq!(error_code(client.set_payload(missing).await.unwrap_err()), Code::NotFound);
    let by_filter = Filter::must([Condition::matches("agency", "VA".to_owned())]);
    client.delete_points(DeletePointsBuilder::new(COLLECTION).points(by_filter).wait(true)).await.unwrap();
    assert_eq!(count_points(&client, Filter::default()).await, 1);
}

#[tokio::test]
async fn scrolling_returns_every_point_once_and_can_sort() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 25).await;
    let (mut offset, mut seen) = (None::<PointId>, Vec::new());
    loop {
        let mut page = ScrollPointsBuilder::new(COLLECTION).limit(10).with_payload(false);
        if let Some(offset) = offset {
            page = page.offset(offset);
        }
        let answer = client.scroll(page).await.unwrap();
        assert!(answer.result.iter().all(|point| point.payload.is_empty()));
        seen.extend(answer.result.into_iter().map(|point| point.id.unwrap()));
        offset = answer.next_page_offset;
        if offset.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25_u64).map(PointId::from).collect::<Vec<_>>());
    let index = CreateFieldIndexCollectionBuilder::new(COLLECTION, "award.cents", FieldType::Integer).wait(true);
    client.create_field_index(index).await.unwrap();
    let order = OrderByBuilder::new("award.cents").direction(Direction::Desc.into());
    let sorted = client.scroll(ScrollPointsBuilder::new(COLLECTION).limit(2).order_by(order)).await.unwrap();
    let ids: Vec<_> = sorted.result.into_iter().map(|point| point.id.unwrap()).collect();
    assert_eq!(ids, [PointId::from(24), PointId::from(23)]);
}

#[tokio::test]
async fn searches_find_the_nearest_under_a_filter_page_by_page() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 200).await;
    let query_vector = create_vector(42, 8);
    let dot = |other: u64| -> f32 { create_vector(other, 8).iter().zip(&query_vector).map(|(a, b)| a * b).sum() };
    let mut even: Vec<u64> = (0..200).filter(|number| number % 2 == 0).collect();
    even.sort_by(|a, b| dot(*b).total_cmp(&dot(*a)));
    let filter = Filter::must([Condition::matches("agency", "VA".to_owned())]);
    let search = |offset: u64| {
        let query = QueryPointsBuilder::new(COLLECTION).query(query_vector.clone()).filter(filter.clone());
        client.query(query.limit(5).offset(offset).with_payload(true))
    };
    for offset in [0, 5] {
        let found = search(offset).await.unwrap().result;
        let ids: Vec<_> = found.iter().map(|point| point.id.clone().unwrap()).collect();
        let expected = even.iter().skip(usize::try_from(offset).unwrap()).take(5);
        assert_eq!(ids, expected.map(|number| PointId::from(*number)).collect::<Vec<_>>(), "offset {offset}");
        assert!(found.iter().all(|point| point.payload.contains_key("agency")));
    }
    let older = SearchPointsBuilder::new(COLLECTION, query_vector.clone(), 1).score_threshold(0.99);
    let found = client.search_points(older).await.unwrap().result;
    assert_eq!(found[0].id, Some(42.into()));
    assert!((found[0].score - 1.0).abs() < 1e-5 && found[0].payload.is_empty());
    let like = QueryPointsBuilder::new(COLLECTION).query(Query::new_nearest(PointId::from(42))).limit(1);
    assert_ne!(client.query(like).await.unwrap().result[0].id, Some(42.into()), "a point is not a neighbour of itself");
}

#[tokio::test]
async fn dense_and_sparse_vectors_are_fused() {
    let (_folder, process) = start_empty_server().await;
    let client = connect(&process);
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("meaning", VectorParamsBuilder::new(4, Distance::Cosine));
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params("words", SparseVectorParamsBuilder::default());
    let create = CreateCollectionBuilder::new(COLLECTION).vectors_config(dense).sparse_vectors_config(sparse);
    client.create_collection(create).await.unwrap();
    let points = (0..10_u16).map(|number| {
        let direction = vec![f32::from(number), 1.0, 0.0, 0.0];
        let words = Vector::new_sparse(vec![u32::from(number), 100], vec![1.0, 0.1]);
        let vectors = NamedVectors::default().add_vector("meaning", direction).add_vector("words", words);
        PointStruct::new(u64::from(number), vectors, Payload::new())
    });
    client.upsert_points(UpsertPointsBuilder::new(COLLECTION, points.collect::<Vec<_>>()).wait(true)).await.unwrap();
    let meaning = PrefetchQueryBuilder::default().query(Query::new_nearest(vec![0.0, 1.0, 0.0, 0.0])).using("meaning");
    let words = Query::new_nearest(VectorInput::new_sparse(vec![7], vec![1.0]));
    let words = PrefetchQueryBuilder::default().query(words).using("words").limit(3_u64);
    let fused = QueryPointsBuilder::new(COLLECTION).add_prefetch(meaning.limit(3_u64)).add_prefetch(words);
    let found = client.query(fused.query(Query::new_fusion(Fusion::Rrf)).limit(4)).await.unwrap().result;
    let ids: Vec<_> = found.into_iter().map(|point| point.id.unwrap()).collect();
    assert_eq!(ids.len(), 3 + 1);
    assert!(ids[..2].contains(&PointId::from(0)) && ids[..2].contains(&PointId::from(7)), "{ids:?}");
    for strategy in [RecommendStrategy::AverageVector, RecommendStrategy::BestScore] {
        let like = RecommendInputBuilder::default().add_positive(PointId::from(9)).strategy(strategy).build();
        let query = QueryPointsBuilder::new(COLLECTION).query(Query::new_recommend(like)).using("meaning").limit(1);
        assert_eq!(client.query(query).await.unwrap().result[0].id, Some(8.into()), "{strategy:?}");
    }
}

#[tokio::test]
async fn invalid_and_unsupported_requests_are_refused_and_change_nothing() {
    let (_folder, process) = start_empty_server().await;
    let client = start_with_points(&process, 1).await;
    let mixed = vec![create_point(10, 8), create_point(11, 7)];
    let refused = client.upsert_points(UpsertPointsBuilder::new(COLLECTION, mixed).wait(true)).await.unwrap_err();
    assert_eq!(error_code(refused), Code::InvalidArgument);
    assert_eq!(count_points(&client, Filter::default()).await, 1);
    let short = client.query(QueryPointsBuilder::new(COLLECTION).query(vec![1.0, 2.0])).await.unwrap_err();
    assert_eq!(error_code(short), Code::InvalidArgument);
    let unnamed = QueryPointsBuilder::new(COLLECTION).query(create_vector(1, 8)).using("no such vector");
    assert_eq!(error_code(client.query(unnamed).await.unwrap_err()), Code::InvalidArgument);
    let groups = QueryPointGroupsBuilder::new(COLLECTION, "agency").query(create_vector(1, 8));
    assert_eq!(error_code(client.query_groups(groups).await.unwrap_err()), Code::Unimplemented);
    let without_center = Filter::must([Condition::geo_radius("place", GeoRadius { center: None, radius: 1.0 })]);
    let geo = client.count(CountPointsBuilder::new(COLLECTION).filter(without_center)).await.unwrap_err();
    assert_eq!(error_code(geo), Code::InvalidArgument);
    let path = CreateCollectionBuilder::new("../outside").vectors_config(VectorParamsBuilder::new(1, Distance::Dot));
    assert_eq!(error_code(client.create_collection(path).await.unwrap_err()), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_points_are_stored_and_searched_quickly() {
    let (_folder, process) = start_empty_server().await;
    let client = connect(&process);
    let vectors = VectorParamsBuilder::new(256, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new(COLLECTION).vectors_config(vectors)).await.unwrap();
    let batches: Vec<Vec<_>> = (0..20)
        .map(|batch| (batch * 500..batch * 500 + 500).map(|number| create_point(number, 256)).collect())
        .collect();
    let started = Instant::now();
    for points in batches {
        client.upsert_points(UpsertPointsBuilder::new(COLLECTION, points).wait(true)).await.unwrap();
    }
    println!("qdrant: 10,000 points of 256 dimensions stored in {:?}", started.elapsed());
    let mut times = Vec::new();
    for number in 0..100 {
        let started = Instant::now();
        let query = QueryPointsBuilder::new(COLLECTION).query(create_vector(number, 256)).limit(10).with_payload(true);
        assert_eq!(client.query(query).await.unwrap().result[0].id, Some(number.into()));
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "qdrant: search p50 {:?}, p99 {:?}; {} MiB resident; ready after {:?}",
        times[50],
        times[98],
        process.resident_mib(),
        process.ready_after
    );
    process.stop().await;
}
