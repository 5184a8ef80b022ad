//! Detects changes that would break a client of the last promised schema.
//!
//! Frontends may rely on `schema.promised.graphql`. Additions are written to it by `medhub sdl` at a release; removals
//! and narrower types must be deprecated for a release first.

use std::collections::BTreeMap;

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, InputValueDefinition, ServiceDocument, TypeKind, TypeSystemDefinition},
};

/// Items of a schema by their paths: a type's kind, a field's or argument's type, `value` for values of enums.
fn schema_items(sdl: &str) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    let document: ServiceDocument = parse_schema(sdl).unwrap();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let (name, kind) = (definition.node.name.node.to_string(), definition.node.kind);
        let mut add = |path: String, what: String| items.insert(format!("{name}{path}"), what);
        match kind {
            TypeKind::Scalar => drop(add(String::new(), "scalar".to_owned())),
            TypeKind::Object(object) => {
                add(String::new(), "object".to_owned());
                object.fields.iter().for_each(|field| add_field(&field.node, &mut add));
            }
            TypeKind::Interface(interface) => {
                add(String::new(), "interface".to_owned());
                interface.fields.iter().for_each(|field| add_field(&field.node, &mut add));
            }
            TypeKind::Union(union) => {
                add(String::new(), "union".to_owned());
                union.members.iter().for_each(|member| drop(add(format!("|{}", member.node), "member".to_owned())));
            }
            TypeKind::Enum(list) => {
                add(String::new(), "enum".to_owned());
                list.values
                    .iter()
                    .for_each(|value| drop(add(format!(".{}", value.node.value.node), "value".to_owned())));
            }
            TypeKind::InputObject(input) => {
                add(String::new(), "input".to_owned());
                input.fields.iter().for_each(|field| add_input_value(":", &field.node, &mut add));
            }
        }
    }
    items
}

fn add_field(field: &FieldDefinition, add: &mut impl FnMut(String, String) -> Option<String>) {
    add(format!(".{}", field.name.node), field.ty.node.to_string());
    let prefix = format!(".{}:", field.name.node);
    field.arguments.iter().for_each(|argument| add_input_value(&prefix, &argument.node, add));
}

/// Adds an argument or input field; its type ends in `!` only if clients must provide it.
fn add_input_value(prefix: &str, value: &InputValueDefinition, add: &mut impl FnMut(String, String) -> Option<String>) {
    let kind = value.ty.node.to_string();
    let is_optional = value.default_value.is_some();
    add(format!("{prefix}{}", value.name.node), if is_optional { kind.trim_end_matches('!').to_owned() } else { kind });
}

/// Returns the changes from `promised` to `current` that break a client.
fn find_breaks(promised: &str, current: &str) -> Vec<String> {
    let (promised, current) = (schema_items(promised), schema_items(current));
    let mut breaks = vec![];
    for (path, old) in &promised {
        match current.get(path) {
            None => breaks.push(format!("{path} was removed")),
            Some(new) if new == old => {}
            // An output may become non-null, an input may become optional.
            Some(new) if !path.contains(':') && *new == format!("{old}!") => {}
            Some(new) if path.contains(':') && format!("{new}!") == *old => {}
            Some(new) => breaks.push(format!("{path} was {old} and is {new}")),
        }
    }
    for (path, new) in current.iter().filter(|(path, _)| path.contains(':') && !promised.contains_key(*path)) {
        let owner = path.rsplit_once(':').map_or("", |(owner, _)| owner);
        if new.ends_with('!') && promised.contains_key(owner) {
            breaks.push(format!("{path} is now required"));
        }
    }
    breaks
}

#[test]
fn the_schema_breaks_no_promise() {
    let promised = include_str!("../../../schema.promised.graphql");
    assert_eq!(find_breaks(promised, &super::sdl()), Vec::<String>::new());
}

#[test]
fn breaks_are_found_and_additions_are_none() {
    let old = "type Query { a(x: Int!): Int b: String! } enum E { ONE TWO } input I { f: Int } union U = Query";
    let new = "type Query { a(x: Int y: Int): Int! b: String! c: Int } enum E { ONE TWO THREE } input I { f: Int g: Int } union U = Query";
    assert_eq!(find_breaks(old, new), Vec::<String>::new());
    let broken = "type Query { a(x: Int! y: Int!): String } enum E { ONE } input I { f: Int! g: Int! } scalar U";
    assert_eq!(
        find_breaks(old, broken),
        [
            "E.TWO was removed",
            "I:f was Int and is Int!",
            "Query.a was Int and is String",
            "Query.b was removed",
            "U was union and is scalar",
            "U|Query was removed",
            "I:g is now required",
            "Query.a:y is now required",
        ]
    );
}
