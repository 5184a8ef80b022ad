//! Reads GraphQL documents into the library's syntax tree (specification of September 2025, section 2).
//!
//! The library's own parser recurses as deep as a document nests, which ends the process, and knows no escapes of
//! characters beyond the first plane. This one looks at each byte once, and refuses what nests too deep before it goes
//! into it.

mod string_value;
#[cfg(test)]
mod tests;
mod token;

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

use self::token::{Token, Tokens};

/// How deep a document may nest, whatever nests in it: selections, values, types.
pub(super) const DEEPEST: usize = 48;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    /// It is not written as the specification says.
    #[error("the document cannot be read: {reason}")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// Where.
        at: Pos,
    },
    /// It nests too deep.
    #[error("the document nests deeper than {limit}")]
    Deep {
        /// How deep it may.
        limit: usize,
        /// Where it goes deeper.
        at: Pos,
    },
    /// A name is too long.
    #[error("a name is longer than {limit} bytes")]
    LongName {
        /// How long it may be.
        limit: usize,
        /// Where it begins.
        at: Pos,
    },
}

impl DocumentError {
    fn syntax(reason: String, at: Pos) -> Self {
        Self::Syntax { reason, at }
    }

    /// Where it is.
    pub(super) fn pos(&self) -> Pos {
        match self {
            Self::Syntax { at, .. } | Self::Deep { at, .. } | Self::LongName { at, .. } => *at,
        }
    }
}

/// Names and values of arguments.
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// Reads a document.
///
/// # Errors
/// [`DocumentError`] at the first place where it is none.
pub(super) fn parse(text: &str) -> Result<ExecutableDocument, DocumentError> {
    let mut tokens = Tokens::new(text);
    let (token, pos) = tokens.next()?;
    let mut reader = Parser { tokens, token, pos, depth: 0 };
    let mut operations: Option<DocumentOperations> = None;
    let mut fragments = HashMap::new();
    while reader.token != Token::End {
        let begin = reader.pos;
        if let Token::String(_) = reader.token {
            // The description of what follows.
            reader.advance()?;
        }
        if reader.skip_word("fragment")? {
            let (name, fragment) = reader.fragment_definition(begin)?;
            match fragments.entry(name.node) {
                Entry::Vacant(free) => drop(free.insert(fragment)),
                Entry::Occupied(first) => {
                    let reason = format!("the fragment `{}` is defined twice", first.key());
                    return Err(DocumentError::syntax(reason, name.pos));
                }
            }
            continue;
        }
        let (name, operation) = reader.operation_definition(begin)?;
        operations = Some(with_operation(operations, name, operation)?);
    }
    let operations = operations.ok_or_else(|| reader.wrong("it has no operation"))?;
    Ok(ExecutableDocument { operations, fragments })
}

fn with_operation(
    before: Option<DocumentOperations>,
    name: Option<Positioned<Name>>,
    operation: Positioned<OperationDefinition>,
) -> Result<DocumentOperations, DocumentError> {
    let at = operation.pos;
    let several = || DocumentError::syntax("an operation without a name has to be the only one".to_owned(), at);
    match (before, name) {
        (None, None) => Ok(DocumentOperations::Single(operation)),
        (None, Some(name)) => Ok(DocumentOperations::Multiple(HashMap::from([(name.node, operation)]))),
        (Some(DocumentOperations::Multiple(mut operations)), Some(name)) => {
            if operations.contains_key(&name.node) {
                let reason = format!("the operation `{}` is defined twice", name.node);
                return Err(DocumentError::syntax(reason, name.pos));
            }
            operations.insert(name.node, operation);
            Ok(DocumentOperations::Multiple(operations))
        }
        (Some(DocumentOperations::Single(_) | DocumentOperations::Multiple(_)), _) => Err(several()),
    }
}

