//! What a document costs, known before anything of it is validated or run.
//!
//! Each fragment is measured once, however often it is spread, so that measuring takes as long as the document is, while
//! what a fragment costs counts at each spread. Fields count as often as their lists have entries, values as often as they
//! are read, also those of variables. A field that is repeated without an alias counts each time: async-graphql
//! executes it each time, and merges the answers.

mod cost_error;
mod field_price;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use async_graphql::{
    Pos, Positioned, Variables,
    parser::types::{
        Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
        SelectionSet,
    },
};
use async_graphql_value::{ConstValue, Value};

pub(super) use self::cost_error::CostError;
use self::field_price::{INTROSPECTION_SCALE, IntrospectionPlace};
use super::{document_parser::MAX_NESTING, pagination};

/// Bytes of a string that cost as much as one field.
const TEXT_UNIT_BYTES: usize = 1024;

/// How much one document may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CostLimits {
    /// Most complexity.
    pub(super) complexity: usize,
    /// Most fields inside fields.
    pub(super) depth: usize,
    /// Most names of its own that a document gives to fields, where fragments count at each spread.
    pub(super) aliases: usize,
}

/// Most directives of one field, fragment or operation.
const MAX_DIRECTIVES: usize = 8;

/// Most fields of one operation, counted each time they are executed, as nearly every one asks a store. Where more
/// aliases are allowed, there may be as many fields.
const MAX_ROOT_FIELDS: usize = 64;

/// Most arguments of one field, and most variables of one operation: they are compared with each other.
const MAX_ARGUMENTS: usize = 100;

/// What a document costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentCost {
    /// Fields of entries that are answered, and what else costs as much as so many fields: a search, a list of
    /// opportunities or a count over everything 200, a command or a history 50, another round trip to a store 10, a
    /// value of an argument 1.
    pub complexity: usize,
    /// Whether it asks about the schema.
    pub is_introspection: bool,
}

/// The operation of a request that will be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MeasuredOperation {
    pub(super) cost: DocumentCost,
    pub(super) kind: OperationType,
}

/// Measures a request.
///
/// # Errors
/// [`CostError`] when the document costs more than `limits`, or cannot be measured as its fragments or operations are
/// not there.
pub(super) fn measure_document(
    document: &ExecutableDocument,
    operation_name: Option<&str>,
    variables: &Variables,
    limits: &CostLimits,
) -> Result<MeasuredOperation, CostError> {
    let given = variables.iter().map(|(name, value)| (name.as_str(), measure_constant(value))).collect();
    let mut chosen = None;
    let mut visited = 0_usize;
    for (name, operation) in document.operations.iter() {
        let is_chosen = match operation_name {
            Some(wanted) => name.is_some_and(|name| name == wanted),
            None => chosen.is_none(),
        };
        if operation_name.is_none() && chosen.is_some() {
            return Err(CostError::AmbiguousOperation);
        }
        let weight =
            CostVisitor::new(document, variables, &given, limits).measure_operation(&operation.node, operation.pos)?;
        // All of them are validated, and one is run.
        visited = visited.saturating_add(weight.visited);
        if is_chosen {
            chosen = Some((operation.node.ty, weight));
        }
    }
    let Some((kind, chosen)) = chosen else {
        return Err(CostError::UnknownOperation { name: operation_name.unwrap_or_default().to_owned() });
    };
    check_unused_fragments(document, limits)?;
    let schema = chosen.entries.saturating_mul(INTROSPECTION_SCALE.complexity) / INTROSPECTION_SCALE.entries;
    let complexity = chosen.complexity.saturating_add(schema);
    if complexity > limits.complexity || visited > limits.complexity || chosen.entries > INTROSPECTION_SCALE.entries {
        return Err(CostError::TooComplex { limit: limits.complexity });
    }
    if chosen.aliases > limits.aliases {
        return Err(CostError::TooManyAliases { limit: limits.aliases });
    }
    let max_root_fields = limits.aliases.max(MAX_ROOT_FIELDS);
    if chosen.root_fields > max_root_fields {
        return Err(CostError::TooManyRootFields { limit: max_root_fields });
    }
    if kind == OperationType::Subscription && chosen.root_fields > 1 {
        return Err(CostError::SeveralSubscriptionFields);
    }
    Ok(MeasuredOperation { cost: DocumentCost { complexity, is_introspection: chosen.entries > 0 }, kind })
}

/// Fragments that no operation spreads are validated, too.
fn check_unused_fragments(document: &ExecutableDocument, limits: &CostLimits) -> Result<(), CostError> {
    let (variables, given) = (Variables::default(), HashMap::new());
    let mut walk = CostVisitor::new(document, &variables, &given, limits);
    for (name, fragment) in &document.fragments {
        walk.measure_fragment(
            name,
            fragment,
            SelectionScope { place: IntrospectionPlace::Data, is_root: false, nesting: 0 },
        )?;
    }
    Ok(())
}

