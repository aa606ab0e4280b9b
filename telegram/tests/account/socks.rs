//! Telegram reached through a SOCKS5 proxy, and proxies that are in the way.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tgtrunk_config::Proxy;
use tgtrunk_telegram::{Language, Options, Orange, Policy, Sentence, Status};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::connection::get_me;
use crate::support::{Open, Scene, eventually, state};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/account/socks5.py");

/// A proxy that runs until it is dropped.
struct Socks {
    port: u16,
    tunnels: Arc<Mutex<Vec<String>>>,
    process: Child,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_logs_in_talks_and_comes_back_through_the_proxy_alone() {
    let scene = Scene::new().await;
    let socks = Socks::start(0, &["anna", "s3cret"]).await;
    let mut open = scene.logged_in(behind(&scene, socks.port, "anna:s3cret@").await).await;
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
    scene.boris_device().dial(scene.anna, false).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "requested");
    let home = scene.telegram.address(2).unwrap().to_string();
    assert!(socks.tunnels().contains(&format!("tunnel {home}")), "{:?}", socks.tunnels());

    let port = socks.port;
    socks.stop().await;
    open.until("proxy", |status| matches!(status, Status::Orange { reason: Orange::Proxy { .. } })).await;
    // Telegram may see the end of the tunnel after us; a way around it would stay.
    eventually("no way around the proxy", || scene.connections_of(scene.anna) == 0).await;
    let again = Socks::start(port, &["anna", "s3cret"]).await;
    open.until_green().await;
    eventually("a tunnel anew", || !again.tunnels().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_know_us_is_named_with_its_reason_and_without_the_password() {
    let scene = Scene::new().await;
    let socks = Socks::start(0, &["anna", "s3cret"]).await;
    let told = orange(&scene, behind(&scene, socks.port, "anna:wr0ng@").await).await;
    let port = socks.port;
    assert_eq!(
        told,
        format!(
            "The proxy socks5://127.0.0.1:{port} does not let us through to Telegram (Password auth failure, code: 1), trying again."
        )
    );
    assert!(socks.tunnels().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_telegram_or_is_not_there_is_named_with_its_reason() {
    let scene = Scene::new().await;
    let socks = Socks::start(0, &["refuse"]).await;
    let told = orange(&scene, behind(&scene, socks.port, "").await).await;
    assert!(told.contains("(Connection not allowed by ruleset)"), "{told}");
    let port = socks.port;
    socks.stop().await;
    let options = behind(&scene, port, "").await;
    let open = Open::with(options).await;
    open.until("proxy", |status| matches!(status, Status::Orange { reason: Orange::Proxy { .. } })).await;
    assert_eq!(
        sentence(&open.lamp()),
        format!(
            "The proxy socks5://127.0.0.1:{port} does not let us through to Telegram (Proxy server unreachable), trying again."
        )
    );
}

/// What is said of Anna's account, which was logged in before, when it is opened so.
async fn orange(scene: &Scene, options: Options) -> String {
    let direct = Options { proxy: None, ..options.clone() };
    let open = scene.logged_in(direct).await;
    open.account.shutdown().await;
    drop(open);
    let open = Open::with(options).await;
    open.until("proxy", |status| matches!(status, Status::Orange { reason: Orange::Proxy { .. } })).await;
    let told = sentence(&open.lamp());
    open.close().await;
    told
}

fn sentence(status: &Status) -> String {
    match status {
        Status::Orange { reason } => Sentence::from(reason).in_language(Language::default()).to_owned(),
        Status::Red { .. } | Status::Green { .. } => String::new(),
    }
}

async fn behind(scene: &Scene, port: u16, account: &str) -> Options {
    let proxy = Proxy::parse(&format!("socks5://{account}127.0.0.1:{port}")).unwrap();
    Options { proxy, ..scene.options("anna").await }
}

impl Socks {
    async fn start(port: u16, arguments: &[&str]) -> Self {
        let mut process = Command::new("python3")
            .arg(SCRIPT)
            .arg(port.to_string())
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 is installed");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("the proxy says its port").parse().unwrap();
        let tunnels = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&tunnels);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(line);
            }
        });
        Self { port, tunnels, process }
    }

    fn tunnels(&self) -> Vec<String> {
        self.tunnels.lock().unwrap().clone()
    }

    async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }
}
