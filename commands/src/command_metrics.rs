//! Metrics of commands and of the events that they record.

use std::{collections::BTreeMap, time::Instant};

use cqrs_es::Aggregate;
use domain::opportunity::{Opportunity, find_listed_code};
use metrics::{counter, histogram};

use crate::{dispatcher::CommandOutcome, error::CommandError};

/// The agency of opportunities without a solicitation number, whose ids name none.
const NO_AGENCY: &str = "none";

/// Any agency without a listed code: there may be any number of them.
const OTHER_AGENCY: &str = "other";

/// Where events of opportunities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventSource {
    /// A command on one aggregate.
    Command,
    /// An import or a synchronisation.
    Import,
}

impl EventSource {
    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Import => "import",
        }
    }
}

/// Measures a command, or several that are executed together; each of these counts with the time of all. Commands
/// without an outcome when it is dropped count as cancelled.
pub(crate) struct CommandMeasurement {
    aggregate_type: &'static str,
    started: Instant,
    without_outcome: usize,
}

impl CommandMeasurement {
    /// Begins to measure that number of commands.
    pub(crate) fn start(aggregate_type: &'static str, commands: usize) -> Self {
        Self { aggregate_type, started: Instant::now(), without_outcome: commands }
    }

    /// Records the outcome of one of them.
    pub(crate) fn record<E: std::error::Error + 'static>(
        &mut self,
        outcome: Result<&CommandOutcome, &CommandError<E>>,
    ) {
        self.without_outcome = self.without_outcome.saturating_sub(1);
        self.record_named(outcome_name(outcome));
    }

    fn record_named(&self, outcome: &'static str) {
        histogram!("medhub_command_duration_seconds", "aggregate_type" => self.aggregate_type, "outcome" => outcome)
            .record(self.started.elapsed());
    }
}

impl Drop for CommandMeasurement {
    fn drop(&mut self) {
        for _ in 0..self.without_outcome {
            self.record_named("cancelled");
        }
    }
}

fn outcome_name<E: std::error::Error + 'static>(outcome: Result<&CommandOutcome, &CommandError<E>>) -> &'static str {
    match outcome {
        Ok(outcome) if outcome.events > 0 && !outcome.repeated => "recorded",
        Ok(_) => "unchanged",
        Err(CommandError::Refused(_)) => "refused",
        Err(CommandError::Forbidden { .. }) => "forbidden",
        Err(CommandError::Outdated { .. } | CommandError::KeyReused) => "outdated",
        Err(CommandError::Conflict) => "conflict",
        Err(CommandError::Store(_)) => "failed",
    }
}

/// Counts recorded events, given as pairs of the aggregate's id and the type of the event.
pub(crate) fn count_events<'a>(
    aggregate_type: &'static str,
    source: EventSource,
    events: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut counts = BTreeMap::<(&str, &'static str), u64>::new();
    let has_agency = aggregate_type == Opportunity::TYPE;
    for (id, event_type) in events {
        let agency = if has_agency { agency_label(id) } else { NO_AGENCY };
        *counts.entry((event_type, agency)).or_default() += 1;
    }
    for ((event_type, agency), count) in counts {
        counter!(
            "medhub_events_recorded_total",
            "aggregate_type" => aggregate_type,
            "event_type" => event_type.to_owned(),
        )
        .increment(count);
        if has_agency {
            counter!(
                "medhub_opportunity_events_total",
                "agency" => agency,
                "event_type" => event_type.to_owned(),
                "source" => source.name(),
            )
            .increment(count);
        }
    }
}

/// The agency that an opportunity's id begins with, one of few.
pub(crate) fn agency_label(opportunity_id: &str) -> &'static str {
    match opportunity_id.split_once(':') {
        None | Some(("notice", _)) => NO_AGENCY,
        Some((code, _)) => find_listed_code(code).unwrap_or(OTHER_AGENCY),
    }
}

#[cfg(test)]
mod tests {
    use super::agency_label;

    #[test]
    fn an_agency_is_one_of_those_that_are_listed() {
        assert_eq!(agency_label("036:36C24526R0001"), "036");
        assert_eq!(agency_label("AGENCY-THAT-NOBODY-LISTS:1"), "other");
        assert_eq!(agency_label("notice:f7de794d"), "none");
        assert_eq!(agency_label("036"), "none", "no opportunity of this agency");
    }
}