/// What a part of a document weighs.
#[derive(Debug, Clone, Copy, Default)]
struct PartCost {
    /// Work of answering it.
    complexity: usize,
    /// Selections that validation visits.
    visited: usize,
    /// Entries of the schema.
    entries: usize,
    aliases: usize,
    /// Fields of the operation itself, as often as they are executed.
    root_fields: usize,
    /// Fields inside fields.
    depth: usize,
    /// Selection sets inside selection sets, spreads included.
    nesting: usize,
}

impl PartCost {
    /// Both, one beside the other.
    fn combine(self, other: Self) -> Self {
        Self {
            complexity: self.complexity.saturating_add(other.complexity),
            visited: self.visited.saturating_add(other.visited),
            entries: self.entries.saturating_add(other.entries),
            aliases: self.aliases.saturating_add(other.aliases),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
        }
    }
}

/// Where a selection stands.
#[derive(Debug, Clone, Copy)]
struct SelectionScope {
    place: IntrospectionPlace,
    /// Whether its fields are fields of the operation.
    is_root: bool,
    nesting: usize,
}

/// A fragment that was come across.
enum FragmentState {
    /// It is being measured: whoever meets it again goes in a circle.
    InProgress,
    Measured(PartCost),
}

/// One way through an operation.
struct CostVisitor<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// What each variable of the request weighs.
    variable_weights: &'a HashMap<&'a str, usize>,
    /// What variables stand for that the request does not name, and what it weighs.
    defaults: HashMap<&'a str, (&'a ConstValue, usize)>,
    limits: &'a CostLimits,
    root: OperationType,
    fragments: HashMap<(&'a str, IntrospectionPlace, bool), FragmentState>,
}

impl<'a> CostVisitor<'a> {
    fn new(
        document: &'a ExecutableDocument,
        variables: &'a Variables,
        given: &'a HashMap<&'a str, usize>,
        limits: &'a CostLimits,
    ) -> Self {
        let (defaults, fragments) = (HashMap::new(), HashMap::new());
        Self { document, variables, variable_weights: given, defaults, limits, root: OperationType::Query, fragments }
    }

    fn measure_operation(mut self, operation: &'a OperationDefinition, at: Pos) -> Result<PartCost, CostError> {
        self.root = operation.ty;
        if operation.variable_definitions.len() > MAX_ARGUMENTS {
            return Err(CostError::TooManyArguments { at });
        }
        let mut own = self.measure_directives(&operation.directives, at)?;
        for definition in &operation.variable_definitions {
            let mut visited = 1;
            if let Some(default) = &definition.node.default_value {
                let weight = measure_constant(&default.node);
                visited += weight;
                self.defaults.insert(&definition.node.name.node, (&default.node, weight));
            }
            let directives = self.measure_directives(&definition.node.directives, definition.pos)?;
            own = own.combine(directives).combine(PartCost { visited, ..PartCost::default() });
        }
        let scope = SelectionScope { place: IntrospectionPlace::Data, is_root: true, nesting: 0 };
        Ok(self.measure_selection_set(&operation.selection_set, scope)?.combine(own))
    }

    fn measure_selection_set(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        scope: SelectionScope,
    ) -> Result<PartCost, CostError> {
        if scope.nesting > MAX_NESTING {
            return Err(CostError::TooDeep { limit: MAX_NESTING, at: set.pos });
        }
        let mut sum = PartCost::default();
        for selection in &set.node.items {
            let weight = match &selection.node {
                Selection::Field(field) => self.measure_field(&field.node, field.pos, scope)?,
                Selection::InlineFragment(inline) => {
                    let own = self.measure_directives(&inline.node.directives, inline.pos)?;
                    let inside = SelectionScope { nesting: scope.nesting + 1, ..scope };
                    let within = self.measure_selection_set(&inline.node.selection_set, inside)?;
                    PartCost { nesting: within.nesting + 1, ..within.combine(own) }
                }
                Selection::FragmentSpread(spread) => {
                    let own = self.measure_directives(&spread.node.directives, spread.pos)?;
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else {
                        return Err(CostError::UnknownFragment { name: name.to_string(), at: spread.pos });
                    };
                    let inside = SelectionScope { nesting: scope.nesting + 1, ..scope };
                    let within = self.measure_fragment(name, fragment, inside)?;
                    PartCost { nesting: within.nesting + 1, ..within.combine(own) }
                }
            };
            sum = sum.combine(weight);
            if sum.visited > self.limits.complexity {
                return Err(CostError::TooComplex { limit: self.limits.complexity });
            }
        }
        Ok(sum)
    }

    fn measure_fragment(
        &mut self,
        name: &'a str,
        fragment: &'a Positioned<FragmentDefinition>,
        scope: SelectionScope,
    ) -> Result<PartCost, CostError> {
        let key = (name, scope.place, scope.is_root);
        match self.fragments.get(&key) {
            Some(FragmentState::InProgress) => {
                return Err(CostError::FragmentCycle { name: name.to_owned(), at: fragment.pos });
            }
            Some(FragmentState::Measured(weight)) => {
                if scope.nesting + weight.nesting > MAX_NESTING {
                    return Err(CostError::TooDeep { limit: MAX_NESTING, at: fragment.pos });
                }
                return Ok(*weight);
            }
            None => {}
        }
        self.fragments.insert(key, FragmentState::InProgress);
        let own = self.measure_directives(&fragment.node.directives, fragment.pos)?;
        let weight = self.measure_selection_set(&fragment.node.selection_set, scope)?.combine(own);
        self.fragments.insert(key, FragmentState::Measured(weight));
        Ok(weight)
    }

