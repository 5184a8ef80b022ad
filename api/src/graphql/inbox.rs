//! GraphQL types and resolvers for notifications.

mod mail_preferences;
mod mutation;
mod node;
mod query;
mod subscription;

pub(super) use self::{
    mail_preferences::{MailPreferencesMutation, MailPreferencesQuery},
    mutation::NotificationMutation,
    query::NotificationQuery,
    subscription::NotificationSubscription,
};
