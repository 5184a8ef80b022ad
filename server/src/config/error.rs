//! Errors of the configuration, with the name of each setting and its source.

use std::path::PathBuf;

use figment::{Figment, error::Kind};

/// An unusable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file does not exist or cannot be read.
    #[error("reading the settings file {}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// At least one setting is unknown or has an invalid value.
    #[error("{}", problems.join("; "))]
    Invalid {
        /// One sentence for each setting.
        problems: Vec<String>,
    },
    /// The configuration cannot be serialized.
    #[error("writing the settings as TOML")]
    Print(#[source] toml::ser::Error),
}

impl ConfigError {
    /// Names for each problem the key and where it was set.
    pub(super) fn from_figment(error: figment::Error, settings: &Figment) -> Self {
        Self::Invalid { problems: error.into_iter().map(|problem| describe_error(&problem, settings)).collect() }
    }

    /// Names a key that is not among the known ones, and where it was set.
    pub(super) fn unknown_setting(key: &str, known: &[&str], settings: &Figment) -> Self {
        Self::Invalid { problems: vec![describe_unknown(key, known, settings)] }
    }
}

fn describe_unknown(key: &str, known: &[&str], settings: &Figment) -> String {
    format!("unknown setting {key}{}; known here: {}", describe_origin(key, settings), known.join(", "))
}

fn describe_error(error: &figment::Error, settings: &Figment) -> String {
    let section = error.path.join(".");
    if let Kind::UnknownField(_, known) = &error.kind {
        // The path of an unknown key ends with the key itself.
        return describe_unknown(&section, known, settings);
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
