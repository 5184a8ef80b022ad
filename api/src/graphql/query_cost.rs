//! The query cost: what a GraphQL document costs to answer, computed before it is validated or run, and its limits.
//!
//! Each fragment is measured once, however often it is spread, so that the time to measure is linear in the length of
//! the document; the cost of a fragment counts at each spread. Fields are multiplied by the entries of their lists, and
//! values count each time they are read, also those of variables. A field that is repeated without an alias counts each
//! time: async-graphql executes it each time, and merges the results.

mod field_price;
mod paged_fields;
mod query_cost_error;
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

use self::field_price::{INTROSPECTION_SCALE, IntrospectionPlace};
pub(super) use self::{paged_fields::load_paged_fields, query_cost_error::QueryCostError};
use super::{document_parser::MAX_NESTING, pagination};

/// Bytes of a string that cost as much as one field.
const TEXT_UNIT_BYTES: usize = 1024;

/// Limits of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueryCostLimits {
    /// Maximum complexity.
    pub(super) complexity: usize,
    /// Maximum depth of fields inside fields.
    pub(super) depth: usize,
    /// Maximum number of aliases; those of fragments count at each spread.
    pub(super) aliases: usize,
}

/// Maximum number of directives of one field, fragment or operation.
const MAX_DIRECTIVES: usize = 8;

/// Maximum number of root fields of one operation, counted each time they are executed, because nearly every one
/// queries a store. If more aliases are allowed, their limit applies instead.
const MAX_ROOT_FIELDS: usize = 64;

/// Number of dimensions that opportunities are counted by.
const MAX_DIMENSIONS: usize = 5;

/// Maximum number of arguments of one field and of variables of one operation. Validation compares each with all
/// others.
const MAX_ARGUMENTS: usize = 100;

/// What a document costs to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCost {
    /// Number of returned fields, plus other work in units of a field: 200 for a search or statistics, 50 for a command,
    /// a history, a list of opportunities or its facets, 10 for another round trip to a store, 1 for a value of an
    /// argument.
    pub complexity: usize,
    /// Whether the document queries the schema.
    pub is_introspection: bool,
}

/// The operation of a request that will be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MeasuredOperation {
    pub(super) cost: QueryCost,
    pub(super) kind: OperationType,
}

/// Measures a request.
///
/// # Errors
/// [`QueryCostError`] when the document exceeds `limits`, or cannot be measured because a fragment or operation does
/// not exist.
pub(super) fn measure_query_cost(
    document: &ExecutableDocument,
    operation_name: Option<&str>,
    variables: &Variables,
    limits: &QueryCostLimits,
) -> Result<MeasuredOperation, QueryCostError> {
    let variable_weights = variables.iter().map(|(name, value)| (name.as_str(), measure_constant(value))).collect();
    let mut chosen = None;
    let mut visited = 0_usize;
    for (name, operation) in document.operations.iter() {
        let is_chosen = match operation_name {
            Some(requested) => name.is_some_and(|name| name == requested),
            None => chosen.is_none(),
        };
        if operation_name.is_none() && chosen.is_some() {
            return Err(QueryCostError::AmbiguousOperation);
        }
        let weight = CostVisitor::new(document, variables, &variable_weights, limits)
            .measure_operation(&operation.node, operation.pos)?;
        // All operations are validated, and one is executed.
        visited = visited.saturating_add(weight.visited);
        if is_chosen {
            chosen = Some((operation.node.ty, weight));
        }
    }
    let Some((kind, chosen)) = chosen else {
        return Err(QueryCostError::UnknownOperation { name: operation_name.unwrap_or_default().to_owned() });
    };
    check_unused_fragments(document, limits)?;
    let introspection = chosen.entries.saturating_mul(INTROSPECTION_SCALE.complexity) / INTROSPECTION_SCALE.entries;
    let complexity = chosen.complexity.saturating_add(introspection);
    if complexity > limits.complexity || visited > limits.complexity || chosen.entries > INTROSPECTION_SCALE.entries {
        return Err(QueryCostError::TooComplex { limit: limits.complexity });
    }
    if chosen.aliases > limits.aliases {
        return Err(QueryCostError::TooManyAliases { limit: limits.aliases });
    }
    let max_root_fields = limits.aliases.max(MAX_ROOT_FIELDS);
    if chosen.root_fields > max_root_fields {
        return Err(QueryCostError::TooManyRootFields { limit: max_root_fields });
    }
    if kind == OperationType::Subscription && chosen.root_fields > 1 {
        return Err(QueryCostError::SeveralSubscriptionFields);
    }
    Ok(MeasuredOperation { cost: QueryCost { complexity, is_introspection: chosen.entries > 0 }, kind })
}

