//! Decides whether a sentence requires something of the companies that make an offer, and what kind of requirement it is.

use domain::document::RequirementKind;
use regex::Regex;

/// How far before its verb the subject of a clause is looked for, in bytes.
const SUBJECT_REACH: usize = 400;

/// The patterns that classify sentences. They are compiled once.
pub(crate) struct ClausePatterns {
    modal: Regex,
    negated_duty: Regex,
    benefit: Regex,
    clause_boundary: Regex,
    bidder: Regex,
    subject_matter: Regex,
    offer_part: Regex,
    /// Parts of an offer that are no parts of the work.
    offer_only: Regex,
    evaluation: Regex,
    consequence: Regex,
    expectation: Regex,
    instruction: Regex,
    /// Instructions that are ones wherever they stand.
    direct_instruction: Regex,
    /// Titles of sections about offers.
    offer_heading: Regex,
    caution: Regex,
    within_days: Regex,
    certification: Regex,
    deliverable: Regex,
    user_story: Regex,
    /// Statements, unlike rows of lists.
    statement: Regex,
    /// The bidder in a passive sentence ("by the offeror").
    by_bidder: Regex,
}

/// Who the subject of a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClauseSubject {
    /// A company that makes an offer or has the contract, or its people.
    Bidder,
    /// The agency that buys, or its people.
    Government,
    /// A part of the offer or of the work.
    SubjectMatter,
    Unknown,
}

/// Classifies the sentences of one text.
pub(crate) struct ClauseClassifier<'a> {
    patterns: &'a ClausePatterns,
    /// The agency that buys, and its people.
    government: Regex,
}

