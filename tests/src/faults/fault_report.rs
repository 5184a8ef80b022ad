//! The result of a run: one line of JSON for programs, sentences for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    append_ledger::{self, AppendOutcome},
    fault_injector::InjectedFault,
    fault_plan::FaultPlan,
    log_audit::{AuditEvidence, AuditFindings, AuditViolation},
};

/// Maximum number of violations described in the report; all are counted.
const MAX_EXAMPLES: usize = 20;

/// The result of one run.
#[derive(Debug, Clone, Serialize)]
pub struct FaultReport {
    /// Whether there are no violations.
    pub ok: bool,
    /// The seed that repeats the run.
    pub seed: u64,
    /// Duration of the whole run, in seconds.
    pub seconds: f32,
    /// The broker's version, as the stack reports it.
    pub kafka: String,
    /// Number of concurrent writers.
    pub writers: usize,
    /// Whether the product's relay ran, or a naive one without the fence.
    pub fence: bool,
    /// Number of appends that the writers attempted.
    pub appends: usize,
    /// Events in the log.
    pub events: usize,
    /// Positions that were assigned and never used by an event.
    pub gaps: u64,
    /// Records on the topics.
    pub records: usize,
    /// Beacons on the topics.
    pub beacons: usize,
    /// Beacons of a former leader behind events of the next one, around a kill or a change of the leader.
    pub late_beacons: usize,
    /// Records with an ordinal.
    pub numbered: usize,
    /// Events of the log that are on no topic.
    pub lost: usize,
    /// Events out of order within their aggregate.
    pub reordered: usize,
    /// Repeated records that no disturbance explains.
    pub duplicates: usize,
    /// Repeated records around a kill or a change of the leader.
    pub explained_duplicates: usize,
    /// Longest time in milliseconds until another relay had published an event appended after its leader's end.
    pub longest_takeover_ms: Option<u128>,
    /// Number of violations by name; empty if there are none.
    pub violations: BTreeMap<&'static str, usize>,
    /// The injected faults, in order.
    pub faults: Vec<InjectedFault>,
    /// How often foreign transactions were opened again because the server had been killed.
    pub foreign_reopened: u64,
    /// Appends by method and outcome.
    #[serde(rename = "ways")]
    pub methods: BTreeMap<&'static str, BTreeMap<AppendOutcome, usize>>,
    /// The first violations, as sentences.
    pub examples: Vec<String>,
}

impl FaultReport {
    /// Builds the report from evidence and findings.
    pub(super) fn new(
        plan: &FaultPlan,
        evidence: &AuditEvidence,
        mut findings: AuditFindings,
        more: Vec<AuditViolation>,
    ) -> Self {
        findings.violations.extend(more);
        let last = evidence.log.last().map_or(0, |event| event.position);
        Self {
            ok: findings.violations.is_empty(),
            seed: plan.seed,
            seconds: 0.0,
            kafka: String::new(),
            writers: plan.writers,
            fence: plan.fence,
            appends: evidence.ledger.len(),
            events: evidence.log.len(),
            gaps: last.saturating_sub(u64::try_from(evidence.log.len()).unwrap_or(u64::MAX)),
            records: evidence.records.len(),
            beacons: findings.beacons,
            late_beacons: findings.late_beacons,
            numbered: findings.numbered,
            lost: findings.count_violations("lost"),
            reordered: findings.count_violations("reordered"),
            duplicates: findings.count_violations("duplicate"),
            explained_duplicates: findings.explained_duplicates,
            longest_takeover_ms: None,
            violations: findings.count_by_rule(),
            faults: Vec::new(),
            foreign_reopened: 0,
            methods: append_ledger::count_outcomes(&evidence.ledger),
            examples: findings.violations.iter().take(MAX_EXAMPLES).map(ToString::to_string).collect(),
        }
    }

    /// The result as text: one line, and one for each example of a violation.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} with seed {}: {} events of {} appends, {} records; {} lost, {} out of order, {} unexplained and {} \
             explained duplicates, {} faults in {:.0} s",
            if self.ok { "passed" } else { "FAILED" },
            self.seed,
            self.events,
            self.appends,
            self.records,
            self.lost,
            self.reordered,
            self.duplicates,
            self.explained_duplicates,
            self.faults.len(),
            self.seconds,
        );
        for example in &self.examples {
            text.push_str("\n  ");
            text.push_str(example);
        }
        text
    }
}

/// Prints progress to standard error, which the test runner shows only for failed tests.
#[expect(clippy::print_stderr, reason = "progress of a command and of tests")]
pub fn print_progress(text: &str) {
    eprintln!("{text}");
}
