//! Telethon, an independent client, makes keys and calls methods on every framing it knows.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use grammers_tl_types::{Identifiable, functions};
use serde_json::{Value, json};
use tgtrunk_test_telegram::{venv, wire};
use tokio::process::Command;

use crate::tiny::Tiny;

mod tiny;

const FRAMINGS: [&str; 7] = [
    "full",
    "abridged",
    "intermediate",
    "padded",
    "obfuscated-abridged",
    "obfuscated-intermediate",
    "obfuscated-padded",
];

#[tokio::test(flavor = "multi_thread")]
async fn telethon_makes_a_key_and_calls_methods_on_every_framing() {
    let tiny = Tiny::start(wire::Config { dcs: vec![2, 4], ..wire::Config::default() }).await;
    let lines = telethon(&tiny, 4, &FRAMINGS).await;

    let mut keys = BTreeSet::new();
    for (line, framing) in lines.iter().zip(FRAMINGS) {
        keys.insert(line["key_id"].as_u64().unwrap());
        let expected = json!({
            "framing": framing,
            "key_id": line["key_id"],
            "this_dc": 4,
            "options": 40,
            "country": "XX",
            "parallel": 20,
            "error": "FloodWaitError",
            "push": "hello",
        });
        assert_eq!(*line, expected);
    }
    assert_eq!(keys.len(), FRAMINGS.len(), "each connection made its own key");
    for key in &keys {
        assert!(tiny.keys.known(*key as i64));
    }
    assert_eq!(tiny.world.count(functions::help::GetNearestDc::CONSTRUCTOR_ID), 21 * FRAMINGS.len());
    let calls = tiny.world.calls.lock().unwrap();
    assert!(calls.iter().all(|(caller, _)| {
        let told = (caller.dc, caller.layer, caller.api_id, caller.device.as_str());
        told == (4, 229, 12345, "handshake")
    }));
}

async fn telethon(tiny: &Tiny, dc: i32, framings: &[&str]) -> Vec<Value> {
    let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("public.pem");
    std::fs::write(&pem, wire::rsa_public_pem()).unwrap();
    let mut command = Command::new(python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/handshake.py"))
        .arg(&pem)
        .args([dc.to_string(), tiny.address(dc).port().to_string()])
        .args(framings)
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
