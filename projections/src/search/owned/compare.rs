//! What the log says about units, and what the store holds of them.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::envelope::RawRecorded;
use qdrant_client::{Payload, qdrant::RetrievedPoint};
use uuid::Uuid;

use super::{
    project::units,
    unit::{Unit, UnitPayload},
};
use crate::{
    QueryError,
    runtime::{ProjectionError, Row, Scope},
    search::{
        Search,
        compare::fingerprint,
        embedding::ModelName,
        point::{passages_of, terms_of},
        store::uuid_of,
    },
};

const TABLE: &str = "owned";

/// Units as the log says they should be.
pub(in crate::search) struct UnitFold {
    model: ModelName,
    units: BTreeMap<Uuid, Unit>,
}

impl UnitFold {
    pub(in crate::search) fn of(model: ModelName) -> Self {
        Self { model, units: BTreeMap::new() }
    }

    pub(in crate::search) fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        self.units.extend(units(event)?.into_iter().map(|unit| (unit.point_id(), unit)));
        Ok(())
    }

    pub(in crate::search) fn rows(&self) -> impl Iterator<Item = Row> {
        self.units.values().map(|unit| {
            let payload = UnitPayload {
                model: self.model.name.to_owned(),
                model_version: self.model.version.to_owned(),
                ..unit.payload.clone()
            };
            row(&payload, Some(unit.texts.len()), fingerprint(&unit.terms.dimensions()))
        })
    }
}

impl Search {
    /// What the generation holds of this scope about what tenants own.
    pub(in crate::search) async fn owned_rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.scrolled(self.owned(), scope, |point| self.stored_unit_row(point)).await
    }

    fn stored_unit_row(&self, mut point: RetrievedPoint) -> Row {
        let vectors = passages_of(&point);
        let sound = vectors.iter().all(|vector| {
            vector.len() == self.embedder().dimension()
                && vector.iter().all(|value| value.is_finite())
                && vector.iter().any(|value| *value != 0.0)
        });
        let payload = Payload::from(std::mem::take(&mut point.payload)).deserialize::<UnitPayload>();
        match payload {
            Ok(payload) if uuid_of(&point) == Some(payload.point_id().to_string().as_str()) => {
                row(&payload, sound.then_some(vectors.len()), fingerprint(&terms_of(&point)))
            }
            Ok(_) | Err(_) => {
                let key = uuid_of(&point).map_or_else(|| format!("{:?}", point.id), str::to_owned);
                Row::new(TABLE, key, "not as this program writes")
            }
        }
    }
}

/// A unit's row; `vectors` is how many usable ones it has, `None` where one is not.
fn row(payload: &UnitPayload, vectors: Option<usize>, terms: u64) -> Row {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    let key = format!("{}:{}:{} {}", payload.kind.name(), payload.tenant_id, payload.id, payload.part);
    Row::new(TABLE, key, (hasher.finish(), vectors, terms))
}
