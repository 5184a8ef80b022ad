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

impl KnownExperiment {
    /// The key of its flag.
    pub fn key(self) -> FlagKey {
        FlagKey::from_program(self.name())
    }

    /// Checks the variants of a flag: those of an experiment of this release begin with `control`, and all variants of
    /// `search.ranking` are among [`SEARCH_RANKINGS`]. An unknown variant would be used as the control, and compared with it
    /// as if it differed. Providers and versions of prompts are settings of programs, and not checked.
    ///
    /// # Errors
    /// [`InvalidValue`] for other variants.
    pub fn check_variants(key: &FlagKey, variants: &FlagVariants) -> Result<(), InvalidValue> {
        let Some(experiment) = Self::ALL.iter().find(|experiment| experiment.name() == key.as_str()) else {
            return Ok(());
        };
        let malformed = |expected| InvalidValue::malformed("list of variants", &variants.to_string(), expected);
        if variants.control().as_str() != CONTROL {
            return Err(malformed("a list that begins with `control`, as this experiment needs"));
        }
        let is_known = |name: &str| *experiment != Self::SearchRanking || SEARCH_RANKINGS.contains(&name);
        if !variants.iter().all(|variant| is_known(variant.name.as_str())) {
            return Err(malformed("a list of rankings: control, words, meaning, recent"));
        }
        Ok(())
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
    fn flags_of_experiments_have_a_control_and_known_rankings() {
        let check = |key: &str, names: &[&str]| {
            let variant = |name: &&str| FlagVariant { name: VariantName::try_new(name).unwrap(), weight: 1 };
            let variants = FlagVariants::try_new(names.iter().map(variant).collect()).unwrap();
            KnownExperiment::check_variants(&FlagKey::try_new(key).unwrap(), &variants)
        };
        for key in ["search.ranking", "proposal-generation.prompt", "proposal-generation.provider"] {
            assert!(check(key, &["words", "control"]).unwrap_err().to_string().contains("begins with `control`"));
            assert_eq!(check(key, &["control", "words"]), Ok(()));
        }
        assert!(check("search.ranking", &["control", "word"]).unwrap_err().to_string().contains("rankings"));
        assert_eq!(check("proposal-generation.prompt", &["control", "3"]), Ok(()));
        assert_eq!(check("another.flag", &["off", "on"]), Ok(()));
    }
}
