//! The set-asides that documents name, and their codes in SAM.gov and in profiles.

use regex::Regex;

/// A set-aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedSetAside {
    /// Its name for users.
    pub(super) name: &'static str,
    /// The beginnings of SAM.gov's codes of companies that may make an offer.
    codes: &'static [&'static str],
}

/// What documents write, the special ones first: each of them is one for small businesses, too.
const SET_ASIDES: &[(NamedSetAside, &str)] = &[
    (NamedSetAside { name: "8(a)", codes: &["8A"] }, r"(?i)\b8\s?\(a\)"),
    (NamedSetAside { name: "HUBZone", codes: &["HZ"] }, r"(?i)\bHUB\s?Zone\b"),
    (
        NamedSetAside { name: "service-disabled veteran-owned", codes: &["SDVOSB"] },
        r"(?i)\bSDVOSB\b|\bservice[- ]disabled\b",
    ),
    (
        NamedSetAside { name: "economically disadvantaged women-owned", codes: &["EDWOSB"] },
        r"(?i)\bEDWOSB\b|\beconomically disadvantaged\b",
    ),
    (NamedSetAside { name: "women-owned", codes: &["WOSB", "EDWOSB"] }, r"(?i)\bWOSB\b|\bwom[ae]n[- ]owned\b"),
    (
        NamedSetAside { name: "veteran-owned", codes: &["VSA", "VSS", "VOSB", "SDVOSB"] },
        r"(?i)\bVOSB\b|\bveteran[- ]owned\b",
    ),
    (
        NamedSetAside {
            name: "small business",
            codes: &["SBA", "SBP", "8A", "HZ", "SDVOSB", "WOSB", "EDWOSB", "VSA", "VSS", "VOSB"],
        },
        r"(?i)\bsmall[- ]business\b",
    ),
];

/// The wordings of set-asides.
pub(super) struct SetAsidePatterns {
    names: Vec<(NamedSetAside, Regex)>,
    mention: Regex,
    negation: Regex,
    statement: Regex,
}

/// A set-aside that a sentence names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundSetAside {
    pub(super) set_aside: NamedSetAside,
    /// Whether the sentence states it, so that others are excluded.
    pub(super) is_stated: bool,
}

/// Wordings that negate a set-aside or make it conditional. Clauses of the FAR have them, also in requests that are
/// open to all.
const NEGATIONS: &[&str] = &[
    r"\bunrestricted\b",
    r"\b(?:not|no|never|nor|without)\b[^.;:,]{0,40}\bset[- ]?aside\b",
    r"\bset[- ]?aside\W{1,4}(?:is|are|was|were|does|do|shall|will)\s+not\b",
    r"\bset[- ]?aside\W{1,4}(?:none|n/a|no|not)\b",
    r"\b(?:if|when|whenever|where|unless)\b[^.;]{0,80}\bset[- ]?aside\b",
    r"\bset[- ]?aside\b[^.;]{0,80}\b(?:if|when|whenever|unless)\b",
    r"\b(?:applies|apply)\s+(?:only\s+)?(?:to|in|when|if)\b",
    r"\b(?:that|which)\s+(?:is|are|was|were|has been|have been)\s+(?:\w+\s+){0,3}set[- ]?aside\b",
    r"\b(?:may|might|could)\s+(?:be\s+)?set[- ]?aside\b",
];

/// Wordings that state a set-aside.
const STATEMENTS: &[&str] = &[
    r"^\W*set[- ]?aside\b",
    r"\bset[- ]?aside(?:\s+(?:type|code))?\s*:",
    r"\b(?:total|totally|exclusively|solely)\b",
    r"\b100\s?(?:%|percent\b)",
    r"\b(?:this|the)\s+(?:\w+\s+){0,3}(?:is|has been|will be|is being)\s+(?:\w+\s+){0,2}set[- ]?aside\b",
];

impl SetAsidePatterns {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let compile = |(set_aside, pattern): &(NamedSetAside, &str)| Ok((*set_aside, Regex::new(pattern)?));
        let any_of = |patterns: &[&str]| Regex::new(&format!("(?i)(?:{})", patterns.join("|")));
        Ok(Self {
            names: SET_ASIDES.iter().map(compile).collect::<Result<_, regex::Error>>()?,
            mention: Regex::new(r"(?i)\bset[- ]?aside\b")?,
            negation: any_of(NEGATIONS)?,
            statement: any_of(STATEMENTS)?,
        })
    }

    /// The set-asides that sentences name; of each sentence the first that it could be.
    pub(super) fn find<'a>(&self, sentences: impl Iterator<Item = &'a str>) -> Vec<FoundSetAside> {
        let mut found: Vec<FoundSetAside> = Vec::new();
        for sentence in sentences {
            if !self.mention.is_match(sentence) || self.negation.is_match(sentence) {
                continue;
            }
            let named = self.names.iter().find(|(_, pattern)| pattern.is_match(sentence));
            let Some((set_aside, _)) = named else { continue };
            let is_stated = self.statement.is_match(sentence);
            match found.iter_mut().find(|known| known.set_aside == *set_aside) {
                Some(known) => known.is_stated |= is_stated,
                None => found.push(FoundSetAside { set_aside: *set_aside, is_stated }),
            }
        }
        found
    }
}

impl NamedSetAside {
    /// Whether a company with these codes may make an offer.
    pub(super) fn includes(self, codes: &[String]) -> bool {
        codes.iter().any(|code| self.codes.iter().any(|begin| code.to_ascii_uppercase().starts_with(begin)))
    }
}
