//! Streams of log events for a subscriber: each event once, in order, starting now or after a cursor.

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

/// An event with its position in the log.
pub(super) struct FeedEvent {
    /// The event.
    pub(super) event: Arc<RawEnvelope>,
    incarnation: Uuid,
}

impl FeedEvent {
    /// The cursor after which a later subscription continues.
    pub(super) fn cursor(&self) -> String {
        ConsistencyToken { stream: None, ..self.consistency_token() }.to_string()
    }

    /// The consistency token for queries that have to include the event.
    pub(super) fn consistency_token(&self) -> ConsistencyToken {
        let context = Bounded::from_aggregate_type(&self.event.aggregate_type);
        let stream = context.map(|context| (context, self.event.aggregate_id.clone()));
        ConsistencyToken { incarnation: self.incarnation, position: self.event.position, stream }
    }
}

/// Streams the events after the cursor `after`, converted by `view`, which returns `None` for events that the
/// subscriber must not see or did not ask for.
pub(super) async fn subscribe_events<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&FeedEvent) -> Option<T> + Send,
{
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    let incarnation = app.runtime.log().incarnation().await.map_err(|error| error::unavailable(&error))?;
    let after = after
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| parse_cursor_position(&cursor, incarnation))
        .transpose()?;
    let follower = app.event_feed.follow(after).await.map_err(|error| error::unavailable(&error))?;
    Ok(stream::unfold(Some((follower, view)), move |rest| next_matching(rest, incarnation)))
}

/// Like [`subscribe_events`], restricted to the caller's company. Ends when the caller may no longer read its data.
pub(super) async fn subscribe_tenant_events<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&FeedEvent) -> Option<T> + Send,
{
    let tenant = super::command_dispatch::reading_tenant(ctx)?.clone();
    let tenant_view = move |feed_event: &FeedEvent| {
        if feed_event.event.tenant_id == tenant.as_str() { view(feed_event) } else { None }
    };
    authorize_items(ctx, Box::pin(subscribe_events(ctx, after, tenant_view).await?))
}

/// Yields the items of a company's stream while the caller may read its data, which is checked before each item. Ends with
/// an error when the caller may no longer.
pub(super) fn authorize_items<T, S>(ctx: &Context<'_>, items: S) -> Result<impl Stream<Item = Result<T>> + use<T, S>>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    let identity = super::command_dispatch::request_identity(ctx)?.clone();
    let authenticator = error::require_context_data(ctx.data::<Authenticator>())?.clone();
    Ok(stream::unfold(Some((items, identity, authenticator)), next_authorized))
}

/// Returns the next item if the subscriber may still read it.
async fn next_authorized<T, S>(
    state: Option<(S, Principal, Authenticator)>,
) -> Option<(Result<T>, Option<(S, Principal, Authenticator)>)>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    let (mut items, mut identity, authenticator) = state?;
    let next = futures::StreamExt::next(&mut items).await?;
    match authenticator.load_authority(&identity).await {
        Ok(authority) => identity.sender.authority = authority,
        Err(error) => return Some((Err(error::unavailable(&error)), None)),
    }
    match crate::tenant_commands::readable_tenant(&identity) {
        Ok(_) => Some((next, Some((items, identity, authenticator)))),
        Err(failure) => Some((Err(error::command_failure(&failure)), None)),
    }
}

/// The log position of a cursor.
fn parse_cursor_position(cursor: &str, incarnation: Uuid) -> Result<u64> {
    let token: ConsistencyToken =
        cursor.parse().map_err(|_| error::invalid_field("after", "not a valid cursor".to_owned()))?;
    if token.incarnation != incarnation {
        let reason =
            "the cursor belongs to a log that was replaced by a backup; subscribe without a cursor and read again"
                .to_owned();
        return Err(error::invalid_field("after", reason));
    }
    Ok(token.position)
}

/// The next event that `view` accepts.
async fn next_matching<T, F: Fn(&FeedEvent) -> Option<T>>(
    rest: Option<(FeedFollower, F)>,
    incarnation: Uuid,
) -> Option<(Result<T>, Option<(FeedFollower, F)>)> {
    let (mut follower, view) = rest?;
    loop {
        match follower.next_event().await {
            Ok(Some(event)) => {
                if let Some(item) = view(&FeedEvent { event, incarnation }) {
                    return Some((Ok(item), Some((follower, view))));
                }
            }
            Ok(None) => return None,
            // The last item: the subscriber may subscribe again with the last cursor.
            Err(error) => return Some((Err(error::unavailable(&error)), None)),
        }
    }
}
