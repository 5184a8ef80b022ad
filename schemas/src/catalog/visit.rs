//! The events of visits.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![event!("visit", "page_viewed", "1.0", "PageViewed"), event!("visit", "link_clicked", "1.0", "LinkClicked")]
}
