//! Notifications on the wire.

mod mutation;
mod node;
mod query;
mod subscription;

pub(super) use self::{
    mutation::NotificationMutation, query::NotificationQuery, subscription::NotificationSubscription,
};