impl ClausePatterns {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            modal: Regex::new(
                r"(?ix)\b(?P<strong> shall | must | (?:is|are|be)\s+(?:hereby\s+)?(?:required|obligated)\s+to
                    | (?:is|are)\s+(?:solely\s+|fully\s+)?responsible\s+for | agrees\s+(?:to|that)
                    | (?:is|are)\s+prohibited\s+from | needs?\s+to | has\s+to
                    | (?:is|are)\s+subject\s+to | (?:is|are)\s+to\s+be | is\s+required\s+(?:by|for|prior|at)
                    | it\s+is\s+the\s+\w+['’]s\s+responsibility )\b
                  | \b(?P<weak> should | may\s+not | may\s+only | cannot | (?:is|are|be)\s+(?:generally\s+)?expected\s+to )\b | \b(?P<future> will )\b",
            )?,
            negated_duty: Regex::new(
                r"(?i)^\s*(?:also\s+)?(?:not\s+be\s+required|not\s+be\s+obligated|not\s+obligate|need\s+not)\b",
            )?,
            benefit: Regex::new(
                r"(?ix)^\s+(?:also\s+|then\s+)?(?:be\s+(?:granted|provided\s+with|notified|invited|issued|compensated
                    |reimbursed|scheduled|asked|paid|furnished|informed|given|able|available|held|posted|allowed|sent)
                  |receive|have\s+the\s+opportunity|result\s+in\s+additional)\b",
            )?,
            clause_boundary: Regex::new(
                r"(?i)(?:[;:]|,)\s+(?:and|but|or|then|the|an?|each|any|all|it|they|this|no|these|those|such|contractors?|offerors?)\b|[;:—]|\bthen\b|\bthat\b|\band the\b",
            )?,
            bidder: Regex::new(
                r"(?i)\b(?:(?:sub-?)?contractors?|offer[eo]rs?|vendors?|quoters?|bidders?|proposers?|respondents?|suppliers?|awardees?|applicants?|you|your|firms?|personnel|teams?|leads?|facilitator|(?:project|program|task)\s+managers?|scrum\s+masters?|partner|employees?|staff|individuals?|members?)\b",
            )?,
            subject_matter: Regex::new(
                r"(?ix)\b(?:proposals?|quotes?|quotations?|offers?|bids?|submissions?|responses?|volumes?|r[eé]sum[eé]s?|letters?
                    |approach|plans?|questions?|comments?|e-?mails?|communications?|pric(?:e|es|ing)|costs?|rates?|forms?|spreadsheet
                    |sheet|template|invoices?|charges|deliverables?|reports?|systems?|software|code|websites?|architecture
                    |applications?|design|interface|data|information|work|materials?|services?|sections?|diagrams|samples?
                    |notices?|representation|releases?|amendments|packages?|documents?|documentation|travel|experience|updates
                    |substitutions?|factors|CTAs?|releases|copy|name|release|resumes|access|transition|positions?|repository
                    |repositories|rules|requirements|provisions|claims|use|rights|ownership)\b",
            )?,
            offer_part: Regex::new(
                r"(?ix)\b(?:proposals?|quotes?|quotations?|offers?|bids?|submissions?|submitted|submit|submitting|r[eé]sum[eé]s?
                    |letters?\s+of\s+intent|technical\s+approach|staffing\s+plan|staffing\s+approach|questions|pages?|page\s+limit
                    |pric(?:e\s+lists?|ing|es)|discounts?|rates|RF[QPI]|solicitation|template|sections?\s+in|response|source\s+code
                    \s+samples?|volume|narrative|cost\s+proposal|interview|presentation|CTAs?)\b",
            )?,
            offer_only: Regex::new(
                r"(?i)\b(?:proposals?|quotes?|quotations?|offers?|offerors?|bids?|RF[QPI]|solicitation|staffing plan|research plan|letters? of intent|r[eé]sum[eé]s?)\b",
            )?,
            evaluation: Regex::new(
                r"(?ix)\b(?:will|shall|may)\s+(?:also\s+|then\s+)?(?:be\s+)?(?:evaluated?|reviewed|consider(?:ed)?|award|verified|assess(?:ed)?|scored?
                    |rated|ranked)\b (?:\s|$|[,.:;])
                  | \bevaluation\s+of\s+options\b | \bconsidered\s+(?:for\s+award|in\s+the\s+evaluation)\b | \bwill\s+include\s+evaluating\b
                  | \bbest\s+value\b | \b(?:more|less|equally)\s+important\b | \bevaluation\s+points\b | \b(?:points?|evaluation)\b.{0,60}\bwill\s+be\s+(?:based|determined|calculated)\b | \bnumber\s+of\s+points\b | \bpoints\s+used\s+to\s+score\b
                  | \bmay\s+determine\s+that\s+an?\s+(?:quote|proposal|offer)\b | \bwould\s+prefer\b | \bdetermine\s+the\s+responsiveness\b
                  | \b(?:lower|higher)\s+(?:confidence\s+)?rating\b | \brating\s+of\b | \branking\s+of\b | \bwill\s+not\s+(?:be\s+)?evaluated?\b
                  | \bbasis\s+(?:of|for)\s+award\b",
            )?,
            consequence: Regex::new(
                r"(?ix)\b(?:non-?\s?responsive|disqualified|unacceptable|rejected|not\s+be\s+(?:accepted|considered|opened|evaluated|allowed|made)
                    |no\s+longer\s+be(?:ing)?\s+considered|no\s+longer\s+being|removed\s+from\s+(?:further\s+)?consideration|excluded\s+from
                    |not\s+(?:be\s+)?(?:accepted|considered)|may\s+reject|will\s+be\s+(?:permitted|allowed))\b",
            )?,
            expectation: Regex::new(
                r"(?ix)\b(?:expects?|expecting)\s+(?:that\s+)?(?:the\s+)?(?:labor|contractor|offeror|vendor|pric|quote|proposal|repositor|discount)
                  | \brequires?\s+(?:that\s+|all\s+)?(?:the\s+)?(?:discounts?|offerors?|contractors?|vendors?|an?\s+\w+)",
            )?,
            instruction: Regex::new(
                r"(?ix)^(?:[-•●▪◦○■□*–—]\s+)?(?:also\s+|then\s+)?(?:please\b|do\s+not\b|succinctly\b|at\s+a\s+minimum
                    |submit|provide|include|describe|complete|identify|list|attach|e-?mail|send|explain|demonstrate|address|discuss)\b",
            )?,
            direct_instruction: Regex::new(r"(?i)^(?:please|succinctly)\b")?,
            offer_heading: Regex::new(
                r"(?i)instruction|submi(?:ssion|t)|proposal|quote|response|format|content|approach|plan|experience|qualification",
            )?,
            caution: Regex::new(
                r"(?i)\b(?:is|are) (?:cautioned|advised|reminded) (?:not )?to\b|\bno more than\b|\bpages? encouraged\b|\bpreferred method\b|\bmaximum size\b|\bofferors? certif|\brepresents? that\b",
            )?,
            within_days: Regex::new(
                r"(?i)\bwithin\s+(?:\w+\s+)?\(?(?:\d{1,3}|one|two|three|four|five|six|seven|ten|fifteen|twenty|thirty|sixty|ninety)\)?\s+(?:business|calendar|working)?\s*(?:days?|hours|months?)\b",
            )?,
            certification: Regex::new(
                r"(?i)\bcertif(?:y|ies|ied|icates?|ications?)\b|\brepresents? that\b|\brepresentation\b|\blicen[cs]es?\b|\bclearances?\b|\bbackground\s+investigation|\binvestigation\b|\bregistered\s+in\b|\bSAM\.gov\b|\binsurance\b|\bminimum\b.{0,60}\bexperience\b|\bPIV\b",
            )?,
            deliverable: Regex::new(
                r"(?i)\b(?:provide|deliver|submit|prepare|furnish)\s+(?:an?\s+|the\s+|all\s+)?(?:\w+\s+){0,3}(?:reports?|plans?|manuals?|deliverables?|minutes|documentation)\b|\bdeliverables?\b",
            )?,
            user_story: Regex::new(r"(?i)^(?:\W*)as an? .{2,60}?, I\s")?,
            statement: Regex::new(
                r"(?ix)^\W*(?:we|it|they|there|these|those|this\s+(?:is|was)|note|see)\b | \b(?:is|are|was|were|has\s+been|have\s+been|may|can|could|might|would|includes)\b",
            )?,
            by_bidder: Regex::new(
                r"(?i)^\s+(?:also\s+)?be\s+\w+\s+(?:\w+\s+)?by\s+(?:the\s+|an?\s+)?(?:(?:selected|successful|prime)\s+)?(?:contractor|offeror|vendor|quoter|bidder|supplier)\b",
            )?,
        })
    }

    /// The classifier of a text that calls the agency by these names, such as `OFA`.
    ///
    /// # Errors
    /// [`regex::Error`] never: the pattern is a constant that tests compile, and names are escaped.
    pub(crate) fn for_agency(&self, agency_names: &[String]) -> Result<ClauseClassifier<'_>, regex::Error> {
        let names: Vec<_> = agency_names.iter().map(|name| regex::escape(name)).collect();
        let names = names.join("|");
        let government = Regex::new(&format!(
            r"\b(?:(?i:government|agency|state|states|department|division|contracting\s+officer|procurement\s+officer|project\s+director|product\s+owner|evaluation\s+team|evaluation\s+committee|evaluators?|secretary|commissioner|board)|CO|COR|KO|{names})\b"
        ))?;
        Ok(ClauseClassifier { patterns: self, government })
    }
}

