//! Parser of GraphQL documents into the library's syntax tree (specification of September 2025, section 2).
//!
//! The library's own parser recurses as deep as a document nests, which can overflow the stack and abort the process,
//! and does not support escapes of characters beyond the Basic Multilingual Plane. This parser reads each byte once,
//! and rejects nesting that is too deep before it recurses.

mod lexer;
mod string_value;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, hash_map::Entry};

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
        InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
        VariableDefinition,
    },
};

use async_graphql_value::{ConstValue, Value, indexmap::IndexMap};

use self::lexer::{DocumentLexer, DocumentToken};

/// Maximum nesting of a document: selections, values and types together.
pub(super) const MAX_NESTING: usize = 48;

/// Why a document cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentParseError {
    /// The syntax is invalid.
    #[error("the document cannot be read: {reason}")]
    Syntax {
        /// Description of the error.
        reason: String,
        /// Position of the error.
        at: Pos,
    },
    /// The document nests too deep.
    #[error("the document nests deeper than {limit}")]
    TooDeep {
        /// Maximum nesting.
        limit: usize,
        /// Position where it is exceeded.
        at: Pos,
    },
    /// A name is too long.
    #[error("a name is longer than {limit} bytes")]
    NameTooLong {
        /// Maximum length in bytes.
        limit: usize,
        /// Position of the name.
        at: Pos,
    },
}

impl DocumentParseError {
    fn syntax(reason: String, at: Pos) -> Self {
        Self::Syntax { reason, at }
    }

    /// Position of the error.
    pub(super) fn pos(&self) -> Pos {
        match self {
            Self::Syntax { at, .. } | Self::TooDeep { at, .. } | Self::NameTooLong { at, .. } => *at,
        }
    }
}

/// Names and values of arguments.
type ArgumentList = Vec<(Positioned<Name>, Positioned<Value>)>;

/// Parses a document.
///
/// # Errors
/// [`DocumentParseError`] with the position of the first error.
pub(super) fn parse_document(text: &str) -> Result<ExecutableDocument, DocumentParseError> {
    let mut tokens = DocumentLexer::new(text);
    let (token, pos) = tokens.next_token()?;
    let mut parser = DocumentParser { tokens, token, pos, depth: 0 };
    let mut operations: Option<DocumentOperations> = None;
    let mut fragments = HashMap::new();
    while parser.token != DocumentToken::End {
        let begin = parser.pos;
        if let DocumentToken::String(_) = parser.token {
            // The description of the following definition.
            parser.advance()?;
        }
        if parser.skip_keyword("fragment")? {
            let (name, fragment) = parser.parse_fragment_definition(begin)?;
            match fragments.entry(name.node) {
                Entry::Vacant(entry) => drop(entry.insert(fragment)),
                Entry::Occupied(first) => {
                    let reason = format!("the fragment `{}` is defined twice", first.key());
                    return Err(DocumentParseError::syntax(reason, name.pos));
                }
            }
            continue;
        }
        let (name, operation) = parser.parse_operation_definition(begin)?;
        operations = Some(add_operation(operations, name, operation)?);
    }
    let operations = operations.ok_or_else(|| parser.syntax_error("it has no operation"))?;
    Ok(ExecutableDocument { operations, fragments })
}

fn add_operation(
    operations: Option<DocumentOperations>,
    name: Option<Positioned<Name>>,
    operation: Positioned<OperationDefinition>,
) -> Result<DocumentOperations, DocumentParseError> {
    let at = operation.pos;
    let not_alone = || DocumentParseError::syntax("an anonymous operation must be the only one".to_owned(), at);
    match (operations, name) {
        (None, None) => Ok(DocumentOperations::Single(operation)),
        (None, Some(name)) => Ok(DocumentOperations::Multiple(HashMap::from([(name.node, operation)]))),
        (Some(DocumentOperations::Multiple(mut operations)), Some(name)) => {
            if operations.contains_key(&name.node) {
                let reason = format!("the operation `{}` is defined twice", name.node);
                return Err(DocumentParseError::syntax(reason, name.pos));
            }
            operations.insert(name.node, operation);
            Ok(DocumentOperations::Multiple(operations))
        }
        (Some(DocumentOperations::Single(_) | DocumentOperations::Multiple(_)), _) => Err(not_alone()),
    }
}

/// Recursive-descent parser with one token of lookahead.
struct DocumentParser<'a> {
    tokens: DocumentLexer<'a>,
    token: DocumentToken<'a>,
    pos: Pos,
    depth: usize,
}

