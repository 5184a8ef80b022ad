//! Certificates, registrations and authorizations that documents require by name.

use std::collections::BTreeSet;

use regex::Regex;

/// Names with the wordings that identify them; an empty name means that the match itself is the name.
const CERTIFICATES: &[(&str, &str)] = &[
    ("", r"\b(?:ISO|IEC)(?:[/ -](?:IEC))?[ -]?\d{4,5}\b"),
    ("CMMI", r"\bCMMI\b"),
    ("CMMC", r"\bCMMC\b"),
    ("FedRAMP", r"(?i)\bFedRAMP\b"),
    ("SOC 2", r"(?i)\bSOC[ -]?2\b"),
    ("HITRUST", r"(?i)\bHITRUST\b"),
    ("PCI DSS", r"\bPCI[- ]DSS\b"),
    ("PMP", r"\bPMP\b"),
    ("CISSP", r"\bCISSP\b"),
    ("ITIL", r"\bITIL\b"),
    ("SAM registration", r"\bSAM\.gov\b|(?i:\bSystem for Award Management\b)"),
    ("Joint Commission accreditation", r"(?i)\bJoint Commission\b"),
    ("CLIA", r"\bCLIA\b"),
    ("DEA registration", r"\bDEA\b"),
    ("FDA clearance", r"\bFDA\b.{0,30}\b(?i:clear|approv|regist)|\b510\(k\)"),
    ("business license", r"(?i)\bbusiness licen[cs]e\b"),
    ("security clearance", r"(?i)\b(?:security|facility|personnel) clearances?\b"),
];

/// The wordings of certificates.
pub(super) struct CertificatePatterns {
    names: Vec<(&'static str, Regex)>,
}

impl CertificatePatterns {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let compile = |(name, pattern): &(&'static str, &str)| Ok((*name, Regex::new(pattern)?));
        Ok(Self { names: CERTIFICATES.iter().map(compile).collect::<Result<_, regex::Error>>()? })
    }

    /// The certificates that texts name.
    pub(super) fn find_names<'a>(&self, texts: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for text in texts {
            for (name, pattern) in &self.names {
                for matched in pattern.find_iter(text) {
                    let own = matched.as_str().replace(['/', '-'], " ").replace("IEC ", "").to_uppercase();
                    found.insert(if name.is_empty() { own } else { (*name).to_owned() });
                }
            }
        }
        found
    }
}
