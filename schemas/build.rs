//! Lists the schemas below `avro/` for `catalog.rs`, from the names of their files.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The folder with a folder for each aggregate.
const SCHEMA_FOLDER: &str = "avro";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The whole folder, so that a new file also triggers a new run.
    println!("cargo::rerun-if-changed={SCHEMA_FOLDER}");
    let mut schemas = Vec::new();
    for folder in file_names(Path::new(SCHEMA_FOLDER))? {
        for file in file_names(&Path::new(SCHEMA_FOLDER).join(&folder))? {
            match SchemaFileName::parse(&folder, &file) {
                Some(schema) => schemas.push(schema),
                None => {
                    println!(
                        "cargo::error=schemas/{SCHEMA_FOLDER}/{folder}/{file} is not named after its event and \
                         version; rename it to {folder}.<event>-<major>.<minor>.avsc, with the event in snake_case"
                    );
                }
            }
        }
    }
    schemas.sort_unstable();
    let entries: String = schemas.iter().map(SchemaFileName::to_catalog_entry).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("event_schemas.rs"), format!("vec![\n{entries}]\n"))
}

/// The names of the files of a folder, without hidden ones.
fn file_names(folder: &Path) -> io::Result<Vec<String>> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("schemas/{}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(context)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

/// The name of a schema's file: `<aggregate>/<aggregate>.<event>-<major>.<minor>.avsc`. Ordered by event and version.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SchemaFileName {
    aggregate: String,
    event: String,
    major: u32,
    minor: u32,
}

impl SchemaFileName {
    /// Parses a name; `None` if it has another form.
    pub(crate) fn parse(folder: &str, file: &str) -> Option<Self> {
        let (event, version) = file.strip_prefix(folder)?.strip_prefix('.')?.strip_suffix(".avsc")?.split_once('-')?;
        let (major, minor) = version.split_once('.')?;
        let parsed = Self {
            aggregate: folder.to_owned(),
            event: event.to_owned(),
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        };
        let is_name = [folder, event].iter().all(|name| is_snake_case(name));
        (is_name && parsed.version() == version).then_some(parsed)
    }

    pub(crate) fn version(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// The name of the record: the event in `CamelCase`.
    pub(crate) fn record(&self) -> String {
        let capitalize = |word: &str| word.split_at(1).0.to_ascii_uppercase() + word.split_at(1).1;
        self.event.split('_').map(capitalize).collect()
    }

    /// The expression that `catalog.rs` includes.
    fn to_catalog_entry(&self) -> String {
        let Self { aggregate, event, .. } = self;
        let (version, record) = (self.version(), self.record());
        format!(
            "    EventSchema::new(\"{aggregate}.{event}\", \"{version}\", \"medhub.{aggregate}.{record}\", \
             include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \
             \"/{SCHEMA_FOLDER}/{aggregate}/{aggregate}.{event}-{version}.avsc\"))),\n"
        )
    }
}

/// Whether a name consists of words of lower-case letters and digits, joined by `_`.
fn is_snake_case(name: &str) -> bool {
    name.split('_').all(|word| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    })
}
