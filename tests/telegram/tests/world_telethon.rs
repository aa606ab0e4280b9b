//! Telethon, an independent client, against the world of the test Telegram.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tgtrunk_test_telegram::control::{self, Desk};
use tgtrunk_test_telegram::{Options, TestTelegram, venv};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::oneshot;

/// Longest a script may take.
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn telethon_logs_in_finds_people_and_is_refused_where_telegram_refuses() {
    let done = Stage::start().await.play("world_login.py").await;
    assert_eq!(done, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_says_who_may_call_and_which_sessions_end() {
    let done = Stage::start().await.play("world_account.py").await;
    assert_eq!(done, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_calls_and_is_called_with_every_ending() {
    let done = Stage::start().await.play("world_calls.py").await;
    assert_eq!(done, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_lives_through_faults_and_speaks_with_puppets() {
    let done = Stage::start().await.play("world_faults.py").await;
    assert_eq!(done, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_writes_changes_deletes_and_reads_messages() {
    let done = Stage::start().await.play("world_messages.py").await;
    assert_eq!(done, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_sends_finds_and_fetches_files_of_every_kind() {
    let done = Stage::start().await.play("world_files.py").await;
    assert_eq!(done, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_schedules_reacts_votes_searches_and_archives() {
    let done = Stage::start().await.play("world_chats.py").await;
    assert_eq!(done, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_leads_basic_groups() {
    let done = Stage::start().await.play("world_groups.py").await;
    assert_eq!(done, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_keeps_its_contacts_and_its_profile() {
    let done = Stage::start().await.play("world_contacts.py").await;
    assert_eq!(done, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_leads_supergroups_and_channels() {
    let done = Stage::start().await.play("world_channels.py").await;
    assert_eq!(done, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_logs_in_by_a_token_that_another_device_accepts() {
    let done = Stage::start().await.play("world_qr.py").await;
    assert_eq!(done, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_python_leads_bots_that_telethon_users_ask_and_press() {
    let done = Stage::start().await.play("world_bots.py").await;
    assert_eq!(done, 12);
}

/// A test Telegram with its control API.
struct Stage {
    dir: TempDir,
    address: String,
    control: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    async fn start() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("telegram.pem"), telegram.public_key_pem()).unwrap();
        let address = telegram.address(2).unwrap().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(control::serve(Desk::new(telegram), listener, async {
            let _ = stopped.await;
        }));
        Self { dir, address, control, stop, served }
    }

    /// Runs a script and returns how many of its tests passed.
    async fn play(self, script: &str) -> usize {
        let python: PathBuf = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let run = Command::new(python)
            .arg(scripts.join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TELEGRAM_ADDRESS", &self.address)
            .env("TELEGRAM_KEY", self.dir.path().join("telegram.pem"))
            .env("CONTROL", &self.control)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, run).await.expect("the script ends in time").unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{out}\n{err}");
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
        out.lines().filter(|line| line.starts_with("ok ")).count()
    }
}
