//! The description of the HTTP API, judged by the rules of OpenAPI as others read them.

use serde_json::{Value, json};
use tgtrunk_test_telegram::venv;
use tokio::process::Command;

use crate::support::{Scene, line};

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/openapi.py");

#[tokio::test]
async fn what_is_described_is_there_and_asks_for_a_token() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let (url, token) = scene.action_token("--all", "judge").await;
    let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
    let told = Command::new(python).arg(JUDGE).args([&url, &token]).output().await.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["wrong"], json!([]), "{told}");
    assert_eq!(told["operations"], 28, "{told}");
    for language in ["en", "ru"] {
        assert_eq!(told["pages"][language], json!([200, true, [], true]), "{told}");
    }
}
