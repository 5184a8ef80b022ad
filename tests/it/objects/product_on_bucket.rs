//! The product with its files in a bucket.

use std::{fs, path::PathBuf};

use serde_json::Value;
use tests::{EnvironmentVariables, HttpResponse, ProductInstance, SignedInUser, build_request, eventually, s3_server};

async fn fetch_readiness(product: &ProductInstance) -> Value {
    reqwest::get(format!("{}/ready", product.http())).await.unwrap().json().await.unwrap()
}

fn key_count(folder: PathBuf) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn documents_are_stored_in_the_bucket_and_its_loss_is_reported() {
    let server = s3_server().await;
    let bucket = server.create_bucket();
    let folder = server.bucket_folder(&bucket);
    let mut settings = EnvironmentVariables::from(server.variables(&bucket));
    settings.insert("MEDHUB__OBJECTS__S3__MAX_RETRIES".to_owned(), "1".to_owned());
    let product = ProductInstance::start_with(settings).await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let upload = async |content: &'static str| {
        let request = build_request(&product, "POST", "/api/v1/documents?fileName=a.txt", Some(&admin.token));
        HttpResponse::from_request(request.header("content-type", "text/plain").body(content)).await
    };
    let uploaded = upload("Twelve bytes").await;
    let id = uploaded.body["id"].as_str().unwrap_or_else(|| panic!("{}", uploaded.body)).to_owned();
    assert_eq!(key_count(folder.join("acme").join(&id)), 1);

    let content = build_request(&product, "GET", &format!("/api/v1/documents/{id}/content"), Some(&admin.token));
    let content = content.header("consistency-token", uploaded.header("consistency-token"));
    let part = content.try_clone().unwrap().header("range", "bytes=7-").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.text().await.unwrap(), "bytes");
    assert_eq!(content.send().await.unwrap().text().await.unwrap(), "Twelve bytes");

    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    let readiness = fetch_readiness(&product).await;
    assert_eq!((&readiness["ready"], &readiness["engines"]["Objects"]), (&false.into(), &false.into()));
    let refused = upload("Refused").await;
    assert_eq!((refused.status.as_u16(), refused.problem_code()), (503, "UNAVAILABLE"), "{}", refused.body);
    let doctor = product.run_medhub(&["doctor"]).await;
    let report = String::from_utf8(doctor.stdout).unwrap();
    assert!(!doctor.status.success() && report.contains("does not exist") && report.contains(&bucket), "{report}");
    fs::rename(&away, &folder).unwrap();
    assert_eq!(fetch_readiness(&product).await["engines"]["Objects"], true);

    let deleted = build_request(&product, "DELETE", &format!("/api/v1/documents/{id}"), Some(&admin.token));
    assert_eq!(deleted.send().await.unwrap().status(), 204);
    eventually(async || match key_count(folder.join("acme").join(&id)) {
        0 => Ok(()),
        count => Err(format!("{count} files remain")),
    })
    .await;
}
