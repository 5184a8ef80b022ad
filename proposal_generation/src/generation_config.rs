//! Generation of proposals.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__PROPOSAL_GENERATION__PROMPTS_FOLDER` | none | folder of prompt files that add versions to the built-in ones or replace them, as `proposal_generation/prompts/README.md` describes |
//! | `MEDHUB__PROPOSAL_GENERATION__MAX_RUNNING` | `5` | generations of one company that may run at the same time |
//! | `MEDHUB__PROPOSAL_GENERATION__PROMPT_VERSION` | `1` | version of the prompt for companies in the control variant of `proposal-generation.prompt` |

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{PromptLibrary, PromptLibraryError};

/// Settings of the generation of proposals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProposalGenerationConfig {
    /// Folder of prompt files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts_folder: Option<PathBuf>,
    /// Version of the prompt for companies in the control variant.
    pub prompt_version: String,
    /// Maximum number of generations of one company at the same time.
    pub max_running: u32,
}

impl Default for ProposalGenerationConfig {
    fn default() -> Self {
        Self { prompts_folder: None, prompt_version: "1".to_owned(), max_running: 5 }
    }
}

impl ProposalGenerationConfig {
    /// Reads all versions of the prompt.
    ///
    /// # Errors
    /// [`PromptLibraryError`] with the file and what is wrong in it.
    pub fn load_prompts(&self) -> Result<PromptLibrary, PromptLibraryError> {
        PromptLibrary::load(self.prompts_folder.as_deref(), &self.prompt_version)
    }
}
