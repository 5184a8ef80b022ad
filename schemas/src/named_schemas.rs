//! Resolves references to the named types of a schema.

use std::collections::HashMap;

use apache_avro::{Schema, schema::Name};

pub(crate) struct NamedSchemas<'s>(HashMap<Name, &'s Schema>);

impl<'s> NamedSchemas<'s> {
    pub(crate) fn from_schema(schema: &'s Schema) -> Self {
        let mut names = Self(HashMap::new());
        names.collect_named(schema);
        names
    }

    /// The definition of a reference; returns any other schema unchanged.
    pub(crate) fn resolve(&self, schema: &'s Schema) -> &'s Schema {
        let Schema::Ref { name } = schema else { return schema };
        self.0.get(name).copied().unwrap_or(schema)
    }

    /// Visits the schema without following references, so that each definition is visited once.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these hold other schemas")]
    fn collect_named(&mut self, schema: &'s Schema) {
        if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
            self.0.insert(name.clone(), schema);
            // The library also accepts an alias as a reference.
            for alias in schema.aliases().into_iter().flatten() {
                self.0.entry(alias.fully_qualified_name(None).into_owned()).or_insert(schema);
            }
        }
        match schema {
            Schema::Record(record) => record.fields.iter().for_each(|field| self.collect_named(&field.schema)),
            Schema::Array(array) => self.collect_named(&array.items),
            Schema::Map(map) => self.collect_named(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|branch| self.collect_named(branch)),
            _ => {}
        }
    }
}
