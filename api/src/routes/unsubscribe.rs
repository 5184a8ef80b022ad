//! Links in mails that stop mail of one category, without a login: the token in the link names the user, the category
//! and the address.
//!
//! `GET` shows a page that asks and changes nothing, because programs follow links in mails. `POST` does it, from that
//! page or by one click in a mail program (RFC 8058). Repeated, it changes nothing. The address then receives no mail
//! of the category, even if a user names it in their preferences, until the page is used to allow it again.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
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
use mail::{MailQueue, UNSUBSCRIBE_PATH, UnsubscribeRequest, UnsubscribeTokenSigner, describe_category};

use super::html_response;

/// The form that allows mail again.
const RESUME_FORM: &str = "<form method=\"post\"><button name=\"resume\" value=\"yes\">Allow it again</button></form>";

/// What that form sends.
const RESUME_BODY: &[u8] = b"resume=yes";

/// State of the routes.
#[derive(Clone)]
pub(super) struct UnsubscribeState {
    signer: Arc<UnsubscribeTokenSigner>,
    queue: MailQueue,
    dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
}

/// What a link allows.
struct VerifiedLink {
    request: UnsubscribeRequest,
    category: MailCategory,
}

/// Why a change could not be recorded.
type SubscriptionError = Box<dyn std::error::Error + Send + Sync>;

/// The routes of links to unsubscribe.
pub(super) fn unsubscribe_routes<S>(
    signer: UnsubscribeTokenSigner,
    queue: MailQueue,
    dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
) -> Router<S> {
    let state = UnsubscribeState { signer: Arc::new(signer), queue, dispatcher };
    Router::new()
        .route(&format!("{UNSUBSCRIBE_PATH}{{token}}"), get(ask_to_unsubscribe).post(change_subscription))
        .with_state(state)
}

async fn ask_to_unsubscribe(State(state): State<UnsubscribeState>, Path(token): Path<String>) -> Response {
    match state.verify_link(&token) {
        Some(link) => render_page(
            StatusCode::OK,
            "Stop mail",
            &format!(
                "<p>Stop mail about {} for {}?</p>\n<form method=\"post\"><button>Stop it</button></form>\n\
                 <p>If you have stopped it before:</p>\n{RESUME_FORM}",
                describe_category(link.category),
                link.request.tenant
            ),
        ),
        None => invalid_link_page(),
    }
}

async fn change_subscription(
    State(state): State<UnsubscribeState>,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    let Some(link) = state.verify_link(&token) else { return invalid_link_page() };
    let category = describe_category(link.category);
    let (outcome, title, content) = if *body == *RESUME_BODY {
        let content = format!(
            "<p>Your address may receive mail about {category} again. Choose in your preferences which you want.</p>"
        );
        (state.allow_again(&link).await, "Mail allowed", content)
    } else {
        let content = format!("<p>You receive no more mail about {category}.</p>\n{RESUME_FORM}");
        (state.unsubscribe(&link).await, "Mail stopped", content)
    };
    match outcome {
        Ok(()) => render_page(StatusCode::OK, title, &content),
        Err(error) => {
            tracing::warn!(error = &*error as &dyn std::error::Error, "unsubscription not recorded");
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

    /// Stops mail of the category to the address, and to the user.
    async fn unsubscribe(&self, link: &VerifiedLink) -> Result<(), SubscriptionError> {
        let UnsubscribeRequest { tenant, user, address, .. } = &link.request;
        self.queue.add_opt_out(address, link.category).await?;
        // The user is recorded as the author: the link was sent only to them.
        let caller = Caller::new(user.clone(), tenant.clone());
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let command = InboxCommand::UnsubscribeMail { category: link.category, stamp: self.dispatcher.stamp(&sender) };
        let none = CommandPreconditions::default();
        self.dispatcher.dispatch::<Inbox>(&sender, user.as_str(), &none, command).await?;
        Ok(())
    }

    /// Allows mail of the category to the address again; the user still has to choose it.
    async fn allow_again(&self, link: &VerifiedLink) -> Result<(), SubscriptionError> {
        Ok(self.queue.remove_opt_out(&link.request.address, link.category).await?)
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

/// A page of fixed texts, the words for a category and a tenant's id: nothing in it needs escaping.
fn render_page(status: StatusCode, title: &str, content: &str) -> Response {
    html_response(
        status,
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{content}\n</body>\n</html>\n"
        ),
    )
}
