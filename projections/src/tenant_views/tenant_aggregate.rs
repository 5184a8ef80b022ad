//! The kinds of what tenants own.

use std::fmt;

use cqrs_es::Aggregate;
use domain::{
    company::Company, document::Document, envelope::RawEnvelope, inbox::Inbox, opportunity::OpportunityId,
    proposal::Proposal, resource::Resource, task::Task, value::TenantId,
};
use serde::{Serialize, de::DeserializeOwned};

use super::stored_aggregate::{AggregateFold, FoldedStream};
use crate::runtime::ProjectionError;

/// A group of things of one kind, listed together: all of them, or those that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListGroup(String);

impl ListGroup {
    /// Everything of a kind that is there.
    pub fn all() -> Self {
        Self("all".to_owned())
    }

    /// What stands at that point of its life, by the word for it.
    pub fn status(status: &str) -> Self {
        Self(format!("status:{status}"))
    }

    /// What is about an opportunity.
    pub fn opportunity(id: &OpportunityId) -> Self {
        Self(format!("opportunity:{id}"))
    }

    /// What is about something else.
    pub fn subject(kind: &str, id: &str) -> Self {
        Self(format!("about:{kind}:{id}"))
    }
}

impl fmt::Display for ListGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An aggregate that a tenant owns.
pub trait TenantAggregate: Aggregate + Clone + Serialize + DeserializeOwned + 'static {
    /// The groups that it is listed in; none where it is not listed, and once it is gone.
    fn groups(&self) -> Vec<ListGroup>;

    /// The stream of the one with that id; only a company has none.
    fn stream_name(tenant: &TenantId, id: &str) -> String {
        tenant.stream_id(id)
    }
}

impl TenantAggregate for Proposal {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(manuscript) = self.content() else { return vec![] };
        vec![
            ListGroup::all(),
            ListGroup::status(self.phase().name()),
            ListGroup::opportunity(&manuscript.opportunity_id),
        ]
    }
}

impl TenantAggregate for Document {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(reading) = self.as_uploaded() else { return vec![] };
        let mut groups = vec![ListGroup::all(), ListGroup::status(reading.status().name())];
        groups.extend(reading.upload.opportunity_id.as_ref().map(ListGroup::opportunity));
        groups
    }
}

impl TenantAggregate for Resource {
    fn groups(&self) -> Vec<ListGroup> {
        self.content().map_or_else(Vec::new, |asset| vec![ListGroup::all(), ListGroup::status(asset.kind.name())])
    }
}

impl TenantAggregate for Task {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(job) = self.spec() else { return vec![] };
        let about = ListGroup::subject(job.subject.kind.name(), job.subject.id.as_str());
        vec![ListGroup::all(), ListGroup::status(self.status().name()), about]
    }
}

impl TenantAggregate for Company {
    fn groups(&self) -> Vec<ListGroup> {
        vec![]
    }

    fn stream_name(tenant: &TenantId, _id: &str) -> String {
        tenant.to_string()
    }
}

impl TenantAggregate for Inbox {
    fn groups(&self) -> Vec<ListGroup> {
        vec![]
    }
}

/// Reads a stream as it was stored, at that version; nothing where nothing is.
type RestoreAggregate = fn(u64, Option<&str>) -> serde_json::Result<Box<dyn AggregateFold>>;

/// How streams of one kind are folded.
pub(super) struct AggregateDescriptor {
    /// The type of the aggregate; part of keys.
    pub(super) name: &'static str,
    /// Whether an event can be understood.
    pub(super) check_event: fn(&RawEnvelope) -> Result<(), ProjectionError>,
    /// A stream as it was stored.
    pub(super) restore: RestoreAggregate,
}

impl AggregateDescriptor {
    const fn new<A: TenantAggregate>() -> Self {
        Self {
            name: A::TYPE,
            check_event: |event| event.decode::<A::Event>().map(drop).map_err(ProjectionError::poison),
            restore: |version, text| Ok(Box::new(FoldedStream::<A>::from_stored(version, text)?)),
        }
    }

    /// The kind of stream that an aggregate's events are; `None` where nothing is kept about it.
    pub(super) fn find(aggregate_type: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == aggregate_type)
    }
}

/// Every kind.
pub(super) static KINDS: [AggregateDescriptor; 6] = [
    AggregateDescriptor::new::<Proposal>(),
    AggregateDescriptor::new::<Document>(),
    AggregateDescriptor::new::<Resource>(),
    AggregateDescriptor::new::<Task>(),
    AggregateDescriptor::new::<Company>(),
    AggregateDescriptor::new::<Inbox>(),
];
