//! The Get Opportunities API, version 2, and the texts of notices.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::{Value, json};

use super::{API_KEY, ApiFault, ReceivedRequest, SharedState, partial_body};

type QueryParameters = Query<BTreeMap<String, String>>;

/// Serves a page of notices.
pub(super) async fn search(
    State(state): State<SharedState>,
    Query(query): QueryParameters,
    headers: HeaderMap,
) -> Response<Body> {
    ReceivedRequest::record(&state, "/opportunities/v2/search", query.clone(), &headers);
    if let Some(refusal) = refuse_wrong_key(&query) {
        return refusal;
    }
    let number = |name: &str| query.get(name).and_then(|value| value.parse::<usize>().ok()).unwrap_or_default();
    let (limit, offset) = (number("limit"), number("offset"));
    let fault = state.lock().unwrap().api_faults.pop_front();
    let page = |offset: usize, total: Option<u64>| {
        let notices = Arc::clone(&state);
        let notices = &notices.lock().unwrap().notices;
        let page: Vec<_> = notices.iter().skip(offset).take(limit).cloned().collect();
        let total = total.unwrap_or(notices.len() as u64);
        json!({ "totalRecords": total, "limit": limit, "offset": offset, "opportunitiesData": page, "links": [] })
    };
    match fault {
        None => json_answer(&page(offset, None)),
        Some(ApiFault::Answer(status, headers, body)) => answer(status, &headers, Body::from(body)),
        Some(ApiFault::CutOff) => {
            let text = page(offset, None).to_string();
            answer(200, &[], partial_body(text.as_bytes()[..text.len() / 2].to_vec(), false))
        }
        Some(ApiFault::Stall) => {
            let text = page(offset, None).to_string();
            answer(200, &[], partial_body(text.as_bytes()[..text.len() / 2].to_vec(), true))
        }
        Some(ApiFault::Total(total)) => json_answer(&page(offset, Some(total))),
        Some(ApiFault::OffsetInstead(other)) => json_answer(&page(other, None)),
        Some(ApiFault::Change(change)) => {
            change(&mut state.lock().unwrap().notices);
            json_answer(&page(offset, None))
        }
    }
}

/// Serves the text of a notice.
pub(super) async fn describe(
    State(state): State<SharedState>,
    Query(query): QueryParameters,
    headers: HeaderMap,
) -> Response<Body> {
    ReceivedRequest::record(&state, "/opportunities/v1/noticedesc", query.clone(), &headers);
    if let Some(refusal) = refuse_wrong_key(&query) {
        return refusal;
    }
    let id = query.get("noticeid").cloned().unwrap_or_default();
    let fault = state.lock().unwrap().description_faults.remove(&id);
    match fault {
        None => {}
        Some(ApiFault::Answer(status, headers, body)) => return answer(status, &headers, Body::from(body)),
        Some(ApiFault::Stall) => return answer(200, &[], partial_body(b"{".to_vec(), true)),
        Some(_) => panic!("not a fault of a text"),
    }
    let text = state.lock().unwrap().descriptions.get(&id).cloned();
    match text {
        Some(text) => json_answer(&json!({ "description": text })),
        None => answer(404, &[], Body::from("{\"errorCode\":404,\"errorMessage\":\"Description Not Found\"}")),
    }
}

fn refuse_wrong_key(query: &BTreeMap<String, String>) -> Option<Response<Body>> {
    let key = query.get("api_key").cloned().unwrap_or_default();
    // The gateway quotes the key.
    let body = json!({ "error": { "code": "API_KEY_INVALID", "message": format!("invalid api_key {key}") } });
    (key != API_KEY).then(|| answer(403, &[], Body::from(body.to_string())))
}

fn json_answer(body: &Value) -> Response<Body> {
    answer(200, &[("content-type", "application/json".to_owned())], Body::from(body.to_string()))
}

pub(super) fn answer(status: u16, headers: &[(&str, String)], body: Body) -> Response<Body> {
    let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        answer = answer.header(*name, value);
    }
    answer.body(body).unwrap()
}