/// The place in a document: one token ahead.
struct Parser<'a> {
    tokens: Tokens<'a>,
    token: Token<'a>,
    pos: Pos,
    depth: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), DocumentError> {
        (self.token, self.pos) = self.tokens.next()?;
        Ok(())
    }

    fn wrong(&self, reason: &str) -> DocumentError {
        DocumentError::syntax(reason.to_owned(), self.pos)
    }

    fn expected(&self, what: &str) -> DocumentError {
        DocumentError::syntax(format!("expected {what}, found {}", self.token), self.pos)
    }

    /// Goes one deeper; whoever does has to come back by taking one from `depth`.
    fn deeper(&mut self) -> Result<(), DocumentError> {
        if self.depth == DEEPEST {
            return Err(DocumentError::Deep { limit: DEEPEST, at: self.pos });
        }
        self.depth += 1;
        Ok(())
    }

    /// Takes that character if it is next.
    fn skip(&mut self, character: char) -> Result<bool, DocumentError> {
        let found = self.token == Token::Punctuator(character);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, character: char) -> Result<(), DocumentError> {
        if self.skip(character)? { Ok(()) } else { Err(self.expected(&format!("`{character}`"))) }
    }

    fn skip_word(&mut self, word: &str) -> Result<bool, DocumentError> {
        let found = self.token == Token::Name(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn name(&mut self) -> Result<Positioned<Name>, DocumentError> {
        let Token::Name(name) = self.token else { return Err(self.expected("a name")) };
        let name = Positioned::new(Name::new(name), self.pos);
        self.advance()?;
        Ok(name)
    }

    fn operation_definition(
        &mut self,
        begin: Pos,
    ) -> Result<(Option<Positioned<Name>>, Positioned<OperationDefinition>), DocumentError> {
        let (mut name, mut variable_definitions, mut directives) = (None, vec![], vec![]);
        let ty = match self.token {
            Token::Punctuator('{') => OperationType::Query,
            Token::Name(word) => {
                let ty = match word {
                    "query" => OperationType::Query,
                    "mutation" => OperationType::Mutation,
                    "subscription" => OperationType::Subscription,
                    _ => return Err(self.expected("an operation or a fragment")),
                };
                self.advance()?;
                if let Token::Name(_) = self.token {
                    name = Some(self.name()?);
                }
                if self.skip('(')? {
                    while !self.skip(')')? {
                        variable_definitions.push(self.variable_definition()?);
                    }
                }
                directives = self.directives()?;
                ty
            }
            Token::Punctuator(_) | Token::Spread | Token::Number(_) | Token::String(_) | Token::End => {
                return Err(self.expected("an operation or a fragment"));
            }
        };
        let selection_set = self.selection_set()?;
        let operation = OperationDefinition { ty, variable_definitions, directives, selection_set };
        Ok((name, Positioned::new(operation, begin)))
    }

    fn fragment_definition(
        &mut self,
        begin: Pos,
    ) -> Result<(Positioned<Name>, Positioned<FragmentDefinition>), DocumentError> {
        if self.token == Token::Name("on") {
            return Err(self.wrong("a fragment cannot be named `on`"));
        }
        let name = self.name()?;
        let Some(type_condition) = self.type_condition()? else { return Err(self.expected("`on`")) };
        let directives = self.directives()?;
        let selection_set = self.selection_set()?;
        let fragment = FragmentDefinition { type_condition, directives, selection_set };
        Ok((name, Positioned::new(fragment, begin)))
    }

    fn type_condition(&mut self) -> Result<Option<Positioned<TypeCondition>>, DocumentError> {
        let begin = self.pos;
        if !self.skip_word("on")? {
            return Ok(None);
        }
        Ok(Some(Positioned::new(TypeCondition { on: self.name()? }, begin)))
    }

    fn selection_set(&mut self) -> Result<Positioned<SelectionSet>, DocumentError> {
        let begin = self.pos;
        self.deeper()?;
        self.expect('{')?;
        let mut items = vec![self.selection()?];
        while !self.skip('}')? {
            items.push(self.selection()?);
        }
        self.depth -= 1;
        Ok(Positioned::new(SelectionSet { items }, begin))
    }

    fn selection(&mut self) -> Result<Positioned<Selection>, DocumentError> {
        let begin = self.pos;
        if self.token != Token::Spread {
            let field = self.field()?;
            return Ok(Positioned::new(Selection::Field(Positioned::new(field, begin)), begin));
        }
        self.advance()?;
        let is_named = matches!(self.token, Token::Name(name) if name != "on");
        let selection = if is_named {
            let spread = FragmentSpread { fragment_name: self.name()?, directives: self.directives()? };
            Selection::FragmentSpread(Positioned::new(spread, begin))
        } else {
            let type_condition = self.type_condition()?;
            let directives = self.directives()?;
            let selection_set = self.selection_set()?;
            let fragment = InlineFragment { type_condition, directives, selection_set };
            Selection::InlineFragment(Positioned::new(fragment, begin))
        };
        Ok(Positioned::new(selection, begin))
    }

    fn field(&mut self) -> Result<Field, DocumentError> {
        let first = self.name()?;
        let (alias, name) = if self.skip(':')? { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selection_set = if self.token == Token::Punctuator('{') {
            self.selection_set()?
        } else {
            Positioned::new(SelectionSet::default(), Pos::default())
        };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    fn arguments(&mut self) -> Result<Arguments, DocumentError> {
        let mut arguments = vec![];
        if !self.skip('(')? {
            return Ok(arguments);
        }
        loop {
            let name = self.name()?;
            self.expect(':')?;
            let begin = self.pos;
            arguments.push((name, Positioned::new(self.value()?, begin)));
            if self.skip(')')? {
                return Ok(arguments);
            }
        }
    }

    fn directives(&mut self) -> Result<Vec<Positioned<Directive>>, DocumentError> {
        let mut directives = vec![];
        loop {
            let begin = self.pos;
            if !self.skip('@')? {
                return Ok(directives);
            }
            let directive = Directive { name: self.name()?, arguments: self.arguments()? };
            directives.push(Positioned::new(directive, begin));
        }
    }

    fn variable_definition(&mut self) -> Result<Positioned<VariableDefinition>, DocumentError> {
        let begin = self.pos;
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let type_begin = self.pos;
        let var_type = Positioned::new(self.type_reference()?, type_begin);
        // The library's own parser had them in this order, the specification has them in the other.
        let mut directives = self.directives()?;
        let mut default_value = None;
        if self.skip('=')? {
            let value_begin = self.pos;
            default_value = Some(Positioned::new(self.constant()?, value_begin));
            directives.extend(self.directives()?);
        }
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, begin))
    }

    fn type_reference(&mut self) -> Result<Type, DocumentError> {
        let base = if self.token == Token::Punctuator('[') {
            self.deeper()?;
            self.advance()?;
            let base = BaseType::List(Box::new(self.type_reference()?));
            self.expect(']')?;
            self.depth -= 1;
            base
        } else {
            BaseType::Named(self.name()?.node)
        };
        Ok(Type { base, nullable: !self.skip('!')? })
    }

    fn constant(&mut self) -> Result<ConstValue, DocumentError> {
        let begin = self.pos;
        let constant = self.value()?.into_const();
        constant.ok_or_else(|| DocumentError::syntax("a default value cannot hold a variable".to_owned(), begin))
    }

    fn value(&mut self) -> Result<Value, DocumentError> {
        let value = match &mut self.token {
            Token::Punctuator('$') => {
                self.advance()?;
                return Ok(Value::Variable(self.name()?.node));
            }
            Token::Punctuator('[') => return self.list(),
            Token::Punctuator('{') => return self.object(),
            Token::Number(text) => match text.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(self.wrong("this number is too large")),
            },
            Token::String(text) => Value::String(std::mem::take(text)),
            Token::Name("true") => Value::Boolean(true),
            Token::Name("false") => Value::Boolean(false),
            Token::Name("null") => Value::Null,
            Token::Name(name) => Value::Enum(Name::new(&**name)),
            Token::Punctuator(_) | Token::Spread | Token::End => return Err(self.expected("a value")),
        };
        self.advance()?;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, DocumentError> {
        self.deeper()?;
        self.advance()?;
        let mut values = vec![];
        while !self.skip(']')? {
            values.push(self.value()?);
        }
        self.depth -= 1;
        Ok(Value::List(values))
    }

    fn object(&mut self) -> Result<Value, DocumentError> {
        self.deeper()?;
        self.advance()?;
        let mut fields = IndexMap::new();
        while !self.skip('}')? {
            let name = self.name()?;
            self.expect(':')?;
            fields.insert(name.node, self.value()?);
        }
        self.depth -= 1;
        Ok(Value::Object(fields))
    }
}
