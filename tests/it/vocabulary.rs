//! Names of types: few consist of one word, a public one is declared once, and hardly any other in several files
//! (`CONTRIBUTING.md`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The largest share of type names that may consist of one word, in percent.
const MAX_ONE_WORD_PERCENT: usize = 20;

/// In how many files a type name may be declared that is not public.
const MAX_FILES_PER_NAME: usize = 2;

/// The files in which each type name is declared.
type Declarations = BTreeMap<String, DeclaringFiles>;

#[derive(Default)]
struct DeclaringFiles {
    all: BTreeSet<PathBuf>,
    /// Those in which it is `pub`, not `pub(crate)` or narrower.
    public: BTreeSet<PathBuf>,
}

impl DeclaringFiles {
    /// Files beyond what the rule allows: a name that is public anywhere has one.
    fn exceed_limit(&self) -> bool {
        self.all.len() > if self.public.is_empty() { MAX_FILES_PER_NAME } else { 1 }
    }
}

/// The type that a line declares. Associated types are indented, and named by their trait.
fn declared_type(line: &str) -> Option<&str> {
    let is_indented = line.starts_with(char::is_whitespace);
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(scoped) => scoped.split_once(')')?.1,
            None => after,
        };
        rest = rest.strip_prefix(' ')?;
    }
    let (keyword, rest) = rest.split_once(' ')?;
    let is_declaration =
        matches!(keyword, "struct" | "enum" | "trait" | "union") || (keyword == "type" && !is_indented);
    let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
    let name = rest.get(..end)?;
    (is_declaration && name.starts_with(char::is_uppercase)).then_some(name)
}

/// The words of a name in camel case; digits and runs of capitals belong to the word before.
fn word_count(name: &str) -> usize {
    let characters: Vec<char> = name.chars().collect();
    let begins_word = |index: usize| {
        let is_upper = |at: usize| characters.get(at).is_some_and(|character| character.is_uppercase());
        let is_lower = |at: usize| characters.get(at).is_some_and(|character| character.is_lowercase());
        is_upper(index) && (index == 0 || !is_upper(index - 1) || is_lower(index + 1))
    };
    (0..characters.len()).filter(|index| begins_word(*index)).count()
}

fn read_declarations(folder: &Path, declarations: &mut Declarations) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            read_declarations(&path, declarations);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some(declared) = declared_type(line) {
                    let files = declarations.entry(declared.to_owned()).or_default();
                    if line.trim_start().starts_with("pub ") {
                        files.public.insert(path.clone());
                    }
                    files.all.insert(path.clone());
                }
            }
        }
    }
}

fn one_word_names(declarations: &Declarations) -> Vec<&str> {
    declarations.keys().map(String::as_str).filter(|name| word_count(name) < 2).collect()
}

fn names_in_many_files(declarations: &Declarations) -> Vec<(&str, &BTreeSet<PathBuf>)> {
    let exceeding = declarations.iter().filter(|(_, files)| files.exceed_limit());
    exceeding.map(|(name, files)| (name.as_str(), &files.all)).collect()
}

#[test]
fn type_names_have_several_words_and_one_place() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut declarations = Declarations::new();
    read_declarations(workspace, &mut declarations);

    let one_word = one_word_names(&declarations);
    println!("{} type names, {} of one word: {}", declarations.len(), one_word.len(), one_word.join(" "));

    assert!(declarations.len() > 500, "only {} type names were found in {}", declarations.len(), workspace.display());
    assert!(
        one_word.len() * 100 <= declarations.len() * MAX_ONE_WORD_PERCENT,
        "{} of {} type names have one word: {}",
        one_word.len(),
        declarations.len(),
        one_word.join(" ")
    );
    assert_eq!(names_in_many_files(&declarations), [], "names that are declared in several files");
}

#[test]
fn planted_names_are_noticed() {
    let lines =
        ["pub(in crate::x) struct Kept;", "pub enum RateLimitStatus {", "    type Error = E;", "type Row<T> = T;"];
    let names: Vec<_> = lines.iter().filter_map(|line| declared_type(line)).collect();
    assert_eq!(names, ["Kept", "RateLimitStatus", "Row"]);
    assert_eq!(["Kept", "GraphQl", "HTTPServer", "Sha256", "PgLog"].map(word_count), [1, 2, 2, 1, 2]);

    let files = |count: usize| -> BTreeSet<_> { (0..count).map(|file| PathBuf::from(file.to_string())).collect() };
    let declare = |name: &str, all: usize, public: usize| {
        (name.to_owned(), DeclaringFiles { all: files(all), public: files(public) })
    };
    let planted = Declarations::from([
        declare("Kept", 3, 0),
        declare("ListArgs", 2, 0),
        declare("PgLog", 1, 1),
        declare("TextSource", 2, 1),
    ]);
    assert_eq!(one_word_names(&planted), ["Kept"]);
    assert_eq!(names_in_many_files(&planted), [("Kept", &files(3)), ("TextSource", &files(2))]);
}