/// Checks the limits of all fragments: also those that no operation spreads are validated.
fn check_unused_fragments(document: &ExecutableDocument, limits: &QueryCostLimits) -> Result<(), QueryCostError> {
    let (variables, variable_weights) = (Variables::default(), HashMap::new());
    let mut visitor = CostVisitor::new(document, &variables, &variable_weights, limits);
    for (name, fragment) in &document.fragments {
        visitor.measure_fragment(
            name,
            fragment,
            SelectionScope { place: IntrospectionPlace::Data, is_root: false, nesting: 0 },
        )?;
    }
    Ok(())
}

/// The cost of a part of a document.
#[derive(Debug, Clone, Copy, Default)]
struct PartCost {
    /// See [`QueryCost::complexity`].
    complexity: usize,
    /// What counts once for the list around it, in the unit of [`Self::complexity`].
    once_per_list: usize,
    /// Number of selections that validation visits.
    visited: usize,
    /// Number of entries of the schema that introspection returns.
    entries: usize,
    aliases: usize,
    /// Number of executions of root fields.
    root_fields: usize,
    /// Depth of fields inside fields.
    depth: usize,
    /// Depth of selection sets inside selection sets, including spreads.
    nesting: usize,
}

impl PartCost {
    /// Returns the cost of two parts that are siblings.
    fn combine(self, other: Self) -> Self {
        Self {
            complexity: self.complexity.saturating_add(other.complexity),
            once_per_list: self.once_per_list.saturating_add(other.once_per_list),
            visited: self.visited.saturating_add(other.visited),
            entries: self.entries.saturating_add(other.entries),
            aliases: self.aliases.saturating_add(other.aliases),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
        }
    }
}

/// The surroundings of a selection.
#[derive(Debug, Clone, Copy)]
struct SelectionScope {
    place: IntrospectionPlace,
    /// Whether its fields are root fields of the operation.
    is_root: bool,
    nesting: usize,
}

/// State of a fragment that has been visited.
enum FragmentState {
    /// It is being measured: visiting it again means that it contains itself.
    InProgress,
    Measured(PartCost),
}

/// Measures one operation.
struct CostVisitor<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// The weight of each variable of the request.
    variable_weights: &'a HashMap<&'a str, usize>,
    /// Default values of variables and their weights.
    defaults: HashMap<&'a str, (&'a ConstValue, usize)>,
    limits: &'a QueryCostLimits,
    root: OperationType,
    fragments: HashMap<(&'a str, IntrospectionPlace, bool), FragmentState>,
}

impl<'a> CostVisitor<'a> {
    fn new(
        document: &'a ExecutableDocument,
        variables: &'a Variables,
        variable_weights: &'a HashMap<&'a str, usize>,
        limits: &'a QueryCostLimits,
    ) -> Self {
        let (defaults, fragments) = (HashMap::new(), HashMap::new());
        Self { document, variables, variable_weights, defaults, limits, root: OperationType::Query, fragments }
    }

