//! Why settings cannot be used, in the words of the person who set them.

use std::path::PathBuf;

use figment::{Figment, error::Kind};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file is not there or cannot be read.
    #[error("reading the settings file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// At least one setting is unknown or has an unusable value.
    #[error("{}", problems.join("; "))]
    Invalid {
        /// One sentence for each.
        problems: Vec<String>,
    },
    /// The settings cannot be shown.
    #[error("writing the settings as TOML")]
    Print(#[source] toml::ser::Error),
}

impl ConfigError {
    /// Says for each problem which key it is about and where that was set.
    pub(super) fn from_figment(error: figment::Error, settings: &Figment) -> Self {
        Self::Invalid { problems: error.into_iter().map(|problem| describe_error(&problem, settings)).collect() }
    }
}

fn describe_error(error: &figment::Error, settings: &Figment) -> String {
    let section = error.path.join(".");
    if let Kind::UnknownField(_, known) = &error.kind {
        // The path of an unknown key ends in the key itself.
        return format!(
            "unknown setting {section}{}; known here: {}",
            describe_origin(&section, settings),
            known.join(", ")
        );
    }
    if section.is_empty() {
        return error.kind.to_string();
    }
    format!("setting {section}{}: {}", describe_origin(&section, settings), error.kind)
}

/// Where a key was set, e.g. ` (environment variable MEDHUB__HTTP__LISTEN)`.
fn describe_origin(key: &str, settings: &Figment) -> String {
    let Some(metadata) = settings.find_metadata(key) else { return String::new() };
    match &metadata.source {
        Some(source) => format!(" ({source})"),
        None => format!(" ({})", metadata.name),
    }
}
