//! Connections that live for long: subscriptions over WebSockets, and calls over gRPC.

use std::{error::Error, io};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    address_list::AddressList,
    client_load::{LoadLedger, RETRY_PAUSE, RetriedRequest, RetryReason},
};
use crate::GraphqlSubscriber;

/// The code of a process that stops: connect again.
const TRY_AGAIN_LATER: u16 = 1013;

/// Keeps one subscription open until `stop` is cancelled: whenever its process closes it, at another one.
pub(super) async fn keep_subscribed(servers: AddressList, stop: CancellationToken) -> LoadLedger {
    let mut ledger = LoadLedger::default();
    let document = "subscription { opportunityDashboard { total } }";
    while !stop.is_cancelled() {
        let Some(address) = servers.take_turn().into_iter().next() else {
            tokio::time::sleep(RETRY_PAUSE).await;
            continue;
        };
        let ended = async {
            let subscriber = GraphqlSubscriber::subscribe(&format!("http://{address}"), json!({}), document).await;
            anyhow::Ok(subscriber?.wait_until_closed().await)
        };
        let Some(ended) = stop.run_until_cancelled(ended).await else { break };
        let reason = match ended {
            Ok(Some(TRY_AGAIN_LATER)) => None,
            // The name of that code: it was closed before it was acknowledged.
            Err(error) if error.to_string().contains("code: Again") => None,
            Err(error) if is_refusal(&*error) && !servers.contains(&address) => Some(RetryReason::Withdrawn),
            Ok(_) | Err(_) => Some(RetryReason::BrokenConnection),
        };
        match reason {
            None => ledger.closed_subscriptions += 1,
            Some(reason) => ledger.retries.push(RetriedRequest { address, reason }),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    ledger
}

/// Why a call was not answered.
pub(super) enum CallFailure {
    /// The server had told that it closes the connection before the call was sent, which every library sends again.
    NotSent,
    /// The connection could not be opened.
    NotConnected,
    /// The connection broke.
    Broken,
    /// The server says to try again.
    Unavailable,
    /// Another status of the server.
    Refused(Status),
}

/// Tells failures of the connection from answers of the server, which have no cause here.
pub(super) fn classify_failure(status: Status) -> CallFailure {
    if status.source().is_none() {
        let is_unavailable = status.code() == Code::Unavailable;
        return if is_unavailable { CallFailure::Unavailable } else { CallFailure::Refused(status) };
    }
    let Some(cause) = status.source() else { return CallFailure::Broken };
    if is_refusal(cause) {
        return CallFailure::NotConnected;
    }
    let is_sent = !has_cause(cause, |error| error.to_string().contains("operation was canceled"));
    if is_sent { CallFailure::Broken } else { CallFailure::NotSent }
}

/// Whether a server refused a connection.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    has_cause(error, |error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}

/// Whether an error or one of its causes is such.
fn has_cause(error: &(dyn Error + 'static), is_such: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is_such(error) {
            return true;
        }
        cause = error.source();
    }
    false
}
