//! Documents of a company: uploads, downloads, deletion.

use serde_json::json;
use tests::{
    EnvironmentVariables, HttpResponse, ProductInstance, SignedInUser, build_request, eventually, shared_product,
    unique_name,
};

#[tokio::test]
async fn an_uploaded_file_is_listed_and_read_only_by_its_company() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("other")).await;
    let upload = async |token: Option<&str>, name: &str, kind: &str, content: &'static [u8]| {
        let path = format!("/api/v1/documents?fileName={name}&opportunityId=036:X");
        let request = build_request(product, "POST", &path, token).header("content-type", kind);
        HttpResponse::from_request(request.header("idempotency-key", format!("{name}-1")).body(content)).await
    };
    let pdf = b"%PDF-1.7 not much of a document".as_slice();

    let uploaded = upload(Some(&admin.token), "sow.pdf", "application/pdf", pdf).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    let repeated = upload(Some(&admin.token), "sow.pdf", "application/pdf", pdf).await;
    assert_eq!((&repeated.body["id"], &repeated.body["repeated"]), (&uploaded.body["id"], &json!(true)));
    assert_eq!(upload(Some(&vic.token), "x.pdf", "application/pdf", pdf).await.status.as_u16(), 403);
    assert_eq!(upload(None, "x.pdf", "application/pdf", pdf).await.status.as_u16(), 401);
    assert_eq!(upload(Some(&admin.token), "empty.pdf", "application/pdf", b"").await.problem_code(), "INVALID_INPUT");
    assert_eq!(upload(Some(&admin.token), "..%2Fx.pdf", "application/pdf", pdf).await.body["field"], "fileName");

    let path = format!("/api/v1/documents/{}", uploaded.body["id"].as_str().unwrap());
    let token = uploaded.header("consistency-token").to_owned();
    let get = async |path: &str, user: &SignedInUser<'_>| {
        let request = build_request(product, "GET", path, Some(&user.token)).header("consistency-token", &token);
        request.send().await.unwrap()
    };
    let document: serde_json::Value = get(&path, &vic).await.json().await.unwrap();
    assert_eq!(
        (&document["fileName"], &document["bytes"], &document["status"]),
        (&json!("sow.pdf"), &json!(pdf.len()), &json!("uploaded"))
    );
    let content = get(&format!("{path}/content"), &vic).await;
    let name = "attachment; filename=\"sow.pdf\"; filename*=UTF-8''sow.pdf";
    assert_eq!(content.headers()["content-disposition"], name);
    assert_eq!(content.headers()["content-type"], "application/pdf");
    assert_eq!(content.bytes().await.unwrap(), pdf);
    for hidden in [path.clone(), format!("{path}/content")] {
        assert_eq!(get(&hidden, &eve).await.status().as_u16(), 404);
    }
    let listed = vic.send_document("{ documents { totalCount edges { node { fileName status } } } }", json!({})).await;
    assert_eq!(listed["data"]["documents"]["totalCount"], 1, "{listed}");
    let deleted = admin.apply_change("deleteDocument(id: $id)", json!({ "id": uploaded.body["id"] })).await;
    let missing = vic
        .query_since(&deleted, "query($id: UUID!) { document(id: $id) { id } }", json!({ "id": uploaded.body["id"] }))
        .await;
    assert_eq!(missing["document"], json!(null));
}

/// A form as browsers send it.
fn encode_form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (headers, content) in parts {
        form.extend(format!("--limit\r\n{headers}\r\n\r\n").into_bytes());
        form.extend_from_slice(content);
        form.extend(b"\r\n");
    }
    form.extend(b"--limit--\r\n");
    form
}

