//! The landing page: links to the endpoints, and the counts of all stores.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{HttpState, html_response};
use crate::readiness::StoreCounts;

/// Time limit of the counts.
const COUNTS_TIMEOUT: Duration = Duration::from_secs(3);

const COUNTS_UNAVAILABLE: &str = "<p>A store is unavailable; <a href=\"/ready\">/ready</a> says which.</p>";

pub(super) async fn serve_landing_page(State(state): State<HttpState>) -> Response {
    let counts = match tokio::time::timeout(COUNTS_TIMEOUT, state.readiness.recent_counts()).await {
        Ok(Ok(counts)) => render_counts(&counts),
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "counting opportunities for the landing page failed"
            );
            COUNTS_UNAVAILABLE.to_owned()
        }
        Err(_elapsed) => COUNTS_UNAVAILABLE.to_owned(),
    };
    html_response(StatusCode::OK, include_str!("landing/page.html").replace("<!-- counts -->", &counts))
}

fn render_counts(counts: &StoreCounts) -> String {
    let rows = counts.rows();
    let rows = rows.map(|(store, what, count)| format!("<tr><td>{store}</td><td>{what}</td><td>{count}</td></tr>"));
    let verdict = if counts.agree { "All stores agree." } else { "Events are still being processed." };
    format!("<table>\n{}\n</table>\n<p>{verdict}</p>", rows.join("\n"))
}
