//! All versions of the prompt: the built-in ones, and the ones of a folder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use domain::proposal_generation::{PromptName, PromptRef, PromptVersion};

use crate::{PromptError, SectionPrompt};

/// The name of the prompt for sections of proposals.
pub const PROMPT_NAME: &str = "proposal-section";
/// The variant of an experiment that changes nothing.
pub const CONTROL_VARIANT: &str = "control";

/// The built-in files, by their paths in `prompts/`.
const BUILT_IN: [(&str, &str); 2] = [
    ("proposal-section/1.toml", include_str!("../prompts/proposal-section/1.toml")),
    ("proposal-section/2.toml", include_str!("../prompts/proposal-section/2.toml")),
];
/// Maximum number of prompt files in a folder.
const MAX_FILES: usize = 100;
/// Maximum length of a prompt file in bytes.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Why the prompts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptLibraryError {
    /// A folder or file cannot be read.
    #[error("reading the prompts in {}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is invalid.
    #[error("the prompt {}", path.display())]
    Prompt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<PromptError>,
    },
    /// The name and version in a file do not agree with its path.
    #[error("the prompt {} says that it is version {version} of {name}; path and content have to agree", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The name in the file.
        name: PromptName,
        /// The version in the file.
        version: PromptVersion,
    },
    /// The folder has too many files.
    #[error("more than {MAX_FILES} prompts in {}", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the folder has a version that is built in, with another text.
    #[error("the prompt {} differs from the built-in version {version}; give it a version of its own", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
        /// The version.
        version: PromptVersion,
    },
    /// The default version does not exist.
    #[error("there is no version {version} of the prompt {PROMPT_NAME}; there are {known}")]
    UnknownVersion {
        /// The version.
        version: String,
        /// The versions that exist.
        known: String,
    },
}

/// All versions of the prompt.
#[derive(Debug, Clone)]
pub struct PromptLibrary {
    prompts: BTreeMap<PromptRef, SectionPrompt>,
    default: SectionPrompt,
}

impl PromptLibrary {
    /// Reads the built-in prompts, and the prompts of a folder, which add versions. Built-in ones cannot be replaced:
    /// all generations of a version have the same text.
    ///
    /// # Errors
    /// [`PromptLibraryError`] with the file and what is wrong in it, or if `default_version` does not exist.
    pub fn load(folder: Option<&Path>, default_version: &str) -> Result<Self, PromptLibraryError> {
        let mut prompts = BTreeMap::new();
        for (path, text) in BUILT_IN {
            let prompt = parse_prompt(Path::new(path), Path::new(path), text)?;
            prompts.insert(prompt.reference().clone(), prompt);
        }
        if let Some(folder) = folder {
            for prompt in read_folder(folder)? {
                let PromptRef { name, version } = prompt.reference().clone();
                if prompts.get(prompt.reference()).is_some_and(|built_in| *built_in != prompt) {
                    let path = folder.join(name.as_str()).join(format!("{version}.toml"));
                    return Err(PromptLibraryError::Replaced { path, version });
                }
                prompts.insert(PromptRef { name, version }, prompt);
            }
        }
        let is_default = |prompt: &&SectionPrompt| is_version(prompt, default_version);
        let Some(default) = prompts.values().find(is_default).cloned() else {
            let known: Vec<_> = prompts.keys().map(|known| known.version.to_string()).collect();
            let (version, known) = (default_version.to_owned(), known.join(", "));
            return Err(PromptLibraryError::UnknownVersion { version, known });
        };
        Ok(Self { prompts, default })
    }

    /// The version that a generation has recorded.
    pub fn find(&self, reference: &PromptRef) -> Option<&SectionPrompt> {
        self.prompts.get(reference)
    }

    /// The version of a variant of the experiment `proposal-generation.prompt`: the one with that name; the default for
    /// the control variant and an unknown one.
    pub fn prompt_for_variant(&self, variant: &str) -> &SectionPrompt {
        self.prompts.values().find(|prompt| is_version(prompt, variant)).unwrap_or(&self.default)
    }

    /// The versions of the prompt: the names of the variants of `proposal-generation.prompt`.
    pub fn versions(&self) -> Vec<String> {
        let of_sections = self.prompts.keys().filter(|known| known.name.as_str() == PROMPT_NAME);
        of_sections.map(|known| known.version.to_string()).collect()
    }
}

fn is_version(prompt: &SectionPrompt, version: &str) -> bool {
    let known = prompt.reference();
    known.name.as_str() == PROMPT_NAME && known.version.as_str() == version
}

