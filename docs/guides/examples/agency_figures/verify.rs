//! The rows that follow from the log, and the rows of the store. A row is a key with all of its fields.

use std::collections::BTreeMap;

use cqrs_es::Aggregate as _;
use domain::{
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityEvent},
};
use projections::{
    QueryError,
    runtime::{ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope},
    storage::redis::{GENERATION_ROW, HashFields, tag_name},
};

use super::queries::{AgencyFigures, FIGURES, NOTICES, OPPORTUNITIES, OPPORTUNITY, agency_code};

const TABLE: &str = "keys";

/// Version and number of notices of each opportunity, by its stream.
pub(super) struct AgencyFiguresFold {
    scope: VerifyScope,
    generation: ReadModelGeneration,
    streams: BTreeMap<String, (u64, u64)>,
}

impl AgencyFiguresFold {
    pub(super) fn new(scope: VerifyScope, generation: ReadModelGeneration) -> Self {
        Self { scope, generation, streams: BTreeMap::new() }
    }
}

impl ReadModelFold for AgencyFiguresFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if event.aggregate_type != Opportunity::TYPE || !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        let happened: OpportunityEvent = event.decode().map_err(ProjectionError::poison)?;
        let is_notice = matches!(happened, OpportunityEvent::Discovered { .. } | OpportunityEvent::Amended { .. });
        let (version, notices) = self.streams.entry(event.aggregate_id.clone()).or_default();
        *version = event.sequence;
        *notices += u64::from(is_notice);
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        if self.scope != VerifyScope::Totals {
            let rows = self.streams.iter().map(|(stream, (version, notices))| {
                let name = format!("{{{}}}:{OPPORTUNITY}{stream}", agency_code(stream));
                expected_row(name, [("version", *version), ("state", *notices)])
            });
            return rows.collect();
        }
        let mut agencies = BTreeMap::<&str, (u64, u64)>::new();
        for (stream, (_, notices)) in &self.streams {
            let (opportunities, all_notices) = agencies.entry(agency_code(stream)).or_default();
            *opportunities += 1;
            *all_notices += notices;
        }
        let rows = agencies.into_iter().map(|(agency, (opportunities, notices))| {
            expected_row(format!("{{{agency}}}:{FIGURES}"), [(OPPORTUNITIES, opportunities), (NOTICES, notices)])
        });
        rows.chain([marker_row(&self.generation.to_string())]).collect()
    }
}

impl AgencyFigures {
    pub(super) async fn read_rows(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        let hashes = self.store.scan_hashes(|name| is_in_scope(scope, name)).await?;
        let mut rows: Vec<_> =
            hashes.into_iter().map(|(name, fields)| ReadModelRow::new(TABLE, name, fields)).collect();
        if *scope == VerifyScope::Totals {
            rows.push(marker_row(&self.store.describe_markers().await?));
        }
        Ok(rows)
    }
}

/// Every key but markers is part of exactly one of the totals and the buckets; unknown ones are with the totals.
fn is_in_scope(scope: &VerifyScope, name: &str) -> bool {
    let rest = tag_name(name).map_or(name, |(_, rest)| rest);
    match (rest.strip_prefix(OPPORTUNITY), scope) {
        (Some(stream), VerifyScope::Buckets(_)) => scope.contains_stream(stream),
        (None, VerifyScope::Totals) => rest != GENERATION_ROW && name != "tags",
        (Some(_), VerifyScope::Totals) | (None, VerifyScope::Buckets(_)) => false,
    }
}

/// The row of all markers.
fn marker_row(content: &str) -> ReadModelRow {
    ReadModelRow::new(GENERATION_ROW, GENERATION_ROW, content)
}

/// The row of a hash that is not damaged.
fn expected_row(name: String, fields: [(&str, u64); 2]) -> ReadModelRow {
    let fields = fields.into_iter().map(|(field, value)| (field.to_owned(), value.to_string()));
    let content: HashFields = Ok(fields.collect());
    ReadModelRow::new(TABLE, name, content)
}
