//! Checks whether a new version of a schema can read the data of older versions.
//!
//! The rules are those of Avro's schema resolution, strictly: the new schema must be able to read *every* older datum.
//! The library's own check also accepts schemas that can read only some data (a symbol or a branch was removed), and
//! names no path; a test asserts that both agree on the rest. In one point this check is stricter than the
//! specification: a number whose meaning changes (`timestamp-micros` to `timestamp-millis`, or to a plain `long`) can
//! be read but has the wrong value, so this is a breaking change here.
//!
//! Schemas are untrusted input, so the check takes no more than [`MAX_COMPARISON_STEPS`] steps: two named types are
//! compared once, however often they are referred to (`comparison_memo`). If that is not enough, the schemas count as
//! incompatible.

mod comparison_memo;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use apache_avro::{
    Schema,
    schema::{EnumSchema, RecordField, RecordSchema},
};

use self::comparison_memo::{ComparisonMemo, KnownComparison};
use crate::named_schemas::NamedSchemas;

/// Maximum number of types, fields, symbols and findings in one check; the largest recorded schema takes a few hundred.
pub const MAX_COMPARISON_STEPS: usize = 200_000;

/// Maximum nesting of types, including references.
const MAX_COMPARISON_DEPTH: usize = 256;

/// Maximum number of incompatibilities that are listed.
const MAX_LISTED: usize = 100;

/// Maximum length of a path or reason in bytes; the names in it may be as long as the schema.
const MAX_TEXT_BYTES: usize = 1_024;

/// Why a reader with the new schema cannot read all older data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SchemaIncompatibility {
    /// The path in the schema, e.g. `facts.place.zip`; the record's name for the root.
    pub path: String,
    /// What is incompatible.
    pub reason: String,
}

/// Why `reader` cannot read all data that `writer` wrote (BACKWARD); at most 100 reasons, empty if it can. Schemas that
/// are too large to be compared are incompatible.
pub fn find_incompatibilities(reader: &Schema, writer: &Schema) -> Vec<SchemaIncompatibility> {
    let mut comparison = SchemaComparison::new(reader, writer);
    let mut found = comparison.compare_whole(reader, writer);
    for incompatibility in found.iter_mut().filter(|found| found.path.is_empty()) {
        incompatibility.path = shorten_text(schema_name(writer));
    }
    found
}

struct SchemaComparison<'s> {
    readers: NamedSchemas<'s>,
    writers: NamedSchemas<'s>,
    memo: ComparisonMemo,
    steps: usize,
    depth: usize,
    /// The limit that was exceeded; after that nothing is compared any more.
    excess: Option<String>,
}

impl<'s> SchemaComparison<'s> {
    fn new(reader: &'s Schema, writer: &'s Schema) -> Self {
        Self {
            readers: NamedSchemas::from_schema(reader),
            writers: NamedSchemas::from_schema(writer),
            memo: ComparisonMemo::default(),
            steps: 0,
            depth: 0,
            excess: None,
        }
    }

    fn compare_whole(&mut self, reader: &'s Schema, writer: &'s Schema) -> Vec<SchemaIncompatibility> {
        let mut found = Vec::new();
        self.compare(reader, writer, "", &mut found);
        match self.excess.take() {
            Some(reason) => vec![SchemaIncompatibility { path: String::new(), reason }],
            None => found,
        }
    }

