//! Collections that differ from those which the program would create now.

use std::sync::Arc;

use projections::{
    opportunity_search::OpportunitySearch,
    storage::{StorageProblem, qdrant::QdrantConfig},
};
use qdrant_client::qdrant::{CreateCollectionBuilder, Distance, VectorParamsBuilder, VectorsConfigBuilder};
use serde_json::Value;
use tests::{embedding_model, engines, output_text, shared_product};

use super::SearchFixture;

#[tokio::test]
async fn collections_that_only_a_rebuild_can_change_are_named() {
    let own = SearchFixture::new().await;
    let prefix = own.collection.strip_suffix("opportunities_g1").unwrap();
    let differences = async |shard_number, replication_factor| {
        let config = QdrantConfig {
            url: engines().await.variable("QDRANT_URL").to_owned(),
            collection_prefix: prefix.to_owned(),
            shard_number,
            replication_factor,
            ..QdrantConfig::default()
        };
        let search = OpportunitySearch::new(&config, Arc::new(embedding_model().await)).unwrap();
        search.find_collection_differences().await.unwrap()
    };
    assert_eq!(differences(0, 0).await, []);
    assert_eq!(differences(1, 1).await, []);

    let named = differences(6, 3).await;
    assert_eq!(named.len(), 4, "two of each collection: {named:?}");
    assert!(named.iter().all(|difference| !difference.harmful && difference.text.contains("`medhub rebuild search`")));

    let texts = format!("{prefix}owned_g1");
    own.qdrant.delete_collection(&texts).await.unwrap();
    assert_eq!(differences(0, 0).await, [], "a collection that is missing");
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params("dense", VectorParamsBuilder::new(8, Distance::Cosine));
    own.qdrant.create_collection(CreateCollectionBuilder::new(&texts).vectors_config(vectors)).await.unwrap();
    let named = differences(0, 0).await;
    let [StorageProblem { text, harmful: true }] = &named[..] else { panic!("{named:?}") };
    assert!(text.contains(&texts) && text.contains("vectors of 8 dimensions") && text.contains("256"), "{text}");
}

#[tokio::test]
async fn doctor_says_that_the_collections_keep_their_number_of_shards() {
    let mut doctor = shared_product().await.medhub_command(&["doctor", "--json"]);
    doctor.env("MEDHUB__QDRANT__SHARD_NUMBER", "6");
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let qdrant = report["engines"].as_array().unwrap().iter().find(|engine| engine["engine"] == "qdrant").unwrap();
    let finding = &qdrant["findings"][0];
    let text = finding["text"].as_str().unwrap_or_else(|| panic!("{}", output_text(&output)));
    assert!(text.contains("MEDHUB__QDRANT__SHARD_NUMBER is 6") && text.contains("rebuild search"), "{text}");
    assert_eq!(finding["harmful"], false);
}
