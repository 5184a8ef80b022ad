//! Subscription to the progress of a rebuild.

use std::time::Duration;

use async_graphql::{Context, Result, Subscription};
use futures::{Stream, StreamExt, stream};
use projections::runtime::{ControlStore, RebuildRecord};
use tokio::time::sleep;

use super::{guard::OperatorOnly, rebuild::RebuildNode, selection};
use crate::graphql::error;

/// Interval of polling; a rebuild records its progress as often.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Subscription to the progress of rebuilds.
#[derive(Default)]
pub(in crate::graphql) struct RebuildSubscription;

#[Subscription]
impl RebuildSubscription {
    /// Progress of the most recently started rebuild, in whatever process it runs: the current state first, then every
    /// change. Ends when the rebuild ends or is interrupted; ends immediately if there was none. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild_progress(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<RebuildNode>> + use<>> {
        let control = selection::context_stores(ctx)?.runtime.control().clone();
        let first = control.last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        let changes = stream::unfold(first.clone(), move |last| poll_next_progress(control.clone(), last));
        Ok(stream::iter(first.map(|first| Ok(RebuildNode::from(first)))).chain(changes))
    }
}

/// Polls until the rebuild differs from `last`, the state sent before; `None` once the rebuild is over.
async fn poll_next_progress(
    control: ControlStore,
    last: Option<RebuildRecord>,
) -> Option<(Result<RebuildNode>, Option<RebuildRecord>)> {
    let last = last.filter(|last| !last.state.is_over())?;
    loop {
        sleep(POLL_INTERVAL).await;
        match control.last_rebuild().await {
            Ok(None) => return None,
            Ok(Some(current)) if current.progress.id != last.progress.id => return None,
            Ok(Some(current)) if current == last => {}
            Ok(Some(current)) => return Some((Ok(RebuildNode::from(current.clone())), Some(current))),
            Err(error) => return Some((Err(error::unavailable(&error)), None)),
        }
    }
}