    fn compare(&mut self, reader: &'s Schema, writer: &'s Schema, path: &str, found: &mut Vec<SchemaIncompatibility>) {
        if !self.take_steps(1) {
            return;
        }
        if self.depth == MAX_COMPARISON_DEPTH {
            self.excess = Some(format!("its types are nested more than {MAX_COMPARISON_DEPTH} levels deep"));
            return;
        }
        self.depth += 1;
        let (reader, writer) = (self.readers.resolve(reader), self.writers.resolve(writer));
        match (reader, writer) {
            (_, Schema::Union(branches)) => {
                for branch in branches.variants() {
                    self.compare_branch(reader, branch, path, found);
                }
            }
            (Schema::Union(_), _) => self.compare_branch(reader, writer, path, found),
            (Schema::Record(_), Schema::Record(_)) | (Schema::Enum(_), Schema::Enum(_)) => {
                self.compare_named(reader, writer, path, found);
            }
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
        self.depth -= 1;
    }

    /// Compares two named types, or repeats the earlier result: many fields may refer to the same types.
    fn compare_named(
        &mut self,
        reader: &'s Schema,
        writer: &'s Schema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        let pair = (std::ptr::from_ref(reader), std::ptr::from_ref(writer));
        let inner = match self.memo.begin(pair) {
            // `UnderWay` is a recursive type: the comparison of the outer pair decides.
            KnownComparison::UnderWay | KnownComparison::Compatible => return,
            KnownComparison::Incompatible(inner) => inner,
            KnownComparison::New => {
                let mut inner = Vec::new();
                match (reader, writer) {
                    (Schema::Record(new), Schema::Record(old)) => self.compare_records(new, old, &mut inner),
                    (Schema::Enum(new), Schema::Enum(old)) => self.compare_enums(new, old, &mut inner),
                    _ => {}
                }
                self.memo.finish(pair, inner)
            }
        };
        if self.take_steps(inner.len()) {
            for SchemaIncompatibility { path: rest, reason } in &*inner {
                push_incompatibility(&join_path(path, rest), reason.clone(), found);
            }
        }
    }

    /// Compares one type of the writer with all branches of the reader.
    fn compare_branch(
        &mut self,
        reader: &'s Schema,
        branch: &'s Schema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        let Schema::Union(union) = reader else { return self.compare(reader, branch, path, found) };
        if !self.take_steps(union.variants().len()) {
            return;
        }
        let not_null = union.variants().iter().filter(|candidate| !matches!(candidate, Schema::Null)).count();
        let mut closest: Option<Vec<SchemaIncompatibility>> = None;
        for candidate in union.variants() {
            let mut problems = Vec::new();
            self.compare(candidate, branch, path, &mut problems);
            if problems.is_empty() {
                return;
            }
            // The problems of the only branch that is not null, or of one of the same kind, explain most.
            let is_counterpart = not_null == 1 && !matches!(candidate, Schema::Null) && !matches!(branch, Schema::Null);
            if is_counterpart || is_same_kind(self.readers.resolve(candidate), self.writers.resolve(branch)) {
                closest.get_or_insert(problems);
            }
        }
        match closest {
            Some(problems) => {
                for problem in problems {
                    push_incompatibility(&problem.path, problem.reason, found);
                }
            }
            None => push_incompatibility(
                path,
                format!("{} can no longer be read, and older data may have it", schema_name(branch)),
                found,
            ),
        }
    }

    /// Compares two records; the paths of the findings are relative to the record.
    fn compare_records(
        &mut self,
        new: &'s RecordSchema,
        old: &'s RecordSchema,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        if new.name.name() != old.name.name() {
            return push_incompatibility("", rename_reason("record", old.name.name(), new.name.name()), found);
        }
        if !self.take_steps(new.fields.len() + old.fields.len()) {
            return;
        }
        let written: HashMap<&str, &'s RecordField> =
            old.fields.iter().map(|field| (field.name.as_str(), field)).collect();
        for field in &new.fields {
            // The field of the older record that this one reads: the one with its name, else with one of its aliases.
            let mut names = std::iter::once(&field.name).chain(&field.aliases);
            match names.find_map(|name| written.get(name.as_str()).copied()) {
                Some(written) => self.compare(&field.schema, &written.schema, &join_path("", &field.name), found),
                None if field.default.is_some() => {}
                None => {
                    push_incompatibility(&join_path("", &field.name), "is new and has no default".to_owned(), found);
                }
            }
        }
    }

    fn compare_enums(&mut self, new: &EnumSchema, old: &EnumSchema, found: &mut Vec<SchemaIncompatibility>) {
        if new.name.name() != old.name.name() {
            return push_incompatibility("", rename_reason("enum", old.name.name(), new.name.name()), found);
        }
        if new.default.is_some() || !self.take_steps(new.symbols.len() + old.symbols.len()) {
            return;
        }
        let known: HashSet<&String> = new.symbols.iter().collect();
        for symbol in old.symbols.iter().filter(|symbol| !known.contains(symbol)) {
            push_incompatibility("", format!("the symbol {symbol} was removed, and there is no default"), found);
        }
    }

    /// Counts steps; `false` if they exceed the limit, which ends the check.
    fn take_steps(&mut self, steps: usize) -> bool {
        if self.excess.is_some() {
            return false;
        }
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_COMPARISON_STEPS {
            self.excess = Some(format!("the comparison takes more than {MAX_COMPARISON_STEPS} steps"));
        }
        self.excess.is_none()
    }
}

fn is_same_kind(reader: &Schema, writer: &Schema) -> bool {
    std::mem::discriminant(reader) == std::mem::discriminant(writer)
}

fn rename_reason(kind: &str, old: &str, new: &str) -> String {
    format!("the {kind} {old} was renamed to {new}")
}

/// Adds an incompatibility unless the list is full: one is enough to be incompatible.
fn push_incompatibility(path: &str, reason: String, found: &mut Vec<SchemaIncompatibility>) {
    if found.len() < MAX_LISTED {
        found.push(SchemaIncompatibility { path: shorten_text(path.to_owned()), reason: shorten_text(reason) });
    }
}

/// Joins two paths, either of which may be empty.
fn join_path(path: &str, rest: &str) -> String {
    let separator = if path.is_empty() || rest.is_empty() { "" } else { "." };
    shorten_text(format!("{path}{separator}{rest}"))
}

/// Truncates a text to [`MAX_TEXT_BYTES`], so that listing problems costs no more than finding them.
fn shorten_text(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

/// The name of a named type, or the kind of any other type.
fn schema_name(schema: &Schema) -> String {
    schema.name().map_or_else(|| scalar::kind_name(schema).to_owned(), |name| name.name().to_owned())
}
