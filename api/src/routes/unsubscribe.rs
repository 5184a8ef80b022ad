//! Links in mails that stop mail of one category, without a login: the token in the link says whose and which.
//!
//! `GET` shows a page that asks and changes nothing, because programs follow links in mails. `POST` does it, from that
//! page or by one click in a mail program (RFC 8058). Repeated, it changes nothing.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::inbox::{Inbox, InboxCommand, MailCategory};
use eventstore::store::PgEventStore;
use mail::{UNSUBSCRIBE_PATH, UnsubscribeRequest, UnsubscribeTokenSigner, describe_category};

use super::html_response;

/// State of the routes.
#[derive(Clone)]
pub(super) struct UnsubscribeState {
    signer: Arc<UnsubscribeTokenSigner>,
    dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
}

/// What a link allows.
struct VerifiedLink {
    request: UnsubscribeRequest,
    category: MailCategory,
}

/// The routes of links to unsubscribe.
pub(super) fn unsubscribe_routes<S>(
    signer: UnsubscribeTokenSigner,
    dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
) -> Router<S> {
    let state = UnsubscribeState { signer: Arc::new(signer), dispatcher };
    Router::new()
        .route(&format!("{UNSUBSCRIBE_PATH}{{token}}"), get(ask_to_unsubscribe).post(unsubscribe))
        .with_state(state)
}

async fn ask_to_unsubscribe(State(state): State<UnsubscribeState>, Path(token): Path<String>) -> Response {
    match state.verify_link(&token) {
        Some(link) => render_page(
            StatusCode::OK,
            "Stop mail",
            &format!(
                "<p>Stop mail about {} for {}?</p>\n<form method=\"post\"><button>Stop it</button></form>",
                describe_category(link.category),
                link.request.tenant
            ),
        ),
        None => invalid_link_page(),
    }
}

async fn unsubscribe(State(state): State<UnsubscribeState>, Path(token): Path<String>) -> Response {
    let Some(link) = state.verify_link(&token) else { return invalid_link_page() };
    let UnsubscribeRequest { tenant, user, .. } = link.request;
    // The user is on record as who did it: the link was sent to nobody else.
    let sender = CommandSender { caller: Caller::new(user.clone(), tenant), authority: CallerAuthority::System };
    let command = InboxCommand::UnsubscribeMail { category: link.category, stamp: state.dispatcher.stamp(&sender) };
    let none = CommandPreconditions::default();
    match state.dispatcher.dispatch::<Inbox>(&sender, user.as_str(), &none, command).await {
        Ok(_) => render_page(
            StatusCode::OK,
            "Mail stopped",
            &format!("<p>You receive no more mail about {}.</p>", describe_category(link.category)),
        ),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "unsubscription not recorded");
            render_page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not possible now",
                "<p>This could not be recorded. Please try again in some minutes.</p>",
            )
        }
    }
}

impl UnsubscribeState {
    fn verify_link(&self, token: &str) -> Option<VerifiedLink> {
        let request = self.signer.verify(token).ok()?;
        let category = MailCategory::parse(&request.category).ok()?;
        Some(VerifiedLink { request, category })
    }
}

fn invalid_link_page() -> Response {
    render_page(
        StatusCode::NOT_FOUND,
        "Invalid link",
        "<p>This link is incomplete or was changed. Use the link in the mail, or change your preferences after you have \
         logged in.</p>",
    )
}

/// A page of fixed texts, the words for a category and the id of a tenant, none of which needs escaping.
fn render_page(status: StatusCode, title: &str, content: &str) -> Response {
    html_response(
        status,
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{content}\n</body>\n</html>\n"
        ),
    )
}
