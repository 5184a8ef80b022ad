//! The kinds of what tenants own.

use std::fmt;

use cqrs_es::Aggregate;
use domain::{
    company::Company, document::Document, envelope::RawRecorded, inbox::Inbox, opportunity::OpportunityId,
    proposal::Proposal, resource::Resource, task::Task, value::TenantId,
};
use serde::{Serialize, de::DeserializeOwned};

use super::kept::{Folded, Folding};
use crate::runtime::ProjectionError;

/// A group of things of one kind, listed together: all of them, or those that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(String);

impl Group {
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
    pub fn about(kind: &str, id: &str) -> Self {
        Self(format!("about:{kind}:{id}"))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An aggregate that a tenant owns.
pub trait Owned: Aggregate + Clone + Serialize + DeserializeOwned + 'static {
    /// The groups that it is listed in; none where it is not listed, and once it is gone.
    fn groups(&self) -> Vec<Group>;

    /// The stream of the one with that id; only a company has none.
    fn stream(tenant: &TenantId, id: &str) -> String {
        tenant.stream(id)
    }
}

impl Owned for Proposal {
    fn groups(&self) -> Vec<Group> {
        let Some(manuscript) = self.manuscript() else { return vec![] };
        vec![Group::all(), Group::status(self.phase().name()), Group::opportunity(&manuscript.opportunity_id)]
    }
}

impl Owned for Document {
    fn groups(&self) -> Vec<Group> {
        let Some(reading) = self.reading() else { return vec![] };
        let mut groups = vec![Group::all(), Group::status(reading.status().name())];
        groups.extend(reading.upload.opportunity_id.as_ref().map(Group::opportunity));
        groups
    }
}

impl Owned for Resource {
    fn groups(&self) -> Vec<Group> {
        self.asset().map_or_else(Vec::new, |asset| vec![Group::all(), Group::status(asset.kind.name())])
    }
}

impl Owned for Task {
    fn groups(&self) -> Vec<Group> {
        let Some(job) = self.job() else { return vec![] };
        let about = Group::about(job.subject.kind.name(), job.subject.id.as_str());
        vec![Group::all(), Group::status(self.status().name()), about]
    }
}

impl Owned for Company {
    fn groups(&self) -> Vec<Group> {
        vec![]
    }

    fn stream(tenant: &TenantId, _id: &str) -> String {
        tenant.to_string()
    }
}

impl Owned for Inbox {
    fn groups(&self) -> Vec<Group> {
        vec![]
    }
}

/// Reads a stream as it was stored, at that version; nothing where nothing is.
type Stored = fn(u64, Option<&str>) -> serde_json::Result<Box<dyn Folding>>;

/// How streams of one kind are folded.
pub(super) struct Kind {
    /// The type of the aggregate; part of keys.
    pub(super) name: &'static str,
    /// Whether an event can be understood.
    pub(super) check: fn(&RawRecorded) -> Result<(), ProjectionError>,
    /// A stream as it was stored.
    pub(super) stored: Stored,
}

impl Kind {
    const fn of<A: Owned>() -> Self {
        Self {
            name: A::TYPE,
            check: |event| event.decode::<A::Event>().map(drop).map_err(ProjectionError::poison),
            stored: |version, text| Ok(Box::new(Folded::<A>::stored(version, text)?)),
        }
    }

    /// The kind of stream that an aggregate's events are; `None` where nothing is kept about it.
    pub(super) fn of_aggregate(aggregate_type: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == aggregate_type)
    }
}

/// Every kind.
pub(super) static KINDS: [Kind; 6] = [
    Kind::of::<Proposal>(),
    Kind::of::<Document>(),
    Kind::of::<Resource>(),
    Kind::of::<Task>(),
    Kind::of::<Company>(),
    Kind::of::<Inbox>(),
];