impl DocumentParser<'_> {
    fn advance(&mut self) -> Result<(), DocumentParseError> {
        (self.token, self.pos) = self.tokens.next_token()?;
        Ok(())
    }

    fn syntax_error(&self, reason: &str) -> DocumentParseError {
        DocumentParseError::syntax(reason.to_owned(), self.pos)
    }

    fn unexpected_token(&self, what: &str) -> DocumentParseError {
        DocumentParseError::syntax(format!("expected {what}, found {}", self.token), self.pos)
    }

    /// Enters one level of nesting; the caller decrements `depth` when it leaves the level.
    fn increase_depth(&mut self) -> Result<(), DocumentParseError> {
        if self.depth == MAX_NESTING {
            return Err(DocumentParseError::TooDeep { limit: MAX_NESTING, at: self.pos });
        }
        self.depth += 1;
        Ok(())
    }

    /// Consumes the character if it is the next token; returns whether it was.
    fn skip_punctuator(&mut self, character: char) -> Result<bool, DocumentParseError> {
        let found = self.token == DocumentToken::Punctuator(character);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_punctuator(&mut self, character: char) -> Result<(), DocumentParseError> {
        if self.skip_punctuator(character)? { Ok(()) } else { Err(self.unexpected_token(&format!("`{character}`"))) }
    }

    fn skip_keyword(&mut self, word: &str) -> Result<bool, DocumentParseError> {
        let found = self.token == DocumentToken::Name(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn parse_name(&mut self) -> Result<Positioned<Name>, DocumentParseError> {
        let DocumentToken::Name(name) = self.token else { return Err(self.unexpected_token("a name")) };
        let name = Positioned::new(Name::new(name), self.pos);
        self.advance()?;
        Ok(name)
    }

    fn parse_operation_definition(
        &mut self,
        begin: Pos,
    ) -> Result<(Option<Positioned<Name>>, Positioned<OperationDefinition>), DocumentParseError> {
        let (mut name, mut variable_definitions, mut directives) = (None, vec![], vec![]);
        let ty = match self.token {
            DocumentToken::Punctuator('{') => OperationType::Query,
            DocumentToken::Name(word) => {
                let ty = match word {
                    "query" => OperationType::Query,
                    "mutation" => OperationType::Mutation,
                    "subscription" => OperationType::Subscription,
                    _ => return Err(self.unexpected_token("an operation or a fragment")),
                };
                self.advance()?;
                if let DocumentToken::Name(_) = self.token {
                    name = Some(self.parse_name()?);
                }
                if self.skip_punctuator('(')? {
                    while !self.skip_punctuator(')')? {
                        variable_definitions.push(self.parse_variable_definition()?);
                    }
                }
                directives = self.parse_directives()?;
                ty
            }
            DocumentToken::Punctuator(_)
            | DocumentToken::Spread
            | DocumentToken::Number(_)
            | DocumentToken::String(_)
            | DocumentToken::End => {
                return Err(self.unexpected_token("an operation or a fragment"));
            }
        };
        let selection_set = self.parse_selection_set()?;
        let operation = OperationDefinition { ty, variable_definitions, directives, selection_set };
        Ok((name, Positioned::new(operation, begin)))
    }

    fn parse_fragment_definition(
        &mut self,
        begin: Pos,
    ) -> Result<(Positioned<Name>, Positioned<FragmentDefinition>), DocumentParseError> {
        if self.token == DocumentToken::Name("on") {
            return Err(self.syntax_error("a fragment cannot be named `on`"));
        }
        let name = self.parse_name()?;
        let Some(type_condition) = self.parse_type_condition()? else { return Err(self.unexpected_token("`on`")) };
        let directives = self.parse_directives()?;
        let selection_set = self.parse_selection_set()?;
        let fragment = FragmentDefinition { type_condition, directives, selection_set };
        Ok((name, Positioned::new(fragment, begin)))
    }

    fn parse_type_condition(&mut self) -> Result<Option<Positioned<TypeCondition>>, DocumentParseError> {
        let begin = self.pos;
        if !self.skip_keyword("on")? {
            return Ok(None);
        }
        Ok(Some(Positioned::new(TypeCondition { on: self.parse_name()? }, begin)))
    }

    fn parse_selection_set(&mut self) -> Result<Positioned<SelectionSet>, DocumentParseError> {
        let begin = self.pos;
        self.increase_depth()?;
        self.expect_punctuator('{')?;
        let mut items = vec![self.parse_selection()?];
        while !self.skip_punctuator('}')? {
            items.push(self.parse_selection()?);
        }
        self.depth -= 1;
        Ok(Positioned::new(SelectionSet { items }, begin))
    }

    fn parse_selection(&mut self) -> Result<Positioned<Selection>, DocumentParseError> {
        let begin = self.pos;
        if self.token != DocumentToken::Spread {
            let field = self.parse_field()?;
            return Ok(Positioned::new(Selection::Field(Positioned::new(field, begin)), begin));
        }
        self.advance()?;
        let is_named = matches!(self.token, DocumentToken::Name(name) if name != "on");
        let selection = if is_named {
            let spread = FragmentSpread { fragment_name: self.parse_name()?, directives: self.parse_directives()? };
            Selection::FragmentSpread(Positioned::new(spread, begin))
        } else {
            let type_condition = self.parse_type_condition()?;
            let directives = self.parse_directives()?;
            let selection_set = self.parse_selection_set()?;
            let fragment = InlineFragment { type_condition, directives, selection_set };
            Selection::InlineFragment(Positioned::new(fragment, begin))
        };
        Ok(Positioned::new(selection, begin))
    }

    fn parse_field(&mut self) -> Result<Field, DocumentParseError> {
        let first = self.parse_name()?;
        let (alias, name) = if self.skip_punctuator(':')? { (Some(first), self.parse_name()?) } else { (None, first) };
        let arguments = self.parse_arguments()?;
        let directives = self.parse_directives()?;
        let selection_set = if self.token == DocumentToken::Punctuator('{') {
            self.parse_selection_set()?
        } else {
            Positioned::new(SelectionSet::default(), Pos::default())
        };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    fn parse_arguments(&mut self) -> Result<ArgumentList, DocumentParseError> {
        let mut arguments = vec![];
        if !self.skip_punctuator('(')? {
            return Ok(arguments);
        }
        loop {
            let name = self.parse_name()?;
            self.expect_punctuator(':')?;
            let begin = self.pos;
            arguments.push((name, Positioned::new(self.parse_value()?, begin)));
            if self.skip_punctuator(')')? {
                return Ok(arguments);
            }
        }
    }

    fn parse_directives(&mut self) -> Result<Vec<Positioned<Directive>>, DocumentParseError> {
        let mut directives = vec![];
        loop {
            let begin = self.pos;
            if !self.skip_punctuator('@')? {
                return Ok(directives);
            }
            let directive = Directive { name: self.parse_name()?, arguments: self.parse_arguments()? };
            directives.push(Positioned::new(directive, begin));
        }
    }

    fn parse_variable_definition(&mut self) -> Result<Positioned<VariableDefinition>, DocumentParseError> {
        let begin = self.pos;
        self.expect_punctuator('$')?;
        let name = self.parse_name()?;
        self.expect_punctuator(':')?;
        let type_begin = self.pos;
        let var_type = Positioned::new(self.parse_type_reference()?, type_begin);
        // Directives are accepted before the default value, as by the library's parser, and after it, as in the
        // specification.
        let mut directives = self.parse_directives()?;
        let mut default_value = None;
        if self.skip_punctuator('=')? {
            let value_begin = self.pos;
            default_value = Some(Positioned::new(self.parse_constant()?, value_begin));
            directives.extend(self.parse_directives()?);
        }
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, begin))
    }

    fn parse_type_reference(&mut self) -> Result<Type, DocumentParseError> {
        let base = if self.token == DocumentToken::Punctuator('[') {
            self.increase_depth()?;
            self.advance()?;
            let base = BaseType::List(Box::new(self.parse_type_reference()?));
            self.expect_punctuator(']')?;
            self.depth -= 1;
            base
        } else {
            BaseType::Named(self.parse_name()?.node)
        };
        Ok(Type { base, nullable: !self.skip_punctuator('!')? })
    }

    fn parse_constant(&mut self) -> Result<ConstValue, DocumentParseError> {
        let begin = self.pos;
        let constant = self.parse_value()?.into_const();
        constant
            .ok_or_else(|| DocumentParseError::syntax("a default value cannot contain a variable".to_owned(), begin))
    }

    fn parse_value(&mut self) -> Result<Value, DocumentParseError> {
        let value = match &mut self.token {
            DocumentToken::Punctuator('$') => {
                self.advance()?;
                return Ok(Value::Variable(self.parse_name()?.node));
            }
            DocumentToken::Punctuator('[') => return self.parse_list(),
            DocumentToken::Punctuator('{') => return self.parse_object(),
            DocumentToken::Number(text) => match text.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(self.syntax_error("this number is too large")),
            },
            DocumentToken::String(text) => Value::String(std::mem::take(text)),
            DocumentToken::Name("true") => Value::Boolean(true),
            DocumentToken::Name("false") => Value::Boolean(false),
            DocumentToken::Name("null") => Value::Null,
            DocumentToken::Name(name) => Value::Enum(Name::new(&**name)),
            DocumentToken::Punctuator(_) | DocumentToken::Spread | DocumentToken::End => {
                return Err(self.unexpected_token("a value"));
            }
        };
        self.advance()?;
        Ok(value)
    }

    fn parse_list(&mut self) -> Result<Value, DocumentParseError> {
        self.increase_depth()?;
        self.advance()?;
        let mut values = vec![];
        while !self.skip_punctuator(']')? {
            values.push(self.parse_value()?);
        }
        self.depth -= 1;
        Ok(Value::List(values))
    }

    fn parse_object(&mut self) -> Result<Value, DocumentParseError> {
        self.increase_depth()?;
        self.advance()?;
        let mut fields = IndexMap::new();
        while !self.skip_punctuator('}')? {
            let name = self.parse_name()?;
            self.expect_punctuator(':')?;
            fields.insert(name.node, self.parse_value()?);
        }
        self.depth -= 1;
        Ok(Value::Object(fields))
    }
}
