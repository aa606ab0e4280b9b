//! ntgcalls, an independent media engine, with Telethon at both ends: whole calls over the binary, sound inside.
//!
//! ntgcalls wants an interface that is not loopback, so all of it runs in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tgtrunk_test_telegram::venv;
use tokio::process::Command;

/// Of the namespace.
const ADDRESS: &str = "10.97.9.1";
/// Longest the calls may take.
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn ntgcalls_hears_itself_through_calls_set_up_here() {
    let calls = ["13.0.0", "9.0.0"];
    run(&calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ntgcalls_hears_itself_through_the_reflectors_that_calls_are_told_of() {
    let calls = ["reflector:udp:13.0.0", "reflector:tcp:13.0.0", "reflector:both:9.0.0"];
    run(&calls).await;
}

/// Makes these calls in a namespace of their own.
async fn run(calls: &[&str]) {
    let namespace = Namespace::new();
    let dir = tempfile::tempdir().unwrap();
    let mut telegram = namespace
        .command(env!("CARGO_BIN_EXE_tgtrunk-test-telegram"))
        .arg("--dir")
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let place = place(dir.path()).await;
    let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
    let run = namespace
        .command(python.to_str().unwrap())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/world_media.py"))
        .args(calls)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TELEGRAM_ADDRESS", place["dcs"]["2"].as_str().unwrap())
        .env("TELEGRAM_KEY", place["public_key"].as_str().unwrap())
        .env("RELAY_ADDRESS", ADDRESS)
        .env("CONTROL", place["control"].as_str().unwrap())
        .output();
    let output = tokio::time::timeout(LIMIT, run).await.expect("the calls end in time").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}\n{err}", output.status);
    assert_eq!(out.lines().filter(|line| line.starts_with("ok ")).count(), calls.len(), "{out}\n{err}");
    telegram.kill().await.unwrap();
}

/// Where the binary says that everything is.
async fn place(dir: &Path) -> Value {
    for _ in 0..100 {
        let text = std::fs::read_to_string(dir.join("test-telegram.json")).unwrap_or_default();
        if let Ok(place) = serde_json::from_str(&text) {
            return place;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the test Telegram did not start within 5 s");
}

/// A network namespace with a pair of interfaces, gone with this value.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("tgtrunk{}n{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        assert!(ip(&["netns", "add", &name]), "this test must be root to make a network namespace");
        let made = Self { name };
        let n = &made.name;
        let there = ip(&["-n", n, "link", "add", "v0", "type", "veth", "peer", "name", "v1"])
            && ip(&["-n", n, "address", "add", &format!("{ADDRESS}/24"), "dev", "v0"])
            && ["lo", "v0", "v1"].iter().all(|link| ip(&["-n", n, "link", "set", link, "up"]));
        assert!(there, "interfaces of the namespace {n}");
        made
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).kill_on_drop(true);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    std::process::Command::new("ip").args(arguments).status().is_ok_and(|status| status.success())
}