    fn measure_operation(mut self, operation: &'a OperationDefinition, at: Pos) -> Result<PartCost, QueryCostError> {
        self.root = operation.ty;
        if operation.variable_definitions.len() > MAX_ARGUMENTS {
            return Err(QueryCostError::TooManyArguments { at });
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
    ) -> Result<PartCost, QueryCostError> {
        if scope.nesting > MAX_NESTING {
            return Err(QueryCostError::TooDeep { limit: MAX_NESTING, at: set.pos });
        }
        let mut sum = PartCost::default();
        for selection in &set.node.items {
            let weight = match &selection.node {
                Selection::Field(field) => self.measure_field(&field.node, field.pos, scope)?,
                Selection::InlineFragment(inline) => {
                    let own = self.measure_directives(&inline.node.directives, inline.pos)?;
                    let inner_scope = SelectionScope { nesting: scope.nesting + 1, ..scope };
                    let inner = self.measure_selection_set(&inline.node.selection_set, inner_scope)?;
                    PartCost { nesting: inner.nesting + 1, ..inner.combine(own) }
                }
                Selection::FragmentSpread(spread) => {
                    let own = self.measure_directives(&spread.node.directives, spread.pos)?;
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else {
                        return Err(QueryCostError::UnknownFragment { name: name.to_string(), at: spread.pos });
                    };
                    let inner_scope = SelectionScope { nesting: scope.nesting + 1, ..scope };
                    let inner = self.measure_fragment(name, fragment, inner_scope)?;
                    PartCost { nesting: inner.nesting + 1, ..inner.combine(own) }
                }
            };
            sum = sum.combine(weight);
            if sum.visited > self.limits.complexity {
                return Err(QueryCostError::TooComplex { limit: self.limits.complexity });
            }
        }
        Ok(sum)
    }

    fn measure_fragment(
        &mut self,
        name: &'a str,
        fragment: &'a Positioned<FragmentDefinition>,
        scope: SelectionScope,
    ) -> Result<PartCost, QueryCostError> {
        let key = (name, scope.place, scope.is_root);
        match self.fragments.get(&key) {
            Some(FragmentState::InProgress) => {
                return Err(QueryCostError::FragmentCycle { name: name.to_owned(), at: fragment.pos });
            }
            Some(FragmentState::Measured(weight)) => {
                if scope.nesting + weight.nesting > MAX_NESTING {
                    return Err(QueryCostError::TooDeep { limit: MAX_NESTING, at: fragment.pos });
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

    fn measure_field(&mut self, field: &'a Field, pos: Pos, scope: SelectionScope) -> Result<PartCost, QueryCostError> {
        if field.arguments.len() > MAX_ARGUMENTS {
            return Err(QueryCostError::TooManyArguments { at: pos });
        }
        let name = field.name.node.as_str();
        let price = field_price::price_field(if scope.is_root { Some(self.root) } else { None }, name);
        let (list_entries, place) = field_price::price_introspection(scope.place, name);
        let inner_scope = SelectionScope { place, is_root: false, nesting: scope.nesting + 1 };
        let inner = self.measure_selection_set(&field.selection_set, inner_scope)?;
        let own = self.measure_directives(&field.directives, pos)?;
        let mut values = own.complexity;
        for (name, value) in &field.arguments {
            values = values
                .saturating_add(field_price::price_argument(&name.node))
                .saturating_add(self.measure_value(&value.node));
        }
        let is_about_schema = place != IntrospectionPlace::Data;
        let entries = if is_about_schema { inner.entries.saturating_add(1).saturating_mul(list_entries) } else { 0 };
        let mut page_entries =
            price.default_entries.map_or(1, |default| self.requested_entries(field, price.page_argument(), default));
        if price.is_about_list {
            page_entries = page_entries.saturating_mul(self.dimension_count(field));
        }
        let complexity = price
            .base
            .saturating_add(values)
            .saturating_add(inner.complexity.saturating_mul(page_entries))
            .saturating_add(inner.once_per_list);
        let is_data = scope.place == IntrospectionPlace::Data;
        let once_per_list = if is_data && price.is_about_list { complexity } else { 0 };
        let depth = inner.depth + 1;
        if depth > self.limits.depth {
            return Err(QueryCostError::TooDeep { limit: self.limits.depth, at: pos });
        }
        Ok(PartCost {
            complexity: if is_data { complexity - once_per_list } else { values },
            once_per_list,
            visited: inner.visited.saturating_add(own.visited).saturating_add(1).saturating_add(field.arguments.len()),
            entries,
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            root_fields: usize::from(scope.is_root),
            depth,
            nesting: inner.nesting + 1,
        })
    }

    fn measure_directives(&self, directives: &[Positioned<Directive>], at: Pos) -> Result<PartCost, QueryCostError> {
        if directives.len() > MAX_DIRECTIVES {
            return Err(QueryCostError::TooManyDirectives { at });
        }
        let values = directives.iter().flat_map(|directive| &directive.node.arguments);
        let complexity = values.fold(0_usize, |sum, (_, value)| sum.saturating_add(self.measure_value(&value.node)));
        Ok(PartCost { complexity, visited: 1 + directives.len(), ..PartCost::default() })
    }

    /// Returns the number of dimensions of a facet; an unknown number counts as the maximum.
    fn dimension_count(&self, field: &Field) -> usize {
        let count = field.get_argument("dimensions").and_then(|value| match &value.node {
            Value::List(values) => Some(values.len()),
            Value::Variable(name) => self
                .resolve_variable(name)
                .and_then(|value| if let ConstValue::List(values) = value { Some(values.len()) } else { None }),
            Value::Enum(_) => Some(1),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Object(_) => None,
        });
        count.unwrap_or(MAX_DIMENSIONS).min(MAX_DIMENSIONS)
    }

    /// Returns the number of entries of a page; an invalid `argument` counts as the maximum.
    fn requested_entries(&self, field: &Field, argument: &str, default: u32) -> usize {
        let first = field.get_argument(argument).map(|value| match &value.node {
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
        let entries = match first {
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

    /// Returns the value of a variable; `None` if it has none.
    fn resolve_variable(&self, name: &str) -> Option<&ConstValue> {
        self.variables.get(name).or_else(|| self.defaults.get(name).map(|(value, _)| *value))
    }

    /// Returns the weight of a value. The parser limits its nesting.
    fn measure_value(&self, value: &Value) -> usize {
        match value {
            Value::Variable(name) => {
                let weight = self.variable_weights.get(name.as_str()).copied();
                weight.or_else(|| self.defaults.get(name.as_str()).map(|(_, weight)| *weight)).unwrap_or(1)
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

/// Returns the weight of a value without variables.
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