impl ClauseClassifier<'_> {
    /// The kind of requirement that a sentence is; `None` if it is none. `heading` is the title of its section.
    pub(crate) fn classify(&self, sentence: &str, heading: &str) -> Option<RequirementKind> {
        if self.patterns.user_story.is_match(sentence) || sentence.ends_with('?') {
            return None;
        }
        let about_offers = self.patterns.offer_part.is_match(sentence);
        let is_duty = self.has_duty(sentence);
        let is_evaluation = self.patterns.evaluation.is_match(sentence) && !is_about_acceptance(sentence);
        let is_consequence = self.patterns.consequence.is_match(sentence) && about_offers;
        let is_instruction = self.is_instruction(sentence, heading);
        let is_relative_deadline =
            item_text(sentence).starts_with("Within ") && self.patterns.within_days.is_match(sentence);
        let is_expectation = self.patterns.expectation.is_match(sentence) && self.government.is_match(sentence);
        let is_caution = self.patterns.caution.is_match(sentence);
        if !(is_duty
            || is_evaluation
            || is_consequence
            || is_instruction
            || is_expectation
            || is_caution
            || is_relative_deadline && item_text(sentence).len() < sentence.len())
        {
            return None;
        }
        Some(if is_relative_deadline {
            RequirementKind::Deadline
        } else if is_evaluation && !is_consequence {
            RequirementKind::Evaluation
        } else if self.patterns.certification.is_match(sentence) {
            RequirementKind::Certification
        } else if self.patterns.deliverable.is_match(sentence) && !self.patterns.offer_only.is_match(sentence)
            || heading.to_lowercase().contains("deliverable")
        {
            RequirementKind::Deliverable
        } else if about_offers {
            RequirementKind::Submission
        } else {
            RequirementKind::Obligation
        })
    }

    /// Whether a sentence introduces a list whose items complete it, as in `The system must:`.
    pub(crate) fn is_open_duty(&self, sentence: &str) -> bool {
        let Some(before) = sentence.strip_suffix(':') else { return false };
        self.patterns.modal.find_iter(before).last().is_some_and(|modal| modal.end() == before.len())
            && self.has_duty(sentence)
    }

    /// Whether the subject of a sentence is someone other than the bidder.
    pub(crate) fn is_duty_of_others(&self, sentence: &str) -> bool {
        self.patterns.modal.is_match(sentence) && !self.has_duty(sentence)
    }

    /// Whether a row is neither a sentence with a verb nor part of a narrative.
    pub(crate) fn is_row(&self, row: &str) -> bool {
        !(self.patterns.modal.is_match(row)
            || self.patterns.statement.is_match(row)
            || self.patterns.user_story.is_match(row))
    }

    /// Whether a clause of the sentence states a duty of a bidder, its offer or its work.
    fn has_duty(&self, sentence: &str) -> bool {
        self.patterns.modal.captures_iter(sentence).any(|captures| {
            let Some(whole) = captures.get(0) else { return false };
            let (before, after) = (sentence.get(..whole.start()).unwrap_or_default(), sentence.get(whole.end()..));
            let after = after.unwrap_or_default();
            if self.patterns.negated_duty.is_match(after) || before.ends_with("not ") || before.ends_with("may ") {
                return false;
            }
            let subject = self.find_subject(before);
            if self.patterns.by_bidder.is_match(after) {
                true
            } else if captures.name("strong").is_some() {
                subject != ClauseSubject::Government
            } else if captures.name("weak").is_some() {
                // `This person should`, but not `equipment that cannot`.
                let needs_subject = !whole.as_str().eq_ignore_ascii_case("should");
                subject != ClauseSubject::Government && !(needs_subject && subject == ClauseSubject::Unknown)
            } else {
                match subject {
                    ClauseSubject::Bidder => {
                        !self.patterns.benefit.is_match(after) || after.trim_start().starts_with("not")
                    }
                    ClauseSubject::SubjectMatter => {
                        self.patterns.consequence.is_match(after)
                            || is_work(before) && !self.patterns.benefit.is_match(after)
                    }
                    ClauseSubject::Government | ClauseSubject::Unknown => false,
                }
            }
        })
    }

    fn find_subject(&self, before: &str) -> ClauseSubject {
        let start = before.len().saturating_sub(SUBJECT_REACH);
        let start = (start..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(before.len());
        let near = before.get(start..).unwrap_or_default();
        let from = self.patterns.clause_boundary.find_iter(near).last().map_or(0, |boundary| {
            // The words of the boundary, as in `, the contractor`, belong to the clause.
            near.get(boundary.start()..)
                .and_then(|text| text.find(char::is_whitespace))
                .map_or(boundary.end(), |at| boundary.start() + at)
        });
        let clause = near.get(from..).unwrap_or_default();
        let subject = self.subject_in(clause);
        if subject == ClauseSubject::Unknown { self.subject_in(near) } else { subject }
    }

    fn subject_in(&self, clause: &str) -> ClauseSubject {
        let first = |pattern: &Regex| pattern.find(clause).map_or(usize::MAX, |found| found.start());
        let (bidder, government, matter) =
            (first(&self.patterns.bidder), first(&self.government), first(&self.patterns.subject_matter));
        let earliest = bidder.min(government).min(matter);
        if earliest == usize::MAX {
            ClauseSubject::Unknown
        } else if earliest == government {
            ClauseSubject::Government
        } else if earliest == bidder {
            ClauseSubject::Bidder
        } else {
            ClauseSubject::SubjectMatter
        }
    }

    fn is_instruction(&self, sentence: &str, heading: &str) -> bool {
        if sentence.split(' ').count() < 4 || !self.patterns.instruction.is_match(sentence) {
            return false;
        }
        let is_item = sentence.starts_with(|mark: char| "-•●▪◦○■□*–—".contains(mark));
        self.patterns.direct_instruction.is_match(item_text(sentence))
            || !is_item && (sentence.starts_with("Do not ") || self.patterns.offer_heading.is_match(heading))
    }
}

/// Whether the subject of a clause is the product or building itself.
fn is_work(before: &str) -> bool {
    let subject = before.to_lowercase();
    ["system", "software", "positions", "application"].iter().any(|word| subject.contains(word))
}

/// Whether the evaluation is about delivered work.
fn is_about_acceptance(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    ["during the sprint", "next sprint", "past performance evaluation"].iter().any(|word| lower.contains(word))
}

/// A list item without its mark.
fn item_text(item: &str) -> &str {
    let text = item.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mark = text.find([')', '.']).filter(|at| *at <= 4);
    mark.and_then(|at| text.get(at + 1..)).map_or(text, str::trim_start)
}