#[tokio::test]
async fn a_file_of_a_multipart_form_is_stored_and_downloaded_under_its_name() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let post = async |query: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = build_request(product, "POST", &format!("/api/v1/documents{query}"), Some(&admin.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        HttpResponse::from_request(request.body(body)).await
    };
    let form_type = ("content-type", "multipart/form-data; boundary=limit");
    let pdf = [b"%PDF-1.7\r\n--limi".as_slice(), &[0, 1, 2, 255].repeat(20_000)].concat();
    let file =
        "Content-Disposition: form-data; name=\"upload\"; filename=\"Größe.pdf\"\r\nContent-Type: application/pdf";
    let field = ("Content-Disposition: form-data; name=\"opportunityId\"", b"036:X".as_slice());

    let uploaded = post("", &[form_type], encode_form(&[field, (file, &pdf)])).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    let token = uploaded.header("consistency-token").to_owned();
    let path = format!("/api/v1/documents/{}", uploaded.body["id"].as_str().unwrap());
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = build_request(product, "GET", path, Some(&admin.token)).header("consistency-token", &token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let document: serde_json::Value = get(&path, &[]).await.json().await.unwrap();
    assert_eq!(
        (&document["fileName"], &document["mediaType"], &document["opportunityId"], &document["bytes"]),
        (&json!("Größe.pdf"), &json!("application/pdf"), &json!("036:X"), &json!(pdf.len()))
    );
    let content = format!("{path}/content");
    let whole = get(&content, &[]).await;
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    let disposition = whole.headers()["content-disposition"].to_str().unwrap();
    assert!(disposition.ends_with("filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf"), "{disposition}");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.headers()["x-content-type-options"], "nosniff");
    assert_eq!(whole.bytes().await.unwrap(), pdf);

    let part = get(&content, &[("range", "bytes=5-12"), ("if-range", &tag)]).await;
    let range = format!("bytes 5-12/{}", pdf.len());
    assert_eq!((part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()), (206, &*range));
    assert_eq!(part.bytes().await.unwrap(), pdf[5..13]);
    assert_eq!(get(&content, &[("range", "bytes=9999999-")]).await.status().as_u16(), 416);
    let unchanged = get(&content, &[("if-none-match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!((unchanged.status().as_u16(), unchanged.headers()["etag"].to_str().unwrap()), (304, &*tag));

    let two = encode_form(&[(file, &pdf), (file, &pdf)]);
    let cut_off = encode_form(&[(file, &pdf)])[..1_000].to_vec();
    for (name, headers, body, status) in [
        ("no file", vec![form_type], encode_form(&[field]), 400),
        ("two files", vec![form_type], two, 400),
        ("cut off", vec![form_type], cut_off, 400),
        ("no boundary", vec![("content-type", "multipart/form-data")], encode_form(&[(file, &pdf)]), 400),
        ("another form", vec![("content-type", "multipart/mixed; boundary=limit")], encode_form(&[(file, &pdf)]), 415),
        ("compressed", vec![("content-type", "text/plain"), ("content-encoding", "gzip")], vec![0x1f, 0x8b, 8], 415),
        ("no name", vec![("content-type", "application/pdf")], pdf.clone(), 400),
    ] {
        let refused = post("", &headers, body).await;
        assert_eq!(refused.status.as_u16(), status, "{name}: {}", refused.body);
    }
    let named = ("content-disposition", "attachment; filename*=UTF-8''%E2%82%AC.pdf");
    let html = post("", &[named, ("content-type", "application/pdf")], b"<html><script>".to_vec()).await;
    let html = build_request(
        product,
        "GET",
        &format!("/api/v1/documents/{}", html.body["id"].as_str().unwrap()),
        Some(&admin.token),
    )
    .header("consistency-token", html.header("consistency-token"));
    let html = HttpResponse::from_request(html).await.body;
    assert_eq!(
        (&html["fileName"], &html["mediaType"]),
        (&json!("€.pdf"), &json!("text/html")),
        "the media type follows the content, not the header"
    );
}

#[tokio::test]
async fn only_the_file_of_a_deleted_document_is_removed() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let folder = std::path::Path::new(product.variable("MEDHUB__OBJECTS__DIR")).join(&company);
    let files = |id: &str| std::fs::read_dir(folder.join(id)).map_or(0, Iterator::count);
    let mut ids = Vec::new();
    for name in ["one.txt", "two.txt", "three.txt"] {
        let upload = build_request(product, "POST", &format!("/api/v1/documents?fileName={name}"), Some(&admin.token));
        let uploaded =
            HttpResponse::from_request(upload.header("content-type", "text/plain").body("The same in each.")).await;
        ids.push(uploaded.body["id"].as_str().unwrap_or_else(|| panic!("{}", uploaded.body)).to_owned());
    }
    let (one, two, three) = (&ids[0], &ids[1], &ids[2]);
    let deleted =
        build_request(product, "DELETE", &format!("/api/v1/documents/{one}"), Some(&admin.token)).send().await.unwrap();
    assert_eq!(deleted.status().as_u16(), 204);
    admin.apply_change("deleteDocument(id: $id)", json!({ "id": two })).await;
    eventually(async || {
        let remaining = (files(one), files(two));
        if remaining == (0, 0) { Ok(()) } else { Err(format!("{remaining:?} files remain")) }
    })
    .await;
    assert_eq!(files(three), 1);
    let content = build_request(product, "GET", &format!("/api/v1/documents/{three}/content"), Some(&admin.token));
    let content = eventually(async || {
        let answer = content.try_clone().unwrap().send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
        anyhow::Ok(answer.text().await?)
    })
    .await;
    assert_eq!(content, "The same in each.");
}

#[tokio::test]
async fn files_without_a_document_are_removed() {
    let settings =
        ["SWEEP_EVERY_S", "ORPHANED_AFTER_S"].map(|name| (format!("MEDHUB__OBJECTS__{name}"), "1".to_owned()));
    let product = ProductInstance::start_with(EnvironmentVariables::from(settings)).await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let upload = build_request(&product, "POST", "/api/v1/documents?fileName=kept.txt", Some(&admin.token));
    let uploaded = HttpResponse::from_request(upload.header("content-type", "text/plain").body("Kept.")).await;
    let document = uploaded.body["id"].as_str().unwrap_or_else(|| panic!("{}", uploaded.body));

    let folder = std::path::Path::new(product.variable("MEDHUB__OBJECTS__DIR")).join("acme");
    let (hash, number) = ("ab".repeat(32), "0190f7b1-0000-7000-8000-000000000001");
    // A file of a refused or unrecorded upload, one that a crash cut off, and one from before documents had folders.
    let orphans =
        [folder.join(number).join(&hash), folder.join(format!(".{}", number.replace('-', ""))), folder.join(&hash)];
    std::fs::create_dir(folder.join(number)).unwrap();
    for orphan in &orphans {
        std::fs::write(orphan, "x").unwrap();
    }
    eventually(async || {
        // A folder is removed with its last file.
        let remaining: Vec<_> =
            orphans.iter().chain([&folder.join(number)]).filter(|orphan| orphan.exists()).cloned().collect();
        if remaining.is_empty() { Ok(()) } else { Err(format!("{remaining:?} remain")) }
    })
    .await;
    assert_eq!(std::fs::read_dir(folder.join(document)).map_or(0, Iterator::count), 1);
}
