//! Compares the log with the ledger: acknowledged appends are in the log, rolled-back ones are not, and none is there
//! in part.

use std::collections::{HashMap, HashSet};

use super::{AuditViolation, LogEvent};
use crate::faults::append_ledger::{AppendOutcome, LedgerEntry};

pub(super) fn compare_with_ledger(log: &[LogEvent], ledger: &[LedgerEntry], violations: &mut Vec<AuditViolation>) {
    let mut in_log = HashMap::<&str, u64>::new();
    for event in log {
        if let Some(first) = in_log.insert(&event.mark, event.position) {
            violations.push(AuditViolation::Doubled { mark: event.mark.clone(), positions: [first, event.position] });
        }
    }
    let is_in_log = |mark: &&String| in_log.contains_key(mark.as_str());
    let mut known = HashSet::new();
    for append in ledger {
        known.extend(append.event_marks.iter().chain(&append.rolled_back_marks).map(String::as_str));
        let found = append.event_marks.iter().filter(is_in_log).count();
        let violation_of = |rule: fn(String, &'static str) -> AuditViolation| rule(append.id.clone(), append.method);
        match append.outcome {
            AppendOutcome::Committed if found < append.event_marks.len() => {
                violations.push(violation_of(|append, method| AuditViolation::Unrecorded { append, method }));
            }
            AppendOutcome::RolledBack if found > 0 => {
                violations.push(violation_of(|append, method| AuditViolation::Undead { append, method }));
            }
            AppendOutcome::Unknown if found > 0 && found < append.event_marks.len() => {
                violations.push(violation_of(|append, method| AuditViolation::Torn { append, method }));
            }
            AppendOutcome::Committed | AppendOutcome::RolledBack | AppendOutcome::Unknown => {}
        }
        if append.rolled_back_marks.iter().any(|mark| is_in_log(&mark)) {
            violations.push(violation_of(|append, method| AuditViolation::Undead { append, method }));
        }
    }
    let unknown_events = log.iter().filter(|event| !known.contains(event.mark.as_str()));
    violations.extend(
        unknown_events.map(|event| AuditViolation::Unaccounted { position: event.position, mark: event.mark.clone() }),
    );
}
