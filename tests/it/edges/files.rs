//! Files that a company uploads.

use serde_json::json;
use tests::{HttpAnswer, Person, request, shared_product, unique_name};

#[tokio::test]
async fn a_file_is_uploaded_listed_and_read_again_by_its_company_only() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = Person::found(product, "ada", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let eve = Person::found(product, "eve", &unique_name("other")).await;
    let upload = async |token: Option<&str>, name: &str, kind: &str, content: &'static [u8]| {
        let path = format!("/api/v1/documents?fileName={name}&opportunityId=036:X");
        let request = request(product, "POST", &path, token).header("content-type", kind);
        HttpAnswer::to(request.header("idempotency-key", format!("{name}-1")).body(content)).await
    };
    let pdf = b"%PDF-1.7 not much of a document".as_slice();

    let made = upload(Some(&admin.token), "sow.pdf", "application/pdf", pdf).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.body);
    let again = upload(Some(&admin.token), "sow.pdf", "application/pdf", pdf).await;
    assert_eq!((&again.body["id"], &again.body["repeated"]), (&made.body["id"], &json!(true)));
    assert_eq!(upload(Some(&vic.token), "x.pdf", "application/pdf", pdf).await.status.as_u16(), 403);
    assert_eq!(upload(None, "x.pdf", "application/pdf", pdf).await.status.as_u16(), 401);
    assert_eq!(upload(Some(&admin.token), "empty.pdf", "application/pdf", b"").await.code(), "INVALID_INPUT");
    assert_eq!(upload(Some(&admin.token), "..%2Fx.pdf", "application/pdf", pdf).await.body["field"], "fileName");

    let path = format!("/api/v1/documents/{}", made.body["id"].as_str().unwrap());
    let token = made.header("consistency-token").to_owned();
    let get = async |path: &str, who: &Person<'_>| {
        let request = request(product, "GET", path, Some(&who.token)).header("consistency-token", &token);
        request.send().await.unwrap()
    };
    let shown: serde_json::Value = get(&path, &vic).await.json().await.unwrap();
    assert_eq!(
        (&shown["fileName"], &shown["bytes"], &shown["status"]),
        (&json!("sow.pdf"), &json!(pdf.len()), &json!("uploaded"))
    );
    let content = get(&format!("{path}/content"), &vic).await;
    assert_eq!(content.headers()["content-disposition"], "attachment");
    assert_eq!(content.bytes().await.unwrap(), pdf);
    for hidden in [path.clone(), format!("{path}/content")] {
        assert_eq!(get(&hidden, &eve).await.status().as_u16(), 404);
    }
    let seen = vic.ask("{ documents { totalCount edges { node { fileName status } } } }", json!({})).await;
    assert_eq!(seen["data"]["documents"]["totalCount"], 1, "{seen}");
    let deleted = admin.change("deleteDocument(id: $id)", json!({ "id": made.body["id"] })).await;
    let gone = vic
        .ask_since(&deleted, "query($id: UUID!) { document(id: $id) { id } }", json!({ "id": made.body["id"] }))
        .await;
    assert_eq!(gone["document"], json!(null));
}
