//! Following the log for a subscriber: everything once, in order, from now on or behind a cursor.

use std::sync::Arc;

use async_graphql::{Context, Result};
use domain::{context::BoundedContext as Bounded, envelope::RawEnvelope};
use futures::{Stream, stream};
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

use super::error;
use crate::{
    app_context::{AppContext, FeedFollower},
    auth::{Authenticator, Principal},
};

/// An event with its place in the log.
pub(super) struct FeedEvent {
    /// The event.
    pub(super) event: Arc<RawEnvelope>,
    incarnation: Uuid,
}

impl FeedEvent {
    /// A later subscription continues behind it.
    pub(super) fn cursor(&self) -> String {
        ConsistencyToken { stream: None, ..self.consistency_token() }.to_string()
    }

    /// For queries that have to show it.
    pub(super) fn consistency_token(&self) -> ConsistencyToken {
        let context = Bounded::from_aggregate_type(&self.event.aggregate_type);
        let stream = context.map(|context| (context, self.event.aggregate_id.clone()));
        ConsistencyToken { incarnation: self.incarnation, position: self.event.position, stream }
    }
}

/// What becomes of the events of the log behind `after` by `view`, which leaves out what is not the subscriber's.
pub(super) async fn subscribe_events<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&FeedEvent) -> Option<T> + Send,
{
    let stores = error::require_context_data(ctx.data::<AppContext>())?;
    let incarnation = stores.runtime.log().incarnation().await.map_err(|error| error::unavailable(&error))?;
    let after = after
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| parse_cursor_position(&cursor, incarnation))
        .transpose()?;
    let follower = stores.event_feed.follow(after).await.map_err(|error| error::unavailable(&error))?;
    Ok(stream::unfold(Some((follower, view)), move |rest| next_matching(rest, incarnation)))
}

/// The same for those who may read their company's data; ends when they no longer may.
pub(super) async fn subscribe_tenant_events<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&FeedEvent) -> Option<T> + Send,
{
    let identity = super::command_dispatch::request_identity(ctx)?.clone();
    let tenant = super::command_dispatch::reading_tenant(ctx)?.clone();
    let authenticator = error::require_context_data(ctx.data::<Authenticator>())?.clone();
    let own = move |happened: &FeedEvent| {
        if happened.event.tenant_id == tenant.as_str() { view(happened) } else { None }
    };
    let told = Box::pin(subscribe_events(ctx, after, own).await?);
    Ok(stream::unfold(Some((told, identity, authenticator)), next_authorized))
}

/// The next that is told, if its subscriber still may read it.
async fn next_authorized<T, S>(
    rest: Option<(S, Principal, Authenticator)>,
) -> Option<(Result<T>, Option<(S, Principal, Authenticator)>)>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    let (mut told, mut identity, authenticator) = rest?;
    let next = futures::StreamExt::next(&mut told).await?;
    match authenticator.load_authority(&identity).await {
        Ok(authority) => identity.sender.authority = authority,
        Err(away) => return Some((Err(error::unavailable(&away)), None)),
    }
    match crate::tenant_commands::readable_tenant(&identity) {
        Ok(_) => Some((next, Some((told, identity, authenticator)))),
        Err(undone) => Some((Err(error::command_failure(&undone)), None)),
    }
}

/// The position that a cursor stands for.
fn parse_cursor_position(cursor: &str, incarnation: Uuid) -> Result<u64> {
    let token: ConsistencyToken =
        cursor.parse().map_err(|_| error::invalid_field("after", "this is no cursor of ours".to_owned()))?;
    if token.incarnation != incarnation {
        let reason = "the cursor is of a log that was replaced by a backup; begin without one and read anew".to_owned();
        return Err(error::invalid_field("after", reason));
    }
    Ok(token.position)
}

/// The next event that is the subscriber's.
async fn next_matching<T, F: Fn(&FeedEvent) -> Option<T>>(
    rest: Option<(FeedFollower, F)>,
    incarnation: Uuid,
) -> Option<(Result<T>, Option<(FeedFollower, F)>)> {
    let (mut follower, view) = rest?;
    loop {
        match follower.next_event().await {
            Ok(Some(event)) => {
                if let Some(told) = view(&FeedEvent { event, incarnation }) {
                    return Some((Ok(told), Some((follower, view))));
                }
            }
            Ok(None) => return None,
            // The last that is told: the subscriber may subscribe again behind the last cursor.
            Err(error) => return Some((Err(error::unavailable(&error)), None)),
        }
    }
}
