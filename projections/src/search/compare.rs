//! What the log says that `Qdrant` should hold, and what it holds.

use std::collections::HashMap;

use domain::{
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};
use qdrant_client::{
    Payload,
    qdrant::{
        Condition, Filter, PointId, Range, RetrievedPoint, ScrollPointsBuilder, VectorsOutput, vector_output::Vector,
    },
};

use super::{Document, Search, document::PointPayload, embedding::ModelName};
use crate::{
    QueryError,
    runtime::{BUCKETS, Fold, ProjectionError, Row, Scope},
};

const TABLE: &str = "points";

/// Points of one answer.
const PAGE: u32 = 1_000;

/// Points as the log says they should be.
pub(super) struct PointFold {
    model: ModelName,
    points: HashMap<String, PointPayload>,
    /// Opportunities with an award.
    awarded: HashMap<String, bool>,
    /// Figures over many streams there are none.
    totals: bool,
}

impl PointFold {
    pub(super) fn of(scope: &Scope, model: ModelName) -> Box<dyn Fold> {
        let totals = *scope == Scope::Totals;
        Box::new(Self { model, points: HashMap::new(), awarded: HashMap::new(), totals })
    }
}

impl Fold for PointFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if self.totals || event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(());
        }
        let id = event.aggregate_id.clone();
        match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload {
            OpportunityEvent::Discovered { filing, facts }
            | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
                let payload = Document::of(event, &filing, *facts).payload;
                let (model, model_version) = (self.model.name.to_owned(), self.model.version.to_owned());
                self.points.insert(id, PointPayload { model, model_version, ..payload });
            }
            OpportunityEvent::Awarded { .. } => {
                self.awarded.insert(id, true);
            }
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. } => {}
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let point = |(id, payload): (&String, &PointPayload)| {
            let awarded = self.awarded.contains_key(id);
            row(&PointPayload { awarded, ..payload.clone() }, true)
        };
        self.points.iter().map(point).collect()
    }
}

/// A point's row. Vectors are not made again for a comparison: the hash of the text, the model and that there is a
/// usable vector stand for them.
fn row(payload: &PointPayload, has_vector: bool) -> Row {
    Row::new(TABLE, payload.id.as_str(), (payload, has_vector))
}

impl Search {
    /// What the generation holds of this scope.
    pub(super) async fn rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        let Scope::Buckets(buckets) = scope else { return Ok(vec![]) };
        let within =
            Range { gte: Some(f64::from(*buckets.start())), lte: Some(f64::from(*buckets.end())), ..Range::default() };
        let mut filter = Filter::must([Condition::range("bucket", within)]);
        if *buckets.end() == BUCKETS - 1 {
            // What has no bucket was not written by this program; it belongs to the last part, so that it is seen once.
            filter = Filter::should([Condition::from(filter), Condition::is_empty("bucket")]);
        }
        let (mut rows, mut offset) = (vec![], None);
        loop {
            let mut scroll = ScrollPointsBuilder::new(self.collection())
                .filter(filter.clone())
                .limit(PAGE)
                .with_payload(true)
                .with_vectors(true);
            if let Some(from) = offset.take() {
                scroll = scroll.offset::<PointId>(from);
            }
            let page = self.run(self.client().scroll(scroll)).await?;
            rows.extend(page.result.into_iter().map(|point| self.found(point)));
            match page.next_page_offset {
                Some(next) => offset = Some(next),
                None => return Ok(rows),
            }
        }
    }

    fn found(&self, point: RetrievedPoint) -> Row {
        let has_vector = match point.vectors.as_ref().and_then(VectorsOutput::get_vector) {
            Some(Vector::Dense(dense)) => {
                dense.data.len() == self.embedder().dimension() && dense.data.iter().all(|value| value.is_finite())
            }
            Some(Vector::Sparse(_) | Vector::MultiDense(_)) | None => false,
        };
        match Payload::from(point.payload).deserialize::<PointPayload>() {
            Ok(payload) => row(&payload, has_vector),
            Err(unreadable) => Row::new(TABLE, format!("{:?}: {unreadable}", point.id), "unreadable"),
        }
    }
}
