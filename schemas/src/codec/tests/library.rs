//! Tests that the codec and the Avro project's library decode each other's output.

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value as Avro, writer::datum::GenericDatumWriter};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn codec_and_library_decode_each_other(event in any_event()) {
        let json = serde_json::to_string(&event).unwrap();
        let ours = encode_event(&event, &json);
        let schema = Schema::parse_str(schema_of(&event).json).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let mut rest = ours.as_slice();
        let value = reader.read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert!(matches!(&value, Avro::Record(fields) if fields[0].0 == "type"));
        let theirs = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
        prop_assert_eq!(decode_event(&event, &theirs), json);
        // Avro does not define into how many blocks a list is split.
        if !schema_of(&event).json.contains("\"array\"") {
            prop_assert_eq!(theirs, ours);
        }
    }
}

#[test]
fn the_library_decodes_the_encoded_values() {
    let schema = find_schema("opportunity.awarded", "1.0").unwrap();
    let mut avro = vec![];
    let json = r#"{"type":"awarded","key":"k","award":{"date":"1970-01-03","amount":-5}}"#;
    schema.encode(json, &mut avro).unwrap();
    let parsed = Schema::parse_str(schema.json).unwrap();
    let value = GenericDatumReader::builder(&parsed).build().unwrap().read_value(&mut avro.as_slice()).unwrap();
    let option = |value: Option<Avro>| match value {
        None => Avro::Union(0, Box::new(Avro::Null)),
        Some(value) => Avro::Union(1, Box::new(value)),
    };
    let award = Avro::Record(vec![
        ("number".to_owned(), option(None)),
        ("date".to_owned(), option(Some(Avro::Date(2)))),
        ("amount".to_owned(), option(Some(Avro::Long(-5)))),
        ("awardee".to_owned(), option(None)),
    ]);
    let expected = [
        ("type".to_owned(), Avro::Enum(0, "awarded".to_owned())),
        ("key".to_owned(), Avro::String("k".to_owned())),
        ("award".to_owned(), award),
    ];
    assert_eq!(value, Avro::Record(expected.to_vec()));
}
