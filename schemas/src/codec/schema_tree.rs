//! The tree of a schema, which guides encoding and decoding.

use std::collections::HashMap;

use apache_avro::{
    Schema,
    schema::{Name, RecordSchema, UnionSchema},
};

use super::{SchemaMismatchError, encode};
use crate::schema_parser::parse_schema;

/// Maximum size in bytes of all encoded defaults of a schema. The default of a record contains those of its fields, so
/// that the size can double at each level.
const MAX_DEFAULT_BYTES: usize = 16 * 1024;

/// The index of a node in its tree; a named type that is used twice is one node.
pub(super) type NodeId = usize;

/// A parsed schema.
#[derive(Debug)]
pub(crate) struct SchemaTree {
    nodes: Vec<SchemaNode>,
}

/// The type of a value.
#[derive(Debug)]
pub(super) enum SchemaNode {
    Boolean,
    Int,
    Long,
    Double,
    String,
    Date,
    TimestampMicros,
    Enum(Vec<String>),
    Array(NodeId),
    Record(Vec<RecordFieldNode>),
    /// A union of null, which is branch `null`, and one other type, which is the other branch of 0 and 1.
    Nullable {
        null: u8,
        inner: NodeId,
    },
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct RecordFieldNode {
    pub(super) name: String,
    /// The field's name in JSON, with quotes and colon.
    pub(super) json_key: String,
    pub(super) node: NodeId,
    /// The encoded value of an absent field; `None` if it must not be absent.
    pub(super) absent: Option<Vec<u8>>,
    /// The branch of null, if null is left out of the JSON.
    pub(super) omitted: Option<u8>,
}

impl SchemaTree {
    /// Parses a schema.
    pub(crate) fn parse(schema: &str) -> Result<Self, SchemaMismatchError> {
        let schema = parse_schema(schema)
            .map_err(|error| schema_mismatch("schema", format!("cannot be parsed as an Avro schema: {error}")))?;
        let mut builder = SchemaTreeBuilder::default();
        builder.add_node(&schema, "schema")?;
        let mut tree = Self { nodes: builder.nodes };
        let mut default_bytes = 0;
        // Inner defaults first: the default of a record may use the defaults of its own fields.
        for (record, field, default) in builder.defaults.into_iter().rev() {
            let mut bytes = Vec::new();
            let SchemaNode::Record(fields) = &tree.nodes[record] else { continue };
            let RecordFieldNode { name, node, .. } = &fields[field];
            encode::encode_node(&tree, *node, &default.to_string(), &mut bytes)
                .map_err(|error| schema_mismatch(name, format!("the default does not match the type: {error}")))?;
            default_bytes += bytes.len();
            if default_bytes > MAX_DEFAULT_BYTES {
                let reason = format!("the defaults of the schema have more than {MAX_DEFAULT_BYTES} bytes");
                return Err(schema_mismatch(name, reason));
            }
            if let SchemaNode::Record(fields) = &mut tree.nodes[record] {
                fields[field].absent = Some(bytes);
            }
        }
        Ok(tree)
    }

    pub(super) fn node(&self, id: NodeId) -> &SchemaNode {
        &self.nodes[id]
    }
}

impl SchemaNode {
    /// Describes the expected value for error messages.
    pub(super) fn describe_expected(&self, tree: &SchemaTree) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Int => "a whole number of 32 bits".to_owned(),
            Self::Long => "a whole number of 64 bits".to_owned(),
            Self::Double => "a number".to_owned(),
            Self::String => "a text".to_owned(),
            Self::Date => "a date like 2026-03-01".to_owned(),
            Self::TimestampMicros => "a time like 2026-03-01T12:00:00Z".to_owned(),
            Self::Enum(symbols) => format!("one of {}", symbols.join(", ")),
            Self::Array(_) => "a list".to_owned(),
            Self::Record(_) => "an object".to_owned(),
            Self::Nullable { inner, .. } => format!("{} or null", tree.node(*inner).describe_expected(tree)),
        }
    }
}

#[derive(Default)]
struct SchemaTreeBuilder {
    nodes: Vec<SchemaNode>,
    named: HashMap<Name, NodeId>,
    /// Record, field and its default, outer ones first.
    defaults: Vec<(NodeId, usize, serde_json::Value)>,
}

impl SchemaTreeBuilder {
    #[expect(clippy::wildcard_enum_match_arm, reason = "types that events do not use are many, and more may come")]
    fn add_node(&mut self, schema: &Schema, path: &str) -> Result<NodeId, SchemaMismatchError> {
        if let Schema::Ref { name } = schema {
            let known = self.named.get(name).copied();
            return known.ok_or_else(|| schema_mismatch(path, format!("the type {name} is not defined")));
        }
        let id = self.nodes.len();
        // A placeholder until the inner types are added; a recursive type refers to its index.
        self.nodes.push(SchemaNode::Boolean);
        if let Some(name) = schema.name() {
            self.named.insert(name.clone(), id);
        }
        self.nodes[id] = match schema {
            Schema::Boolean => SchemaNode::Boolean,
            Schema::Int => SchemaNode::Int,
            Schema::Long => SchemaNode::Long,
            Schema::Double => SchemaNode::Double,
            Schema::String => SchemaNode::String,
            Schema::Date => SchemaNode::Date,
            Schema::TimestampMicros => SchemaNode::TimestampMicros,
            Schema::Enum(schema) => SchemaNode::Enum(schema.symbols.clone()),
            Schema::Array(schema) => SchemaNode::Array(self.add_node(&schema.items, path)?),
            Schema::Record(schema) => SchemaNode::Record(self.build_fields(id, schema)?),
            Schema::Union(union) => self.build_nullable(union, path)?,
            other => return Err(schema_mismatch(path, format!("events do not support the type {other}"))),
        };
        Ok(id)
    }

    fn build_fields(
        &mut self,
        record: NodeId,
        schema: &RecordSchema,
    ) -> Result<Vec<RecordFieldNode>, SchemaMismatchError> {
        let mut fields = Vec::with_capacity(schema.fields.len());
        for (at, field) in schema.fields.iter().enumerate() {
            if let Some(default) = &field.default {
                self.defaults.push((record, at, default.clone()));
            }
            let node = self.add_node(&field.schema, &field.name)?;
            let null = if let SchemaNode::Nullable { null, .. } = self.nodes[node] { Some(null) } else { None };
            fields.push(RecordFieldNode {
                json_key: format!("\"{}\":", field.name),
                name: field.name.clone(),
                node,
                // A nullable field without a default may also be absent: events that are written by hand leave it out.
                absent: null.map(|null| vec![null << 1]),
                omitted: null.filter(|_| field.default.is_some()),
            });
        }
        Ok(fields)
    }

    fn build_nullable(&mut self, union: &UnionSchema, path: &str) -> Result<SchemaNode, SchemaMismatchError> {
        match union.variants() {
            [Schema::Null, inner] => Ok(SchemaNode::Nullable { null: 0, inner: self.add_node(inner, path)? }),
            [inner, Schema::Null] => Ok(SchemaNode::Nullable { null: 1, inner: self.add_node(inner, path)? }),
            _ => Err(schema_mismatch(path, "events support unions only of null and one other type".to_owned())),
        }
    }
}

fn schema_mismatch(path: &str, reason: String) -> SchemaMismatchError {
    SchemaMismatchError { path: path.to_owned(), reason }
}
