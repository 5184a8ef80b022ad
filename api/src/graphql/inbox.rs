//! GraphQL types and resolvers for notifications.

mod mutation;
mod node;
mod query;
mod subscription;

pub(super) use self::{
    mutation::NotificationMutation, query::NotificationQuery, subscription::NotificationSubscription,
};
