//! The log against the ledger: what was acknowledged is there, what was rolled back is not, nothing came in halves.

use std::collections::{HashMap, HashSet};

use super::{LogEvent, Violation};
use crate::faults::ledger::{Append, Outcome};

pub(super) fn compare_with_ledger(log: &[LogEvent], ledger: &[Append], violations: &mut Vec<Violation>) {
    let mut in_log = HashMap::<&str, u64>::new();
    for event in log {
        if let Some(first) = in_log.insert(&event.mark, event.position) {
            violations.push(Violation::Doubled { mark: event.mark.clone(), positions: [first, event.position] });
        }
    }
    let there = |mark: &&String| in_log.contains_key(mark.as_str());
    let mut known = HashSet::new();
    for append in ledger {
        known.extend(append.kept.iter().chain(&append.undone).map(String::as_str));
        let found = append.kept.iter().filter(there).count();
        let blame = |rule: fn(String, &'static str) -> Violation| rule(append.id.clone(), append.way);
        match append.outcome {
            Outcome::Committed if found < append.kept.len() => {
                violations.push(blame(|append, way| Violation::Unrecorded { append, way }));
            }
            Outcome::RolledBack if found > 0 => {
                violations.push(blame(|append, way| Violation::Undead { append, way }));
            }
            Outcome::Unknown if found > 0 && found < append.kept.len() => {
                violations.push(blame(|append, way| Violation::Torn { append, way }));
            }
            Outcome::Committed | Outcome::RolledBack | Outcome::Unknown => {}
        }
        if append.undone.iter().any(|mark| there(&mark)) {
            violations.push(blame(|append, way| Violation::Undead { append, way }));
        }
    }
    let strangers = log.iter().filter(|event| !known.contains(event.mark.as_str()));
    violations
        .extend(strangers.map(|event| Violation::Unaccounted { position: event.position, mark: event.mark.clone() }));
}
