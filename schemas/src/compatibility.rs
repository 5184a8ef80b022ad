//! What a new version of a schema breaks for data that older versions wrote.
//!
//! The rules are those of Avro's schema resolution, read strictly: what *every* older datum can be read with. The
//! library's own check, which also calls compatible what only some data fit (a symbol or a branch that went away),
//! names no path; a test holds that the two agree on the rest. In one thing this check is stricter than the
//! specification: a number that changes its meaning (`timestamp-micros` to `timestamp-millis`, or to a plain `long`)
//! can be read and is wrong, so that it is a breaking change here.
//!
//! Schemas come from anybody, so the check takes no more steps than [`MAX_COMPARISON_STEPS`]: two named types are
//! compared once, however often they are referred to (`comparison_memo`). Where that is not enough, the schemas count
//! as incompatible.

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

/// Most types, fields, symbols and findings that one check looks at; the largest recorded schema takes a few hundred.
pub const MAX_COMPARISON_STEPS: usize = 200_000;

/// How deep types may lie in each other, references followed.
const MAX_COMPARISON_DEPTH: usize = 256;

/// Most incompatibilities that are listed.
const MAX_LISTED: usize = 100;

/// Longest path or reason, in bytes; names may be as long as schemas.
const MAX_TEXT_BYTES: usize = 1_024;

/// Something that a reader of the new schema cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SchemaIncompatibility {
    /// Where in the schema, e.g. `facts.place.zip`; the record's name when it is the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// What keeps `reader` from reading everything that `writer` wrote (BACKWARD), the first 100 of it; empty when nothing
/// does. Schemas that are too large to be compared are incompatible.
pub fn check_backward(reader: &Schema, writer: &Schema) -> Vec<SchemaIncompatibility> {
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
    /// The bound that was exceeded; from then on nothing is compared any more.
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
            self.excess = Some(format!("its types nest more than {MAX_COMPARISON_DEPTH} deep and cannot be compared"));
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

    /// Two types that may be referred to from many places: what was found is found again without looking.
    fn compare_named(
        &mut self,
        reader: &'s Schema,
        writer: &'s Schema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        let pair = (std::ptr::from_ref(reader), std::ptr::from_ref(writer));
        let inner = match self.memo.begin(pair) {
            // A recursive type: whether this holds is what is being found out.
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

    /// One branch of what was written against all that can be read.
    fn compare_branch(
        &mut self,
        reader: &'s Schema,
        branch: &'s Schema,
        path: &str,
        found: &mut Vec<SchemaIncompatibility>,
    ) {
        let Schema::Union(wanted) = reader else { return self.compare(reader, branch, path, found) };
        if !self.take_steps(wanted.variants().len()) {
            return;
        }
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
            Some(problems) => {
                for problem in problems {
                    push_incompatibility(&problem.path, problem.reason, found);
                }
            }
            None => push_incompatibility(
                path,
                format!("{} may have been written and can no longer be read", schema_name(branch)),
                found,
            ),
        }
    }

    /// Paths begin at the record.
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
            // The field of the older record that this one reads: of its name, else of one of its aliases.
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

    /// Whether as many steps are left; without them the check is over.
    fn take_steps(&mut self, steps: usize) -> bool {
        if self.excess.is_some() {
            return false;
        }
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_COMPARISON_STEPS {
            self.excess = Some(format!("it takes more than {MAX_COMPARISON_STEPS} steps to be compared"));
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

/// Lists one more, unless enough are listed: one is enough to be incompatible.
fn push_incompatibility(path: &str, reason: String, found: &mut Vec<SchemaIncompatibility>) {
    if found.len() < MAX_LISTED {
        found.push(SchemaIncompatibility { path: shorten_text(path.to_owned()), reason: shorten_text(reason) });
    }
}

/// The path of what lies at `rest` in what lies at `path`; either may be the whole.
fn join_path(path: &str, rest: &str) -> String {
    let is_one_whole = path.is_empty() || rest.is_empty();
    shorten_text(if is_one_whole { format!("{path}{rest}") } else { format!("{path}.{rest}") })
}

/// A text of bounded length, so that listing what is wrong costs no more than finding it.
fn shorten_text(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

/// A schema in a word: the name of a named type, the kind of any other.
fn schema_name(schema: &Schema) -> String {
    schema.name().map_or_else(|| scalar::kind_name(schema).to_owned(), |name| name.name().to_owned())
}
