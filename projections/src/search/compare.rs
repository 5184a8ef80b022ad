//! What the log says that `Qdrant` should hold, and what it holds.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
};

use domain::{
    envelope::RawRecorded,
    opportunity::{Facts, Filing, Opportunity, OpportunityEvent, Standing},
};
use qdrant_client::{
    Payload,
    qdrant::{Condition, Filter, PointId, Range, RetrievedPoint, ScrollPointsBuilder},
};

use super::{
    Search,
    document::{PointPayload, number_of, point_id},
    embedding::{ModelName, NoticeText},
    owned::UnitFold,
    point::{dense_of, terms_of},
    store::uuid_of,
    terms::Terms,
};
use crate::{
    QueryError,
    runtime::{BUCKETS, Fold, ProjectionError, Row, Scope, bucket_of},
};

const TABLE: &str = "points";

/// Points of one answer: about two megabytes.
const PAGE: u32 = 500;

/// Points as the log says they should be.
pub(super) struct PointFold {
    model: ModelName,
    scope: Scope,
    points: HashMap<String, Expected>,
    owned: UnitFold,
}

/// One point as it should be.
#[derive(Default)]
struct Expected {
    awarded: bool,
    /// Absent where an award came before any facts, which no sound log has.
    described: Option<(PointPayload, u64)>,
}

impl PointFold {
    pub(super) fn of(scope: &Scope, model: ModelName) -> Box<dyn Fold> {
        let owned = UnitFold::of(model.clone());
        Box::new(Self { model, scope: scope.clone(), points: HashMap::new(), owned })
    }

    fn describe(&self, event: &RawRecorded, filing: &Filing, facts: &Facts) -> (PointPayload, u64) {
        let code = facts.naics.as_ref().map(ToString::to_string);
        let beginnings = code.iter().flat_map(|code| (2..=code.len()).map(|end| code[..end].to_owned()));
        let number = number_of(event, facts.solicitation_number.as_deref());
        let (psc, description) = (facts.psc.as_deref(), facts.description.as_deref());
        let terms = Terms::of_notice(&facts.title, number, psc, code.as_deref(), description).dimensions();
        let payload = PointPayload {
            id: event.aggregate_id.clone(),
            tenant_id: event.tenant_id.clone(),
            sequence: event.sequence,
            title: facts.title.clone(),
            notice_type: facts.notice_type.to_string(),
            agency_code: facts.agency.code.clone(),
            agency_name: facts.agency.name.clone(),
            naics_prefixes: beginnings.collect(),
            naics: code,
            set_aside: facts.set_aside.as_ref().map(ToString::to_string),
            posted_at: filing.posted_at,
            response_deadline: facts.response_deadline,
            awarded: false,
            bucket: bucket_of(&event.aggregate_id),
            content_hash: NoticeText::new(&facts.title, psc, description).hash(),
            model: self.model.name.to_owned(),
            model_version: self.model.version.to_owned(),
        };
        (payload, fingerprint(&terms))
    }
}

impl Fold for PointFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        let wanted = self.scope != Scope::Totals && self.scope.holds(&event.aggregate_id);
        if !wanted {
            return Ok(());
        }
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return self.owned.take(event);
        }
        match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)? {
            OpportunityEvent::Discovered { filing, facts }
            | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
                let described = self.describe(event, &filing, &facts);
                self.points.entry(event.aggregate_id.clone()).or_default().described = Some(described);
            }
            OpportunityEvent::Awarded { .. } => {
                self.points.entry(event.aggregate_id.clone()).or_default().awarded = true;
            }
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => {}
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let row = |point: &Expected| {
            let (payload, terms) = point.described.as_ref()?;
            Some(row(&PointPayload { awarded: point.awarded, ..payload.clone() }, true, *terms))
        };
        self.points.values().filter_map(row).chain(self.owned.rows()).collect()
    }
}

impl Search {
    /// What the generation holds of this scope.
    pub(super) async fn rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        let mut rows = self.scrolled(self.collection(), scope, |point| self.stored_row(point)).await?;
        rows.extend(self.owned_rows(scope).await?);
        Ok(rows)
    }

    /// The rows of a collection's points in this scope.
    pub(super) async fn scrolled(
        &self,
        collection: &str,
        scope: &Scope,
        row: impl Fn(RetrievedPoint) -> Row,
    ) -> Result<Vec<Row>, QueryError> {
        let Scope::Buckets(buckets) = scope else { return Ok(vec![]) };
        let filter = within(buckets);
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
            let page = self.run(self.client().scroll(scroll)).await?;
            rows.extend(page.result.into_iter().map(&row));
            match page.next_page_offset {
                Some(next) => offset = Some(next),
                None => return Ok(rows),
            }
        }
    }

    fn stored_row(&self, mut point: RetrievedPoint) -> Row {
        let dense = dense_of(&point);
        let sound = dense.len() == self.embedder().dimension()
            && dense.iter().all(|value| value.is_finite())
            && dense.iter().any(|value| *value != 0.0);
        let payload = Payload::from(std::mem::take(&mut point.payload)).deserialize::<PointPayload>();
        match payload {
            Ok(payload) if uuid_of(&point) == Some(point_id(&payload.id).to_string().as_str()) => {
                row(&payload, sound, fingerprint(&terms_of(&point)))
            }
            Ok(_) | Err(_) => {
                let key = uuid_of(&point).map_or_else(|| format!("{:?}", point.id), str::to_owned);
                Row::new(TABLE, key, "not as this program writes")
            }
        }
    }
}

/// A point's row. Dense vectors are not made again for a comparison: the hash of the text, the model and that there is
/// a usable vector stand for them.
fn row(payload: &PointPayload, sound: bool, terms: u64) -> Row {
    Row::new(TABLE, payload.id.as_str(), (payload, sound, terms))
}

pub(super) fn fingerprint(terms: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    terms.hash(&mut hasher);
    hasher.finish()
}

fn within(buckets: &RangeInclusive<u32>) -> Filter {
    let range = |buckets: &RangeInclusive<u32>| {
        let (from, to) = (f64::from(*buckets.start()), f64::from(*buckets.end()));
        Condition::range("bucket", Range { gte: Some(from), lte: Some(to), ..Range::default() })
    };
    let inside = range(buckets);
    if *buckets.start() > 0 {
        return Filter::must([inside]);
    }
    // What is in no bucket was not written by this program; the first part has it, so that it is seen once.
    Filter::should([inside, Condition::from(Filter::must_not([range(&(0..=BUCKETS - 1))]))])
}
