//! Following the log for a subscriber: everything once, in order, from now on or behind a cursor.

use std::sync::Arc;

use async_graphql::{Context, Result};
use domain::{context::Context as Bounded, envelope::RawRecorded};
use futures::{Stream, stream};
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

use super::error;
use crate::{
    identity::{Authenticator, Identity},
    store::{Follower, Stores},
};

/// An event with its place in the log.
pub(super) struct Happened {
    /// The event.
    pub(super) event: Arc<RawRecorded>,
    incarnation: Uuid,
}

impl Happened {
    /// A later subscription continues behind it.
    pub(super) fn cursor(&self) -> String {
        ConsistencyToken { stream: None, ..self.token() }.to_string()
    }

    /// For queries that have to show it.
    pub(super) fn token(&self) -> ConsistencyToken {
        let context = Bounded::of_aggregate(&self.event.aggregate_type);
        let stream = context.map(|context| (context, self.event.aggregate_id.clone()));
        ConsistencyToken { incarnation: self.incarnation, position: self.event.position, stream }
    }
}

/// What becomes of the events of the log behind `after` by `view`, which leaves out what is not the subscriber's.
pub(super) async fn follow<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&Happened) -> Option<T> + Send,
{
    let stores = error::wired(ctx.data::<Stores>())?;
    let incarnation = stores.runtime.log().incarnation().await.map_err(|error| error::unavailable(&error))?;
    let after = after.filter(|cursor| !cursor.is_empty()).map(|cursor| position(&cursor, incarnation)).transpose()?;
    let follower = stores.feed.follow(after).await.map_err(|error| error::unavailable(&error))?;
    Ok(stream::unfold(Some((follower, view)), move |rest| next(rest, incarnation)))
}

/// The same for those who may read their company's data; ends when they no longer may.
pub(super) async fn follow_own<T, F>(
    ctx: &Context<'_>,
    after: Option<String>,
    view: F,
) -> Result<impl Stream<Item = Result<T>> + use<T, F>>
where
    T: Send,
    F: Fn(&Happened) -> Option<T> + Send,
{
    let identity = super::outcome::identity(ctx)?.clone();
    let tenant = super::outcome::reader(ctx)?.clone();
    let authenticator = error::wired(ctx.data::<Authenticator>())?.clone();
    let own = move |happened: &Happened| {
        if happened.event.tenant_id == tenant.as_str() { view(happened) } else { None }
    };
    let told = Box::pin(follow(ctx, after, own).await?);
    Ok(stream::unfold(Some((told, identity, authenticator)), still_allowed))
}

/// The next that is told, if its subscriber still may read it.
async fn still_allowed<T, S>(
    rest: Option<(S, Identity, Authenticator)>,
) -> Option<(Result<T>, Option<(S, Identity, Authenticator)>)>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    let (mut told, mut identity, authenticator) = rest?;
    let next = futures::StreamExt::next(&mut told).await?;
    match authenticator.authority_now(&identity).await {
        Ok(authority) => identity.sender.authority = authority,
        Err(away) => return Some((Err(error::unavailable(&away)), None)),
    }
    match crate::owned::reader(&identity) {
        Ok(_) => Some((next, Some((told, identity, authenticator)))),
        Err(undone) => Some((Err(error::undone(&undone)), None)),
    }
}

/// The position that a cursor stands for.
fn position(cursor: &str, incarnation: Uuid) -> Result<u64> {
    let token: ConsistencyToken =
        cursor.parse().map_err(|_| error::invalid_field("after", "this is no cursor of ours".to_owned()))?;
    if token.incarnation != incarnation {
        let reason = "the cursor is of a log that was replaced by a backup; begin without one and read anew".to_owned();
        return Err(error::invalid_field("after", reason));
    }
    Ok(token.position)
}

/// The next event that is the subscriber's.
async fn next<T, F: Fn(&Happened) -> Option<T>>(
    rest: Option<(Follower, F)>,
    incarnation: Uuid,
) -> Option<(Result<T>, Option<(Follower, F)>)> {
    let (mut follower, view) = rest?;
    loop {
        match follower.next().await {
            Ok(Some(event)) => {
                if let Some(told) = view(&Happened { event, incarnation }) {
                    return Some((Ok(told), Some((follower, view))));
                }
            }
            Ok(None) => return None,
            // The last that is told: the subscriber may subscribe again behind the last cursor.
            Err(error) => return Some((Err(error::unavailable(&error)), None)),
        }
    }
}