/// Parses the file at `path`, which is `below` in the folder of prompts.
fn parse_prompt(path: &Path, below: &Path, text: &str) -> Result<SectionPrompt, PromptLibraryError> {
    let prompt = SectionPrompt::from_toml(text)
        .map_err(|source| PromptLibraryError::Prompt { path: path.to_owned(), source: Box::new(source) })?;
    let PromptRef { name, version } = prompt.reference();
    if below != Path::new(name.as_str()).join(format!("{version}.toml")) {
        let (name, version) = (name.clone(), version.clone());
        return Err(PromptLibraryError::Misnamed { path: path.to_owned(), name, version });
    }
    Ok(prompt)
}

/// The prompts of a folder. Files without the ending `toml` are skipped.
fn read_folder(folder: &Path) -> Result<Vec<SectionPrompt>, PromptLibraryError> {
    let mut prompts = vec![];
    let below = Path::new(PROMPT_NAME);
    let names = folder.join(below);
    let read_error = |path: &Path| {
        let path = path.to_owned();
        move |source| PromptLibraryError::Read { path, source }
    };
    for entry in std::fs::read_dir(&names).map_err(read_error(&names))? {
        let entry = entry.map_err(read_error(&names))?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        if prompts.len() >= MAX_FILES {
            return Err(PromptLibraryError::TooMany { path: names });
        }
        let mut text = String::new();
        let file = File::open(&path).map_err(read_error(&path))?;
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(read_error(&path))?;
        prompts.push(parse_prompt(&path, &below.join(entry.file_name()), &text)?);
    }
    Ok(prompts)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn prompts_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts")
    }

    #[test]
    fn every_file_is_built_in_and_unchanged_since_it_was_released() {
        let folder = prompts_folder();
        let found = fs::read_dir(folder.join(PROMPT_NAME)).unwrap();
        let found: BTreeSet<_> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let built_in: BTreeSet<_> =
            BUILT_IN.iter().map(|(path, _)| path.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(found, built_in, "a file in prompts/ that is not compiled in, or the other way round");

        let recorded = fs::read_to_string(folder.join("fingerprints.txt")).unwrap();
        let recorded: BTreeSet<_> = recorded.lines().map(str::to_owned).collect();
        let computed = |(path, text): (&str, &str)| format!("{:x}  {path}", Sha256::digest(text));
        let computed: BTreeSet<_> = BUILT_IN.into_iter().map(computed).collect();
        assert_eq!(
            computed, recorded,
            "a prompt was changed: leave the released file as it was, and add a new version with a line in fingerprints.txt"
        );
    }

    #[test]
    fn a_variant_names_a_version() {
        let library = PromptLibrary::load(None, "1").unwrap();
        let version = |variant| library.prompt_for_variant(variant).reference().version.to_string();
        assert_eq!([version(CONTROL_VARIANT), version("2"), version("unheard-of")], ["1", "2", "1"]);
        assert_eq!(library.versions(), ["1", "2"]);
        let second = library.prompt_for_variant("2").reference().clone();
        assert_eq!(library.find(&second).unwrap().reference(), &second);
        let unknown = PromptRef { version: PromptVersion::try_new("99").unwrap(), ..second };
        assert!(library.find(&unknown).is_none());
    }

    #[test]
    fn a_folder_adds_versions_and_replaces_no_built_in_one() {
        let folder = prompts_folder();
        assert!(PromptLibrary::load(Some(&folder), "2").is_ok());
        let error = PromptLibrary::load(Some(&folder), "3").unwrap_err();
        assert!(error.to_string().contains("no version 3") && error.to_string().contains("1, 2"), "{error}");
        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join(PROMPT_NAME)).unwrap();
        let changed = BUILT_IN[0].1.replace("output_tokens = 1500", "output_tokens = 1400");
        fs::write(other.path().join(BUILT_IN[0].0), &changed).unwrap();
        let error = PromptLibrary::load(Some(other.path()), "1").unwrap_err();
        assert!(
            matches!(error, PromptLibraryError::Replaced { .. }) && error.to_string().contains("1.toml"),
            "{error}"
        );
        fs::remove_file(other.path().join(BUILT_IN[0].0)).unwrap();
        let added = changed.replace("version = \"1\"", "version = \"1-short\"");
        fs::write(other.path().join(PROMPT_NAME).join("1-short.toml"), added).unwrap();
        assert!(PromptLibrary::load(Some(other.path()), "1-short").is_ok());
        let missing = PromptLibrary::load(Some(&folder.join("nowhere")), "1").unwrap_err();
        assert!(missing.to_string().contains("nowhere"), "{missing}");
    }

    #[test]
    fn a_file_whose_path_says_something_else_is_refused() {
        let text = BUILT_IN[0].1;
        let path = Path::new("proposal-section/7.toml");
        let error = parse_prompt(path, path, text).unwrap_err();
        assert!(matches!(error, PromptLibraryError::Misnamed { .. }), "{error}");
    }
}
