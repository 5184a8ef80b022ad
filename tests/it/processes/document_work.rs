//! Documents are analysed by the product itself, by a process of the role `work`.

use serde_json::{Value, json};
use tests::{
    HttpResponse, ProductInstance, ProductProcess, SignedInUser, build_request, document_work_settings, eventually,
};

use super::{long_text::the_last_page_of_a_long_text_is_found, pdf_file::write_pdf};

const DOCUMENT: &str = "query($id: UUID!) { document(id: $id) { version status pages failure
    requirements { kind text page number due } analysis { summary risks model fitScore fitReasons } } }";

/// A request for quotations of two pages.
fn solicitation() -> Vec<u8> {
    write_pdf(&[
        &[
            "1.1 Purpose",
            "The purpose of this request is to buy maintenance of medical pumps",
            "for twelve hospitals of the agency.",
        ],
        &[
            "2.1 Instructions",
            "Quotes are due by May 5, 2031 at noon Eastern Time.",
            "The contractor shall submit a monthly status report.",
            "Liquidated damages apply.",
            "The NAICS code is 811210.",
        ],
    ])
}

/// A request in Spanish.
fn spanish_solicitation() -> Vec<u8> {
    write_pdf(&[&[
        "El contratista debe entregar todos los guantes en el almacen del hospital",
        "dentro de los treinta dias siguientes a la firma del contrato, y debe enviar",
        "cada mes un informe sobre las entregas al responsable de la compra.",
        "Las ofertas se reciben hasta el cinco de mayo en la oficina del hospital.",
    ]])
}

async fn upload(user: &SignedInUser<'_>, name: &str, content: Vec<u8>) -> String {
    let path = format!("/api/v1/documents?fileName={name}");
    let request =
        build_request(user.product, "POST", &path, Some(&user.token)).header("content-type", "application/pdf");
    let uploaded = HttpResponse::from_request(request.body(content)).await;
    assert_eq!(uploaded.status.as_u16(), 201, "{}", uploaded.body);
    uploaded.body["id"].as_str().unwrap().to_owned()
}

async fn wait_for_status(user: &SignedInUser<'_>, id: &str, status: &str) -> Value {
    eventually(async || {
        let answer = user.send_document(DOCUMENT, json!({ "id": id })).await;
        let document = answer["data"]["document"].clone();
        if document["status"] == status { Ok(document) } else { Err(answer.to_string()) }
    })
    .await
}

async fn wait_for_titles(user: &SignedInUser<'_>, expected: &[&str]) {
    eventually(async || {
        let answer = user.send_document("{ notifications { edges { node { title } } } }", json!({})).await;
        let edges = answer["data"]["notifications"]["edges"].as_array().cloned().unwrap_or_default();
        let mut titles: Vec<_> = edges.iter().map(|edge| edge["node"]["title"].as_str().unwrap_or_default()).collect();
        titles.sort_unstable();
        if titles == expected { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn uploads_are_analysed_by_a_worker_although_it_is_killed_and_a_hostile_file_costs_its_own_task_only() {
    let product = ProductInstance::start().await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;
    let mut variables = product.variables().clone();
    variables.extend(document_work_settings(1));
    for (name, value) in [("MEDHUB__WORK__LEASE_MS", "1000"), ("MEDHUB__WORK__POLL_INTERVAL_MS", "100")] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    let profile = "changeCompanyProfile(profile: { name: \"Acme\", naics: [\"811210\"] })";
    ada.apply_change(profile, json!({})).await;
    let first = upload(&ada, "first.pdf", solicitation()).await;
    let spanish = upload(&ada, "spanish.pdf", spanish_solicitation()).await;
    let hostile = upload(&ada, "hostile.pdf", b"%PDF-1.7 not much of a document".to_vec()).await;
    let last = upload(&ada, "last.pdf", solicitation()).await;

    let args = ["serve", "--role", "work"];
    let mut worker = ProductProcess::start(&variables, product.folder(), "worker", &args).unwrap();
    // Killed while it works: at least one task is started.
    eventually(async || {
        let answer = ada.send_document("{ tasks(first: 50) { edges { node { status } } } }", json!({})).await;
        let edges = answer["data"]["tasks"]["edges"].as_array().cloned().unwrap_or_default();
        let is_open = |edge: &Value| edge["node"]["status"] == "REQUESTED";
        if edges.len() >= 3 && !edges.iter().all(is_open) { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    worker.kill9().unwrap();
    worker.launch().unwrap();

    for id in [&first, &last] {
        let document = wait_for_status(&ada, id, "ANALYSED").await;
        // Uploaded, and each stage recorded once.
        assert_eq!((&document["version"], &document["pages"]), (&json!(4), &json!(2)), "{document}");
        let expected = json!([
            { "kind": "DEADLINE", "text": "Quotes are due by May 5, 2031 at noon Eastern Time.", "page": 2,
              "number": "2.1", "due": "2031-05-05T16:00:00+00:00" },
            { "kind": "DELIVERABLE", "text": "The contractor shall submit a monthly status report.", "page": 2,
              "number": "2.1", "due": null },
            { "kind": "ELIGIBILITY", "text": "The NAICS code is 811210.", "page": 2, "number": "2.1", "due": null },
        ]);
        assert_eq!(document["requirements"], expected, "{document}");
        let analysis = &document["analysis"];
        assert_eq!(analysis["model"], "extractive-1");
        assert_eq!(analysis["fitScore"], 100, "{analysis}");
        let reason = "NAICS code 811210 of the document is one of the company's: 35 of 35 points";
        assert_eq!(analysis["fitReasons"], json!([reason]));
        let summary = analysis["summary"].as_str().unwrap();
        assert!(summary.contains("maintenance of medical pumps") && summary.contains("(page 1)"), "{summary}");
        assert!(analysis["risks"].to_string().contains("Liquidated damages apply."), "{analysis}");
    }
    let document = wait_for_status(&ada, &spanish, "ANALYSED").await;
    assert_eq!(document["requirements"], json!([]));
    let risk = document["analysis"]["risks"][0].as_str().unwrap();
    assert!(risk.starts_with("The text is not in English but in Spanish: "), "{document}");
    let tasks = ada.send_document("{ tasks(first: 50) { edges { node { kind result } } } }", json!({})).await;
    let stage =
        "0 requirements. The text is not in English but in Spanish: requirements are recognised in English only";
    assert!(tasks.to_string().contains(stage), "{tasks}");
    let failed = wait_for_status(&ada, &hostile, "FAILED").await;
    assert!(failed["failure"].as_str().unwrap().contains("damaged"), "{failed}");
    let analysed = ["first.pdf", "last.pdf", "spanish.pdf"].map(|name| format!("Document analysed: {name}"));
    let mut titles: Vec<_> = analysed.iter().map(String::as_str).collect();
    titles.push("Document not analysed: hostile.pdf");
    wait_for_titles(&ada, &titles).await;
    worker.stop().await.unwrap();

    // On a busy machine a long text takes longer than the short lease.
    variables.remove("MEDHUB__WORK__LEASE_MS");
    let mut worker = ProductProcess::start(&variables, product.folder(), "second-worker", &args).unwrap();
    the_last_page_of_a_long_text_is_found(&ada).await;
    worker.stop().await.unwrap();
}
