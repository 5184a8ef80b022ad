//! The experiments of this release.

use super::{
    value::{CONTROL, FlagKey},
    variants::FlagVariants,
};
use crate::value::{InvalidValue, vocabulary};

/// The variants of `search.ranking` that this release knows.
pub const SEARCH_RANKINGS: [&str; 4] = [CONTROL, "words", "meaning", "recent"];

vocabulary!(
    /// An experiment that parts of this release ask for, by the key of its flag. Without a definition every tenant has
    /// the control.
    KnownExperiment, "experiment" {
        /// Which order of providers writes the sections of proposals.
        ProposalProvider = "proposal-generation.provider",
        /// Which version of the prompt is used for the sections of proposals.
        ProposalPrompt = "proposal-generation.prompt",
        /// How the hits of a search are ranked.
        SearchRanking = "search.ranking",
    }
);

/// The variants of experiments that the settings of a program name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfiguredVariants {
    /// The versions of the prompt for sections of proposals.
    pub prompt_versions: Vec<String>,
    /// The names of the providers of generated texts.
    pub providers: Vec<String>,
}

impl KnownExperiment {
    /// The key of its flag.
    pub fn key(self) -> FlagKey {
        FlagKey::from_program(self.name())
    }

    /// Checks the variants of a flag: the first variant of an experiment of this release is `control`, and all of them
    /// are known. An unknown variant would be used as the control, and compared with it as if it differed.
    ///
    /// # Errors
    /// [`InvalidValue`] for other variants.
    pub fn check_variants(
        key: &FlagKey,
        variants: &FlagVariants,
        configured: &ConfiguredVariants,
    ) -> Result<(), InvalidValue> {
        let Some(experiment) = Self::ALL.iter().find(|experiment| experiment.name() == key.as_str()) else {
            return Ok(());
        };
        if variants.control().as_str() != CONTROL {
            let expected = "a list that begins with `control`, as this experiment needs";
            return Err(InvalidValue::malformed("list of variants", &variants.to_string(), expected));
        }
        match variants.iter().find(|variant| !experiment.has_variant(variant.name.as_str(), configured)) {
            Some(unknown) => Err(InvalidValue::malformed("variant", unknown.name.as_str(), experiment.known_names())),
            None => Ok(()),
        }
    }

    /// Whether it has a variant of this name, with these settings.
    pub fn has_variant(self, name: &str, configured: &ConfiguredVariants) -> bool {
        let is_known = |known: &[String]| name == CONTROL || known.iter().any(|known| known == name);
        match self {
            Self::ProposalProvider => is_known(&configured.providers),
            Self::ProposalPrompt => is_known(&configured.prompt_versions),
            Self::SearchRanking => SEARCH_RANKINGS.contains(&name),
        }
    }

    /// What the names of its variants may be.
    fn known_names(self) -> &'static str {
        match self {
            Self::ProposalProvider => {
                "`control` or a provider in the settings of this program (`language_models.providers`; `medhub config` \
                 shows them)"
            }
            Self::ProposalPrompt => {
                "`control` or a version of the prompt that this program has (built in, or in the folder \
                 `proposal_generation.prompts_folder`)"
            }
            Self::SearchRanking => "one of the rankings: control, words, meaning, recent",
        }
    }

    /// What it compares.
    pub fn description(self) -> &'static str {
        match self {
            Self::ProposalProvider => "Order of the providers that write sections of proposals",
            Self::ProposalPrompt => "Version of the prompt for sections of proposals",
            Self::SearchRanking => "Ranking of the hits of a search",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FlagVariant, VariantName},
        *,
    };

    #[test]
    fn flags_of_experiments_have_a_control_and_known_variants() {
        let configured =
            ConfiguredVariants { prompt_versions: vec!["3".to_owned()], providers: vec!["main".to_owned()] };
        let check = |key: &str, names: &[&str]| {
            let variant = |name: &&str| FlagVariant { name: VariantName::try_new(name).unwrap(), weight: 1 };
            let variants = FlagVariants::try_new(names.iter().map(variant).collect()).unwrap();
            let checked = KnownExperiment::check_variants(&FlagKey::try_new(key).unwrap(), &variants, &configured);
            checked.map_err(|error| error.to_string())
        };
        for (key, known, unknown, explanation) in [
            ("search.ranking", "words", "word", "rankings: control, words, meaning, recent"),
            ("proposal-generation.prompt", "3", "4", "a version of the prompt that this program has"),
            ("proposal-generation.provider", "main", "mian", "language_models.providers"),
        ] {
            assert!(check(key, &[known, "control"]).unwrap_err().contains("begins with `control`"));
            assert_eq!(check(key, &["control", known]), Ok(()));
            let refused = check(key, &["control", known, unknown]).unwrap_err();
            assert!(refused.contains(&format!("{unknown:?}")) && refused.contains(explanation), "{refused}");
        }
        assert_eq!(check("another.flag", &["off", "on"]), Ok(()));
    }
}
