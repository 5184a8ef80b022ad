//! A client library written for Confluent's registry.

use apache_avro::types::Value as Avro;
use schema_registry_converter::{
    async_impl::{
        avro::{AvroDecoder, AvroEncoder},
        schema_registry::{
            SrSettings, get_all_subjects, get_all_versions, get_schema_by_id, get_schema_by_subject_and_version,
            is_compatible_schema, post_schema,
        },
    },
    avro_common::get_supplied_schema,
    schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema},
};
use serde_json::json;

use super::{RegistryProcess, one_field_schema, record_schema};

const SUBJECT: &str = "medhub.test.Notice";

fn supplied_schema(schema: &str) -> SuppliedSchema {
    SuppliedSchema::new(Some(SUBJECT.to_owned()), SchemaType::Avro, schema.to_owned())
}

#[tokio::test]
async fn a_client_registers_finds_by_id_and_by_subject_and_checks_compatibility() {
    let served = RegistryProcess::start().await;
    let settings = SrSettings::new(served.api.url.clone());
    let first = one_field_schema("Notice", "int");

    let registered = post_schema(&settings, SUBJECT.to_owned(), supplied_schema(&first)).await.unwrap();

    let by_id = get_schema_by_id(registered.id, &settings).await.unwrap();
    assert_eq!((by_id.schema.as_str(), by_id.schema_type), (first.as_str(), SchemaType::Avro));
    let latest = get_schema_by_subject_and_version(&settings, SUBJECT, None).await.unwrap();
    assert_eq!((latest.id, latest.schema, latest.version), (registered.id, first, Some(1)));
    assert_eq!(get_all_subjects(&settings).await.unwrap(), [SUBJECT]);
    assert_eq!(get_all_versions(&settings, SUBJECT.to_owned()).await.unwrap(), [1]);
    let wider = one_field_schema("Notice", "long");
    assert!(is_compatible_schema(&settings, SUBJECT.to_owned(), supplied_schema(&wider)).await.unwrap());
    let other = one_field_schema("Notice", "string");
    assert!(!is_compatible_schema(&settings, SUBJECT.to_owned(), supplied_schema(&other)).await.unwrap());
    let refusal = post_schema(&settings, SUBJECT.to_owned(), supplied_schema(&other)).await.unwrap_err().to_string();
    assert!(refusal.contains("error_code: 409"), "{refusal}");
}

#[tokio::test]
async fn one_client_decodes_what_another_client_has_encoded() {
    let served = RegistryProcess::start().await;
    let schema = record_schema("Notice", &json!([{ "name": "title", "type": "string" }]));
    let strategy = SubjectNameStrategy::RecordNameStrategyWithSchema(get_supplied_schema(&parse_schema(&schema)));
    let encoder = AvroEncoder::new(SrSettings::new(served.api.url.clone()));

    let value = encoder.encode(vec![("title", Avro::String("Beds".to_owned()))], strategy).await.unwrap();

    assert_eq!(value[..5], [0, 0, 0, 0, 1]);
    let decoder = AvroDecoder::new(SrSettings::new(served.api.url.clone()));
    let read = decoder.decode(Some(&value)).await.unwrap();
    assert_eq!(read.value, Avro::Record(vec![("title".to_owned(), Avro::String("Beds".to_owned()))]));
    assert_eq!(served.api.get("/subjects").await.1, json!([SUBJECT]));
}

#[tokio::test]
async fn the_products_own_client_registers_the_schema_of_every_event() {
    let served = RegistryProcess::start().await;
    let config = schemas::registry_client::RegistryConfig { url: served.api.url.clone(), ..Default::default() };
    for schema in schemas::catalog::all_schemas() {
        let client = schemas::registry_client::SchemaRegistryClient::new(&config).unwrap();
        let id = client.resolve_schema_id(schema).await.unwrap();
        let other_client = schemas::registry_client::SchemaRegistryClient::new(&config).unwrap();
        assert_eq!(other_client.resolve_schema_id(schema).await.unwrap(), id, "{}", schema.subject);
        other_client.load_decoder(id).await.unwrap();
    }
}

fn parse_schema(text: &str) -> apache_avro::Schema {
    apache_avro::Schema::parse_str(text).unwrap()
}