    fn measure_field(&mut self, field: &'a Field, pos: Pos, scope: SelectionScope) -> Result<PartCost, CostError> {
        if field.arguments.len() > MAX_ARGUMENTS {
            return Err(CostError::TooManyArguments { at: pos });
        }
        let name = field.name.node.as_str();
        let price = field_price::price_field(if scope.is_root { Some(self.root) } else { None }, name);
        let (listed, place) = field_price::price_introspection(scope.place, name);
        let inside = SelectionScope { place, is_root: false, nesting: scope.nesting + 1 };
        let within = self.measure_selection_set(&field.selection_set, inside)?;
        let own = self.measure_directives(&field.directives, pos)?;
        let mut values = own.complexity;
        for (name, value) in &field.arguments {
            values = values
                .saturating_add(field_price::price_argument(&name.node))
                .saturating_add(self.measure_value(&value.node));
        }
        let is_about_schema = place != IntrospectionPlace::Data;
        let entries = if is_about_schema { within.entries.saturating_add(1).saturating_mul(listed) } else { 0 };
        let times = price.default_entries.map_or(1, |default| self.requested_entries(field, default));
        let complexity = price.base.saturating_add(values).saturating_add(within.complexity.saturating_mul(times));
        let depth = within.depth + 1;
        if depth > self.limits.depth {
            return Err(CostError::TooDeep { limit: self.limits.depth, at: pos });
        }
        Ok(PartCost {
            complexity: if scope.place == IntrospectionPlace::Data { complexity } else { values },
            visited: within.visited.saturating_add(own.visited).saturating_add(1).saturating_add(field.arguments.len()),
            entries,
            aliases: within.aliases.saturating_add(usize::from(field.alias.is_some())),
            root_fields: usize::from(scope.is_root),
            depth,
            nesting: within.nesting + 1,
        })
    }

    fn measure_directives(&self, directives: &[Positioned<Directive>], at: Pos) -> Result<PartCost, CostError> {
        if directives.len() > MAX_DIRECTIVES {
            return Err(CostError::TooManyDirectives { at });
        }
        let values = directives.iter().flat_map(|directive| &directive.node.arguments);
        let complexity = values.fold(0_usize, |sum, (_, value)| sum.saturating_add(self.measure_value(&value.node)));
        Ok(PartCost { complexity, visited: 1 + directives.len(), ..PartCost::default() })
    }

    /// How many entries a page has; one that will be refused counts as the largest.
    fn requested_entries(&self, field: &Field, default: u32) -> usize {
        let given = field.get_argument("first").map(|value| match &value.node {
            Value::Variable(name) => self.resolve_variable(name).cloned(),
            Value::Number(number) => Some(ConstValue::Number(number.clone())),
            Value::Null => Some(ConstValue::Null),
            Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => Some(ConstValue::Boolean(true)),
        });
        let entries = match given {
            None | Some(None | Some(ConstValue::Null)) => default,
            Some(Some(ConstValue::Number(number))) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(pagination::MAX_PAGE_SIZE)
                .min(pagination::MAX_PAGE_SIZE),
            Some(Some(_)) => pagination::MAX_PAGE_SIZE,
        };
        usize::try_from(entries).unwrap_or(usize::MAX)
    }

    /// What a variable stands for; `None` where it has no value.
    fn resolve_variable(&self, name: &str) -> Option<&ConstValue> {
        self.variables.get(name).or_else(|| self.defaults.get(name).map(|(value, _)| *value))
    }

    /// What a value weighs. Its nesting is bounded where it was read.
    fn measure_value(&self, value: &Value) -> usize {
        match value {
            Value::Variable(name) => {
                let given = self.variable_weights.get(name.as_str()).copied();
                given.or_else(|| self.defaults.get(name.as_str()).map(|(_, weight)| *weight)).unwrap_or(1)
            }
            Value::List(values) => values.iter().fold(1, |sum, value| self.measure_value(value).saturating_add(sum)),
            Value::Object(fields) => {
                fields.values().fold(1, |sum, value| self.measure_value(value).saturating_add(sum))
            }
            Value::String(text) => 1 + text.len() / TEXT_UNIT_BYTES,
            Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Enum(_) | Value::Binary(_) => 1,
        }
    }
}

/// What a value without variables weighs.
fn measure_constant(value: &ConstValue) -> usize {
    match value {
        ConstValue::List(values) => values.iter().fold(1, |sum, value| measure_constant(value).saturating_add(sum)),
        ConstValue::Object(fields) => fields.values().fold(1, |sum, value| measure_constant(value).saturating_add(sum)),
        ConstValue::String(text) => 1 + text.len() / TEXT_UNIT_BYTES,
        ConstValue::Null
        | ConstValue::Number(_)
        | ConstValue::Boolean(_)
        | ConstValue::Enum(_)
        | ConstValue::Binary(_) => 1,
    }
}
