//! Tokens and what they cost.

use serde::{Deserialize, Serialize};

/// Characters of English text per token, on average.
const CHARACTERS_PER_TOKEN: u64 = 4;
/// How far a reported number of tokens may be from the estimate before the estimate is used: tokenizers differ by less.
const PLAUSIBLE_FACTOR: u64 = 5;
/// Tokens that a provider adds to a request by itself.
const OVERHEAD_TOKENS: u64 = 200;

/// Who counted the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOrigin {
    /// The provider.
    Reported,
    /// This program, because the provider reported nothing or something impossible.
    Estimated,
}

/// The tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the text.
    pub output_tokens: u64,
    /// Who counted them.
    pub origin: UsageOrigin,
}

impl TokenUsage {
    /// No tokens.
    pub const NONE: Self = Self { input_tokens: 0, output_tokens: 0, origin: UsageOrigin::Reported };

    /// The reported figures where they are plausible for the lengths of input and output, and an estimate otherwise:
    /// budgets do not depend on what a server claims. Up to `max_output_tokens` the output may be longer than its text:
    /// models bill the tokens of hidden reasoning.
    pub fn from_report(
        reported: Option<(u64, u64)>,
        input_characters: usize,
        output_characters: usize,
        max_output_tokens: u64,
    ) -> Self {
        let (input, output) = (estimate_tokens(input_characters), estimate_tokens(output_characters));
        match reported {
            Some((input_tokens, output_tokens))
                if is_plausible(input_tokens, input, 0) && is_plausible(output_tokens, output, max_output_tokens) =>
            {
                Self { input_tokens, output_tokens, origin: UsageOrigin::Reported }
            }
            Some(_) | None => Self { input_tokens: input, output_tokens: output, origin: UsageOrigin::Estimated },
        }
    }
}

/// The estimated number of tokens of a text.
pub fn estimate_tokens(characters: usize) -> u64 {
    u64::try_from(characters).unwrap_or(u64::MAX).div_ceil(CHARACTERS_PER_TOKEN)
}

/// Whether a report is near the estimate, or above it up to `granted`.
fn is_plausible(reported: u64, estimated: u64, granted: u64) -> bool {
    let most = estimated.saturating_mul(PLAUSIBLE_FACTOR).max(granted).saturating_add(OVERHEAD_TOKENS);
    reported <= most && reported >= estimated / PLAUSIBLE_FACTOR
}

/// Prices of a model in micro-dollars (millionths of a US dollar) per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenPrices {
    /// Price of a million tokens of input.
    pub input_micros_per_million: u64,
    /// Price of a million tokens of output.
    pub output_micros_per_million: u64,
}

impl TokenPrices {
    /// The cost of a request in micro-dollars, rounded up.
    pub fn cost_micros(&self, usage: &TokenUsage) -> u64 {
        let price = |tokens: u64, per_million: u64| u128::from(tokens) * u128::from(per_million);
        let total = price(usage.input_tokens, self.input_micros_per_million)
            + price(usage.output_tokens, self.output_micros_per_million);
        u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plausible_report_is_used() {
        let usage = TokenUsage::from_report(Some((260, 100)), 1_000, 400, 500);
        assert_eq!(usage, TokenUsage { input_tokens: 260, output_tokens: 100, origin: UsageOrigin::Reported });
    }

    #[test]
    fn a_missing_or_impossible_report_is_replaced_by_an_estimate() {
        let estimated = TokenUsage { input_tokens: 250, output_tokens: 100, origin: UsageOrigin::Estimated };
        for report in [None, Some((0, 0)), Some((250, u64::MAX)), Some((1, 100)), Some((u64::MAX, 100))] {
            assert_eq!(TokenUsage::from_report(report, 1_000, 400, 500), estimated, "{report:?}");
        }
    }

    #[test]
    fn tokens_of_hidden_reasoning_count_up_to_the_limit() {
        let usage = |reported| TokenUsage::from_report(Some((250, reported)), 1_000, 400, 1_500);
        assert_eq!((usage(1_400).output_tokens, usage(1_400).origin), (1_400, UsageOrigin::Reported));
        assert_eq!((usage(1_701).output_tokens, usage(1_701).origin), (100, UsageOrigin::Estimated));
        let without_text = TokenUsage::from_report(Some((250, 1_500)), 1_000, 0, 1_500);
        assert_eq!((without_text.output_tokens, without_text.origin), (1_500, UsageOrigin::Reported));
    }

    #[test]
    fn costs_are_rounded_up_and_do_not_overflow() {
        let prices = TokenPrices { input_micros_per_million: 3_000_000, output_micros_per_million: 15_000_000 };
        let usage = |input_tokens, output_tokens| TokenUsage { input_tokens, output_tokens, ..TokenUsage::NONE };
        assert_eq!(prices.cost_micros(&usage(1_000, 200)), 6_000);
        assert_eq!(prices.cost_micros(&usage(1, 0)), 3);
        assert_eq!(TokenPrices { input_micros_per_million: 1, ..prices }.cost_micros(&usage(1, 0)), 1);
        assert_eq!(prices.cost_micros(&usage(u64::MAX, u64::MAX)), u64::MAX);
    }
}
