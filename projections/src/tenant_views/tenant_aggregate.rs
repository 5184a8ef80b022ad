//! The aggregate types that tenants own.

use std::fmt;

use cqrs_es::Aggregate;
use domain::{
    company::Company,
    document::Document,
    envelope::RawEnvelope,
    inbox::Inbox,
    opportunity::OpportunityId,
    proposal::Proposal,
    proposal_generation::ProposalGeneration,
    resource::Resource,
    task::{SubjectKind, Task},
    value::TenantId,
};
use serde::{Serialize, de::DeserializeOwned};

use super::stored_aggregate::{AggregateFold, FoldedStream};
use crate::runtime::ProjectionError;

/// A group of aggregates of one kind that share a list: all of them, or those with a common property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListGroup(String);

impl ListGroup {
    /// All existing aggregates of the kind.
    pub fn all() -> Self {
        Self("all".to_owned())
    }

    /// The aggregates with the status, phase or kind of this name; each aggregate has one such name.
    pub fn named(name: &str) -> Self {
        Self(format!("status:{name}"))
    }

    /// The aggregates that concern this opportunity.
    pub fn opportunity(id: &OpportunityId) -> Self {
        Self(format!("opportunity:{id}"))
    }

    /// The aggregates that concern this subject, by its kind and id.
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
    /// The groups that list the aggregate; empty for a kind without lists and for a deleted aggregate.
    fn groups(&self) -> Vec<ListGroup>;

    /// The stream of the aggregate with this id; a company has no id within its tenant and ignores it.
    fn stream_name(tenant: &TenantId, id: &str) -> String {
        tenant.stream_id(id)
    }
}

impl TenantAggregate for Proposal {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(content) = self.content() else { return vec![] };
        vec![ListGroup::all(), ListGroup::named(self.phase().name()), ListGroup::opportunity(&content.opportunity_id)]
    }
}

impl TenantAggregate for ProposalGeneration {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(generation) = self.as_requested() else { return vec![] };
        let proposal = ListGroup::subject(SubjectKind::Proposal.name(), &generation.request.proposal_id.to_string());
        vec![ListGroup::all(), ListGroup::named(generation.status().name()), proposal]
    }
}

impl TenantAggregate for Document {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(uploaded) = self.as_uploaded() else { return vec![] };
        let mut groups = vec![ListGroup::all(), ListGroup::named(uploaded.status().name())];
        groups.extend(uploaded.upload.opportunity_id.as_ref().map(ListGroup::opportunity));
        groups
    }
}

impl TenantAggregate for Resource {
    fn groups(&self) -> Vec<ListGroup> {
        self.content().map_or_else(Vec::new, |content| vec![ListGroup::all(), ListGroup::named(content.kind.name())])
    }
}

impl TenantAggregate for Task {
    fn groups(&self) -> Vec<ListGroup> {
        let Some(spec) = self.spec() else { return vec![] };
        let subject = ListGroup::subject(spec.subject.kind.name(), spec.subject.id.as_str());
        vec![ListGroup::all(), ListGroup::named(self.status().name()), subject]
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

/// Restores a stream from its stored version and state.
type RestoreAggregate = fn(u64, &str) -> serde_json::Result<Box<dyn AggregateFold>>;

/// The functions that fold streams of one aggregate type.
pub(super) struct AggregateDescriptor {
    /// The aggregate type; part of keys.
    pub(super) name: &'static str,
    /// Checks that an event can be decoded.
    pub(super) check_event: fn(&RawEnvelope) -> Result<(), ProjectionError>,
    /// A stream before its first event.
    pub(super) create: fn() -> Box<dyn AggregateFold>,
    /// Restores a stored stream.
    pub(super) restore: RestoreAggregate,
}

impl AggregateDescriptor {
    const fn new<A: TenantAggregate>() -> Self {
        Self {
            name: A::TYPE,
            check_event: |event| event.decode::<A::Event>().map(drop).map_err(ProjectionError::poison),
            create: || Box::new(FoldedStream::<A>::new()),
            restore: |version, text| Ok(Box::new(FoldedStream::<A>::from_stored(version, text)?)),
        }
    }

    /// The descriptor of an aggregate type; `None` if it is not part of the read model.
    pub(super) fn find(aggregate_type: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == aggregate_type)
    }
}

/// All aggregate types of the read model.
pub(super) static KINDS: &[AggregateDescriptor] = &[
    AggregateDescriptor::new::<Proposal>(),
    AggregateDescriptor::new::<ProposalGeneration>(),
    AggregateDescriptor::new::<Document>(),
    AggregateDescriptor::new::<Resource>(),
    AggregateDescriptor::new::<Task>(),
    AggregateDescriptor::new::<Company>(),
    AggregateDescriptor::new::<Inbox>(),
];
