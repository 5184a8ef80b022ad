//! Tests of the parser, with the library's own parser as reference.

use super::*;

fn parse_error(text: &str) -> String {
    parse_document(text).unwrap_err().to_string()
}

#[test]
fn documents_are_parsed_as_by_the_library() {
    for text in [
        "{ a }",
        "{a,b:c(x:1 y:-2.5e3 z:\"t\\u00e9\",l:[1 [2] $v],o:{a:{b:E}} n:null t:true){d @skip(if:$v){e}...F ... on T{g}...{h}}}
         fragment F on T @d { i }",
        "query Q($a:Int!=1 $b:[[String!]!] $c:T @d){x} mutation M{y} subscription{z}",
        "query Q($a:Int!$b:[[String!]!]=[[\"x\"]]){x} mutation M{y}",
        "# comment\r\n\u{feff}{ a(b: \"\"\"\n    block\n      text\n    \"\"\", c: \"\") # end\n é }",
        "{ query: mutation on: fragment type subscription true null }",
        "query query { a } query mutation { b } fragment fragment on on { c }",
    ] {
        let expected = async_graphql::parser::parse_query(text);
        match (parse_document(text), expected) {
            (Ok(parsed), Ok(expected)) => {
                let [parsed, expected] = [parsed, expected].map(|document| serde_json::to_value(document).unwrap());
                assert_eq!(parsed, expected, "{text}");
            }
            (Err(_), Err(_)) => {}
            (parsed, expected) => panic!("{text}\n{parsed:?}\n{expected:?}"),
        }
    }
}

#[test]
fn valid_documents_that_the_library_rejects_are_parsed() {
    let argument = |text: &str| {
        let document = parse_document(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (_, operation) = document.operations.iter().next().unwrap();
        let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else { panic!("no field") };
        field.node.arguments[0].1.node.clone()
    };
    assert_eq!(argument(r#"{ a(b: "\u{1F600}") }"#), Value::String("😀".to_owned()));
    assert_eq!(argument(r#"{ a(b: "\uD83D\uDE00") }"#), Value::String("😀".to_owned()));
    assert_eq!(argument(r#"{ a(b: """x \""" y""") }"#), Value::String("x \"\"\" y".to_owned()));
    parse_document("\"\"\"what it does\"\"\" query Q($a: Int = 1 @d) { a }").unwrap();
}

#[test]
fn syntax_errors_have_a_reason_and_a_position() {
    for (text, expected, line, column) in [
        ("", "no operation", 1, 1),
        ("fragment F on T { a }", "no operation", 1, 22),
        ("{", "expected a name, found the end", 1, 2),
        ("{}", "expected a name, found `}`", 1, 2),
        ("{ a } }", "expected an operation or a fragment", 1, 7),
        ("{ a(b: $) }", "expected a name", 1, 9),
        ("{ a() }", "expected a name", 1, 5),
        ("{ a }\n{ b }", "must be the only one", 2, 1),
        ("query A { a } query A { b }", "defined twice", 1, 21),
        ("{ a } fragment F on T { a } fragment F on T { a }", "defined twice", 1, 38),
        ("{ a(b: 01) }", "invalid number", 1, 8),
        ("{ a(b: 1x) }", "invalid number", 1, 8),
        ("{ a(b: 1.) }", "invalid number", 1, 8),
        ("{ a(b: -) }", "invalid number", 1, 8),
        ("{ a(b: 1e) }", "invalid number", 1, 8),
        ("{ a(b: 1e999) }", "too large", 1, 8),
        ("{ a(b: \"é\n\") }", "unterminated", 1, 8),
        ("{ a(b: \"\\", "unterminated", 1, 8),
        ("{ é(b: \"\"\"x) }", "unexpected character", 1, 3),
        ("{ a(b: \"\"\"\n é \\\"\"\" ) }", "unterminated", 1, 8),
        ("{ a(b: \"\"\"\n é \"\"\" ; }", "unexpected character", 2, 8),
        ("{ a .. }", "unexpected character", 1, 5),
        ("query($a: Int = $b) { a }", "cannot contain a variable", 1, 17),
        ("{ a } fragment on on T { a }", "cannot be named", 1, 16),
    ] {
        let error = parse_document(text).unwrap_err();
        let DocumentParseError::Syntax { reason, at } = &error else { panic!("{text}: {error}") };
        assert!(reason.contains(expected), "{text}: {reason}");
        assert_eq!((at.line, at.column), (line, column), "{text}: {reason}");
    }
}

#[test]
fn nesting_that_is_too_deep_is_refused_without_recursion() {
    let n = 100_000;
    for text in [
        format!("{{a(b:{}", "[".repeat(n)),
        format!("{{a(b:{}", "{c:".repeat(n)),
        format!("query($v:{}", "[".repeat(n)),
        format!("query($v:I={}", "[".repeat(n)),
        "{a".repeat(n),
        "{...on T".repeat(n),
        "{...".repeat(n),
        format!("{{a @d(b:{}", "[{c:".repeat(n)),
    ] {
        assert!(parse_error(&text).contains("deeper than 48"), "{}", &text[..20]);
    }
    assert!(parse_error(&format!("{{ {} }}", "x".repeat(300))).contains("longer than 256"));
    let nested_list = |depth: usize| format!("{{ a(b: {}1{}) }}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse_document(&nested_list(MAX_NESTING - 1)).is_ok(), "the selection set is a level as well");
    assert!(parse_document(&nested_list(MAX_NESTING)).is_err());
    assert!(parse_document(&format!("{{ {} }}", "a(b: [[1]]) ".repeat(1_000))).is_ok(), "siblings do not nest");
}
