//! The caller's preferences of mail.

use std::collections::BTreeSet;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use domain::inbox as record;

use super::mutation::dispatch_inbox_command;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, reading_tenant, request_identity},
    error,
    input_validation::parse_value,
    precondition::PreconditionsInput,
    read_models,
};

/// Kind of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[graphql(name = "MailCategory", remote = "record::MailCategory")]
pub(super) enum MailCategoryEnum {
    /// Opportunities that match or have changed.
    Opportunities,
    /// Documents that were analyzed.
    Documents,
    /// Proposals that changed or were generated.
    Proposals,
    /// Tasks that ended.
    Tasks,
    /// Messages from the platform.
    System,
    /// New results of saved searches that notify daily.
    DailyDigest,
}

/// Where and when you receive mail.
#[derive(InputObject)]
struct MailPreferencesInput {
    /// Mail address, e.g. `ann@clinic.example`.
    address: String,
    /// Time zone of the daily digest by its IANA name, e.g. `America/New_York`.
    time_zone: String,
    /// Local hour of the daily digest, 0 to 23.
    #[graphql(default = 7)]
    digest_hour: u8,
    /// Kinds of mail that you do not want.
    #[graphql(default)]
    unsubscribed: Vec<MailCategoryEnum>,
}

/// Where and when you receive mail.
#[derive(SimpleObject)]
#[graphql(name = "MailPreferences")]
struct MailPreferencesNode {
    /// Mail address.
    address: String,
    /// Time zone of the daily digest by its IANA name.
    time_zone: String,
    /// Local hour of the daily digest.
    digest_hour: u8,
    /// Kinds of mail that you do not want.
    unsubscribed: Vec<MailCategoryEnum>,
    /// Whether a mail server refused the address. No mail is sent until you set the preferences again.
    bounced: bool,
}

/// Mutation of the caller's preferences of mail.
#[derive(Default)]
pub(in crate::graphql) struct MailPreferencesMutation;

#[Object]
impl MailPreferencesMutation {
    /// Sets where and when you receive mail; replaces all preferences.
    async fn change_mail_preferences(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The preferences.")] input: MailPreferencesInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let MailPreferencesInput { address, time_zone, digest_hour, unsubscribed } = input;
        let time_zone = parse_value("timeZone", &time_zone, record::TimeZoneName::try_new)?;
        if !mail::is_known_time_zone(time_zone.as_str()) {
            let reason = format!("the time zone {time_zone} is unknown; use a name such as America/New_York");
            return Err(error::invalid_field("timeZone", reason));
        }
        let digest_hour = record::DigestHour::try_new(digest_hour);
        let preferences = record::MailPreferences {
            address: parse_value("address", &address, record::MailAddress::try_new)?,
            time_zone,
            digest_hour: digest_hour.map_err(|reason| error::invalid_value("digestHour", &reason))?,
            unsubscribed: unsubscribed.into_iter().map(record::MailCategory::from).collect::<BTreeSet<_>>(),
        };
        dispatch_inbox_command(ctx, conditions, |stamp| record::InboxCommand::ChangeMailPreferences {
            preferences,
            stamp,
        })
        .await
    }
}

/// Query of the caller's preferences of mail.
#[derive(Default)]
pub(in crate::graphql) struct MailPreferencesQuery;

#[Object]
impl MailPreferencesQuery {
    /// Where and when you receive mail; null if you have not set it, and receive none.
    async fn mail_preferences(&self, ctx: &Context<'_>) -> Result<Option<MailPreferencesNode>> {
        let (tenant, user) = (reading_tenant(ctx)?, request_identity(ctx)?.user().to_string());
        let found = read_models::from_context(ctx)?.tenant_views().await?.get::<record::Inbox>(tenant, &user).await;
        let inbox = found.map_err(|error| error::query_error(&error))?.map(|stored| stored.state).unwrap_or_default();
        let mail_state = inbox.mail_state();
        Ok(mail_state.preferences().map(|preferences| MailPreferencesNode {
            address: preferences.address.as_str().to_owned(),
            time_zone: preferences.time_zone.to_string(),
            digest_hour: preferences.digest_hour.number(),
            unsubscribed: preferences.unsubscribed.iter().copied().map(MailCategoryEnum::from).collect(),
            bounced: mail_state.has_bounced(),
        }))
    }
}
