//! Asking what is about the same thing.

use chrono::{DateTime, Utc};
use qdrant_client::{
    Payload,
    qdrant::{self, Condition, DatetimeRange, Query, QueryPointsBuilder, ScoredPoint},
};

use super::{
    Search,
    document::PointPayload,
    store::{STORE, unreadable},
};
use crate::{Filter, QueryError, TimeRange};

/// An opportunity that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The opportunity.
    pub id: String,
    /// How near it is to the question: 1 is the same, 0 is unrelated.
    pub score: f32,
    /// Its title.
    pub title: String,
    /// The kind of its current notice.
    pub notice_type: String,
    /// The agency's code.
    pub agency_code: String,
    /// The agency's name.
    pub agency_name: String,
    /// Industry code.
    pub naics: Option<String>,
    /// Set-aside code.
    pub set_aside: Option<String>,
    /// When the current notice was published.
    pub posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    pub response_deadline: Option<DateTime<Utc>>,
    /// Whether there is an award.
    pub awarded: bool,
}

impl Search {
    /// The opportunities nearest to a question in plain words, best first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
    pub async fn search(&self, query: &str, filter: &Filter, first: u32) -> Result<Vec<Hit>, QueryError> {
        let vector = self
            .embedder()
            .embed_query(query)
            .await
            .map_err(|source| QueryError::Unavailable { store: STORE, source: source.into() })?;
        let query = QueryPointsBuilder::new(self.collection())
            .query(Query::new_nearest(vector))
            .filter(conditions(filter))
            .limit(u64::from(first))
            .with_payload(true);
        self.run(self.client().query(query)).await?.result.into_iter().map(hit).collect()
    }
}

fn hit(point: ScoredPoint) -> Result<Hit, QueryError> {
    let payload: PointPayload = Payload::from(point.payload).deserialize().map_err(unreadable)?;
    Ok(Hit {
        id: payload.id,
        score: point.score,
        title: payload.title,
        notice_type: payload.notice_type,
        agency_code: payload.agency_code,
        agency_name: payload.agency_name,
        naics: payload.naics,
        set_aside: payload.set_aside,
        posted_at: payload.posted_at,
        response_deadline: payload.response_deadline,
        awarded: payload.awarded,
    })
}

fn conditions(filter: &Filter) -> qdrant::Filter {
    let one_of =
        |field: &str, values: &[String]| (!values.is_empty()).then(|| Condition::matches(field, values.to_vec()));
    let within = |field: &str, range: TimeRange| (!range.is_open()).then(|| between(field, range));
    let conditions = [
        one_of("agency_code", &filter.agencies),
        one_of("notice_type", &filter.notice_types),
        one_of("naics_prefixes", &filter.naics),
        one_of("set_aside", &filter.set_asides),
        within("posted_at", filter.posted),
        within("response_deadline", filter.deadline),
    ];
    qdrant::Filter::must(conditions.into_iter().flatten())
}

fn between(field: &str, range: TimeRange) -> Condition {
    let stamp = |time: Option<DateTime<Utc>>| {
        time.map(|time| qdrant::Timestamp {
            seconds: time.timestamp(),
            nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
        })
    };
    Condition::datetime_range(
        field,
        DatetimeRange { gte: stamp(range.from), lte: stamp(range.to), ..DatetimeRange::default() },
    )
}
