//! What a new version of a schema breaks for data that older versions wrote.
//!
//! The rules are those of Avro's schema resolution, read strictly: what *every* older datum can be read with. The
//! library's own check, which also calls compatible what only some data fit (a symbol or a branch that went away),
//! names no path; a test holds that the two agree on the rest. In one thing this check is stricter than the
//! specification: a number that changes its meaning (`timestamp-micros` to `timestamp-millis`, or to a plain `long`)
//! can be read and is wrong, so that it is a breaking change here.

mod named_schemas;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use apache_avro::{
    Schema,
    schema::{EnumSchema, RecordField, RecordSchema},
};

use self::named_schemas::NamedSchemas;

/// Something that a reader of the new schema cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SchemaIncompatibility {
    /// Where in the schema, e.g. `facts.place.zip`; the record's name when it is the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// What keeps `reader` from reading everything that `writer` wrote (BACKWARD); empty when nothing does.
pub fn check_backward(reader: &Schema, writer: &Schema) -> Vec<SchemaIncompatibility> {
    let mut walk = SchemaComparison {
        readers: NamedSchemas::from_schema(reader),
        writers: NamedSchemas::from_schema(writer),
        under_way: HashSet::new(),
    };
    let mut found = Vec::new();
    walk.compare(reader, writer, "", &mut found);
    for incompatibility in found.iter_mut().filter(|found| found.path.is_empty()) {
        incompatibility.path = schema_name(writer);
    }
    found
}

struct SchemaComparison<'s> {
    readers: NamedSchemas<'s>,
    writers: NamedSchemas<'s>,
    /// Pairs of named types that are being compared further out, so that recursive types end.
    under_way: HashSet<(*const Schema, *const Schema)>,
}

impl<'s> SchemaComparison<'s> {
    fn compare(&mut self, reader: &'s Schema, writer: &'s Schema, path: &str, found: &mut Vec<SchemaIncompatibility>) {
        let (reader, writer) = (self.readers.resolve(reader), self.writers.resolve(writer));
        let pair = (std::ptr::from_ref(reader), std::ptr::from_ref(writer));
        if !self.under_way.insert(pair) {
            return;
        }
        match (reader, writer) {
            (_, Schema::Union(branches)) => {
                for branch in branches.variants() {
                    self.compare_branch(reader, branch, path, found);
                }
            }
            (Schema::Union(_), _) => self.compare_branch(reader, writer, path, found),
            (Schema::Record(new), Schema::Record(old)) => self.compare_records(new, old, path, found),
            (Schema::Enum(new), Schema::Enum(old)) => compare_enums(new, old, path, found),
            (Schema::Array(new), Schema::Array(old)) => {
                self.compare(&new.items, &old.items, &format!("{path}[]"), found);
            }
            (Schema::Map(new), Schema::Map(old)) => self.compare(&new.types, &old.types, &format!("{path}{{}}"), found),
            _ => {
                if let Some(reason) = scalar::find_difference(reader, writer) {
                    push_incompatibility(path, reason, found);
                }
            }
        }
        self.under_way.remove(&pair);
    }

    /// One branch of what was written against all that can be read.
    fn compare_branch(
        &mut self,
        reader: &'s Schema,
        branch: &'s Schema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        let Schema::Union(wanted) = reader else { return self.compare(reader, branch, path, found) };
        let others = wanted.variants().iter().filter(|wanted| !matches!(wanted, Schema::Null)).count();
        let mut closest: Option<Vec<SchemaIncompatibility>> = None;
        for wanted in wanted.variants() {
            let mut problems = Vec::new();
            self.compare(wanted, branch, path, &mut problems);
            if problems.is_empty() {
                return;
            }
            // The one branch that is not null, or one of the same kind, says best what is wrong.
            let meant = others == 1 && !matches!(wanted, Schema::Null) && !matches!(branch, Schema::Null);
            if meant || is_same_kind(self.readers.resolve(wanted), self.writers.resolve(branch)) {
                closest.get_or_insert(problems);
            }
        }
        match closest {
            Some(problems) => found.extend(problems),
            None => push_incompatibility(
                path,
                format!("{} may have been written and can no longer be read", schema_name(branch)),
                found,
            ),
        }
    }

    fn compare_records(
        &mut self,
        new: &'s RecordSchema,
        old: &'s RecordSchema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        if new.name.name() != old.name.name() {
            return push_incompatibility(path, rename_reason("record", old.name.name(), new.name.name()), found);
        }
        for field in &new.fields {
            let path = join_path(path, &field.name);
            match find_written_field(field, old) {
                Some(written) => self.compare(&field.schema, &written.schema, &path, found),
                None if field.default.is_some() => {}
                None => push_incompatibility(&path, "is new and has no default".to_owned(), found),
            }
        }
    }
}

/// The field of the older record that this one reads: of its name, else of one of its aliases.
fn find_written_field<'s>(field: &RecordField, old: &'s RecordSchema) -> Option<&'s RecordField> {
    let mut names = std::iter::once(&field.name).chain(&field.aliases);
    names.find_map(|name| old.fields.iter().find(|old| old.name == *name))
}

fn compare_enums(new: &EnumSchema, old: &EnumSchema, path: &str, found: &mut Vec<SchemaIncompatibility>) {
    if new.name.name() != old.name.name() {
        return push_incompatibility(path, rename_reason("enum", old.name.name(), new.name.name()), found);
    }
    if new.default.is_some() {
        return;
    }
    for symbol in old.symbols.iter().filter(|symbol| !new.symbols.contains(symbol)) {
        push_incompatibility(path, format!("the symbol {symbol} was removed, and there is no default"), found);
    }
}

fn is_same_kind(reader: &Schema, writer: &Schema) -> bool {
    std::mem::discriminant(reader) == std::mem::discriminant(writer)
}

fn rename_reason(kind: &str, old: &str, new: &str) -> String {
    format!("the {kind} {old} was renamed to {new}")
}

fn push_incompatibility(path: &str, reason: String, found: &mut Vec<SchemaIncompatibility>) {
    found.push(SchemaIncompatibility { path: path.to_owned(), reason });
}

fn join_path(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A schema in a word: the name of a named type, the kind of any other.
fn schema_name(schema: &Schema) -> String {
    schema.name().map_or_else(|| scalar::kind_name(schema).to_owned(), |name| name.name().to_owned())
}
