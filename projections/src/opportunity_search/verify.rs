//! The rows that verify expects, folded from the log, and the rows read back from `Qdrant`.

use std::{collections::HashMap, ops::RangeInclusive};

use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling, Opportunity, OpportunityContent, OpportunityEvent},
};
use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, PointId, Range, RetrievedPoint, ScrollPointsBuilder},
};

use super::{
    OpportunitySearch,
    embedding::{EmbeddingModelId, NoticeText},
    opportunity_document::{PointPayload, point_id, solicitation_number},
    point::{dense_vector, hash_terms, term_dimensions},
    tenant_search::UnitFold,
    terms::TermCounts,
};
use crate::{
    QueryError,
    runtime::{BUCKET_COUNT, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope, bucket_of},
    storage::qdrant::point_uuid,
};

const TABLE: &str = "points";

/// Points of one response: about two megabytes.
const PAGE: u32 = 500;

/// The expected points, folded from the log.
pub(super) struct PointFold {
    model: EmbeddingModelId,
    scope: VerifyScope,
    points: HashMap<String, ExpectedPoint>,
    units: UnitFold,
}

/// One expected point.
#[derive(Default)]
struct ExpectedPoint {
    awarded: bool,
    /// `None` if an award came before any details, which is in no valid log.
    payload_and_terms_hash: Option<(PointPayload, u64)>,
}

impl PointFold {
    pub(super) fn new_boxed(scope: &VerifyScope, model: EmbeddingModelId) -> Box<dyn ReadModelFold> {
        let units = UnitFold::new(model.clone());
        Box::new(Self { model, scope: scope.clone(), points: HashMap::new(), units })
    }

    fn build_payload(
        &self,
        event: &RawEnvelope,
        filing: &NoticeFiling,
        details: &NoticeDetails,
    ) -> (PointPayload, u64) {
        let code = details.naics.as_ref().map(ToString::to_string);
        let prefixes = code.iter().flat_map(|code| (2..=code.len()).map(|end| code[..end].to_owned()));
        let number = solicitation_number(event, details.solicitation_number.as_deref());
        let (psc, description) = (details.psc.as_deref(), details.description.as_deref());
        let terms = TermCounts::from_notice(&details.title, number, psc, code.as_deref(), description).to_dimensions();
        let payload = PointPayload {
            id: event.aggregate_id.clone(),
            tenant_id: event.tenant_id.clone(),
            sequence: event.sequence,
            title: details.title.clone(),
            notice_type: details.notice_type.to_string(),
            agency_code: details.agency.code.clone(),
            agency_name: details.agency.name.clone(),
            naics_prefixes: prefixes.collect(),
            naics: code,
            set_aside: details.set_aside.as_ref().map(ToString::to_string),
            posted_at: filing.posted_at,
            response_deadline: details.response_deadline,
            awarded: false,
            bucket: bucket_of(&event.aggregate_id),
            content_hash: NoticeText::new(&details.title, psc, description).content_hash(),
            model: self.model.name.to_owned(),
            model_version: self.model.version.to_owned(),
        };
        (payload, hash_terms(&terms))
    }
}

impl ReadModelFold for PointFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let is_in_scope = self.scope != VerifyScope::Totals && self.scope.contains_stream(&event.aggregate_id);
        if !is_in_scope {
            return Ok(());
        }
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return self.units.apply_event(event);
        }
        match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.into_content() {
            Some(OpportunityContent::CurrentNotice { filing, details }) => {
                let described = self.build_payload(event, &filing, &details);
                self.points.entry(event.aggregate_id.clone()).or_default().payload_and_terms_hash = Some(described);
            }
            Some(OpportunityContent::Award { .. }) => {
                self.points.entry(event.aggregate_id.clone()).or_default().awarded = true;
            }
            None => {}
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let row = |point: &ExpectedPoint| {
            let (payload, terms) = point.payload_and_terms_hash.as_ref()?;
            Some(point_row(&PointPayload { awarded: point.awarded, ..payload.clone() }, true, *terms))
        };
        self.points.values().filter_map(row).chain(self.units.expected_rows()).collect()
    }
}

impl OpportunitySearch {
    /// The rows of a scope.
    pub(super) async fn scan_rows(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        let to_row = |point| Some(self.stored_point_row(point));
        let mut rows = self.scroll_rows(self.collection(), scope, to_row).await?;
        rows.extend(self.scan_unit_rows(scope).await?);
        Ok(rows)
    }

    /// The rows of a collection's points in a scope; of those that `to_row` makes a row of.
    pub(super) async fn scroll_rows(
        &self,
        collection: &str,
        scope: &VerifyScope,
        mut to_row: impl FnMut(RetrievedPoint) -> Option<ReadModelRow>,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        let VerifyScope::Buckets(buckets) = scope else { return Ok(vec![]) };
        let filter = bucket_filter(buckets);
        let (mut rows, mut offset) = (vec![], None::<PointId>);
        loop {
            let mut scroll = ScrollPointsBuilder::new(collection)
                .filter(filter.clone())
                .limit(PAGE)
                .with_payload(true)
                .with_vectors(true);
            if let Some(from) = offset {
                scroll = scroll.offset(from);
            }
            let page = self.qdrant().run_request(self.client().scroll(scroll)).await?;
            rows.extend(page.result.into_iter().filter_map(&mut to_row));
            match page.next_page_offset {
                Some(next) => offset = Some(next),
                None => return Ok(rows),
            }
        }
    }

    fn stored_point_row(&self, mut point: RetrievedPoint) -> ReadModelRow {
        let dense = dense_vector(&point);
        let is_valid = dense.len() == self.embedder().dimension()
            && dense.iter().all(|value| value.is_finite())
            && dense.iter().any(|value| *value != 0.0);
        let payload = Payload::from(std::mem::take(&mut point.payload)).deserialize::<PointPayload>();
        match payload {
            Ok(payload) if point_uuid(&point) == Some(point_id(&payload.id).to_string().as_str()) => {
                point_row(&payload, is_valid, hash_terms(&term_dimensions(&point)))
            }
            Ok(_) | Err(_) => {
                let key = point_uuid(&point).map_or_else(|| format!("{:?}", point.id), str::to_owned);
                ReadModelRow::new(TABLE, key, "invalid payload or id")
            }
        }
    }
}

/// The row of a point. Texts are not embedded again for a comparison: instead of the dense vector, the row has the hash
/// of the text, the model, and whether there is a valid vector.
fn point_row(payload: &PointPayload, has_valid_vector: bool, terms: u64) -> ReadModelRow {
    ReadModelRow::new(TABLE, payload.id.as_str(), (payload, has_valid_vector, terms))
}

fn bucket_filter(buckets: &RangeInclusive<u32>) -> Filter {
    let range = |buckets: &RangeInclusive<u32>| {
        let (from, to) = (f64::from(*buckets.start()), f64::from(*buckets.end()));
        Condition::range("bucket", Range { gte: Some(from), lte: Some(to), ..Range::default() })
    };
    let inside = range(buckets);
    if *buckets.start() > 0 {
        return Filter::must([inside]);
    }
    // A point in no bucket was not written by this program; it is read with the first bucket, and so reported once.
    Filter::should([inside, Condition::from(Filter::must_not([range(&(0..=BUCKET_COUNT - 1))]))])
}
