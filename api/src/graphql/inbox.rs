//! Notifications on the wire.

mod mutation;
mod query;
mod told;
mod view;

pub(super) use self::{mutation::NotificationMutation, query::NotificationQuery, told::NotificationSubscription};
