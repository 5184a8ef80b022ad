//! The events of a visit.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::{
    command::{RecordClick, RecordView, VisitCommand},
    value::VisitUrl,
};
use crate::{event_version::event_versions, opportunity::OpportunityId, time_text, value::UserId};

/// An event of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum VisitEvent {
    /// A page was viewed.
    PageViewed {
        /// The page.
        page_url: VisitUrl,
        /// The page before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        referrer: Option<VisitUrl>,
        /// The user, if signed in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// The opportunity that the page is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opportunity_id: Option<OpportunityId>,
        /// When it happened.
        #[serde(serialize_with = "time_text::serialize_time", deserialize_with = "time_text::deserialize_time")]
        at: DateTime<Utc>,
    },
    /// A link was clicked.
    LinkClicked {
        /// The page with the link.
        page_url: VisitUrl,
        /// The URL of the link; `None` for a button.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target_url: Option<VisitUrl>,
        /// The user, if signed in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// The opportunity that the click is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opportunity_id: Option<OpportunityId>,
        /// When it happened.
        #[serde(serialize_with = "time_text::serialize_time", deserialize_with = "time_text::deserialize_time")]
        at: DateTime<Utc>,
    },
}

impl VisitEvent {
    /// When the view or click happened.
    pub fn occurred_at(&self) -> DateTime<Utc> {
        match self {
            Self::PageViewed { at, .. } | Self::LinkClicked { at, .. } => *at,
        }
    }
}

impl From<VisitCommand> for VisitEvent {
    /// Truncates the time, which comes from the client, to microseconds: copies of an event hold no more digits, and
    /// all copies have to be equal.
    fn from(command: VisitCommand) -> Self {
        match command {
            VisitCommand::View(RecordView { page_url, referrer, user_id, opportunity_id, at }) => {
                Self::PageViewed { page_url, referrer, user_id, opportunity_id, at: at.trunc_subsecs(6) }
            }
            VisitCommand::Click(RecordClick { page_url, target_url, user_id, opportunity_id, at }) => {
                Self::LinkClicked { page_url, target_url, user_id, opportunity_id, at: at.trunc_subsecs(6) }
            }
        }
    }
}

event_versions! {
    VisitEvent {
        PageViewed => "visit.page_viewed", "1.0";
        LinkClicked => "visit.link_clicked", "1.0";
    }
}
