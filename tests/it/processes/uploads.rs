//! Uploads documents and waits for their analysis.

use serde_json::json;
use tests::{HttpResponse, SignedInUser, build_request, eventually};

/// Uploads a file; returns the id of its document.
pub(crate) async fn upload_file(user: &SignedInUser<'_>, name: &str, content: Vec<u8>) -> String {
    let path = format!("/api/v1/documents?fileName={name}");
    let request = build_request(user.product, "POST", &path, Some(&user.token))
        .header("content-type", "application/octet-stream");
    let uploaded = HttpResponse::from_request(request.body(content)).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    uploaded.body["id"].as_str().unwrap().to_owned()
}

/// Waits until a document is analysed or failed; returns its status and why it failed.
pub(crate) async fn wait_for_end(user: &SignedInUser<'_>, id: &str) -> (String, String) {
    eventually(async || {
        let query = "query($id: UUID!) { document(id: $id) { status failure } }";
        let answer = user.send_document(query, json!({ "id": id })).await;
        let text = |name: &str| answer["data"]["document"][name].as_str().unwrap_or_default().to_owned();
        let (status, failure) = (text("status"), text("failure"));
        if matches!(status.as_str(), "ANALYSED" | "FAILED") { Ok((status, failure)) } else { Err(answer.to_string()) }
    })
    .await
}
