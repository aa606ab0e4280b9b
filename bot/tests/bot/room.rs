//! A state directory with a bot and lines, a Telegram, a gateway, and the program between them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{BotStatus, Phone};
use tgtrunk_shell::asking;
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::surroundings;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::gateway::Gateway;
use crate::telegram::{TOKEN, Telegram};

pub(crate) struct Room {
    folder: tempfile::TempDir,
    pub(crate) telegram: Telegram,
    pub(crate) gateway: Gateway,
    program: Option<Child>,
    settings: String,
}

impl Room {
    /// Everything is there and nothing runs yet. `bot_toml` and `settings` are added to the files.
    pub(crate) async fn new(bot_toml: &str, settings: &str) -> Self {
        // As the program itself makes files.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        let folder = tempfile::tempdir().unwrap();
        let telegram = Telegram::start().await;
        let state = folder.path().join("state");
        std::fs::create_dir_all(state.join("bots/acme_bot")).unwrap();
        std::fs::write(state.join("bots/acme_bot/bot.toml"), format!("token = \"{TOKEN}\"\n{bot_toml}"))
            .unwrap();
        let gateway = Gateway::new(state.join("gateway.sock"));
        let mut room = Self { folder, telegram, gateway, program: None, settings: String::new() };
        room.settings = settings.to_owned();
        room.set_up();
        room.has_line(1, "");
        room
    }

    fn set_up(&self) {
        let settings = format!(
            "[telegram]\napi_id = 1\napi_hash = \"{API_HASH}\"\n[gateway]\nstate = \"{}\"\n\
             [bot]\napi_url = \"http://{}\"\npoll_timeout_s = 2\nlog_level = \"debug\"\n{}",
            self.state().display(),
            self.telegram.address,
            self.settings
        );
        std::fs::write(self.folder.path().join("tgtrunk.toml"), settings).unwrap();
    }

    /// Everything is there and runs.
    pub(crate) async fn running(bot_toml: &str, settings: &str) -> Self {
        let mut room = Self::new(bot_toml, settings).await;
        room.gateway.starts();
        room.starts().await;
        room
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn line(&self, number: u32) -> Phone {
        format!("+7906000{number:04}").parse().unwrap()
    }

    /// A line of the bot's.
    pub(crate) fn has_line(&self, number: u32, rest: &str) {
        let line = self.line(number);
        let folder = self.state().join(line.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        let port = 30_000 + number;
        let text = format!(
            "phone = \"{line}\"\nsip_port = {port}\npbx = \"127.0.0.1\"\nbot = \"Acme_Bot\"\ncompany = \"Acme\"\n\
             call_back = \"2001\"\n{rest}"
        );
        std::fs::write(folder.join("line.toml"), text).unwrap();
        self.gateway.has_line(&line, |_| {});
    }

    /// Starts the program and waits until it follows the gateway and Telegram, or says that it cannot.
    pub(crate) async fn starts(&mut self) {
        self.launch();
        let limit = Instant::now() + Duration::from_secs(20);
        while self.status().await.is_none_or(|bot| {
            bot.telegram.reason == tgtrunk_config::WAITING || bot.gateway.reason == tgtrunk_config::WAITING
        }) {
            assert!(Instant::now() < limit, "the bot does not start: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn launch(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let program = self.command(&["run"]).stderr(Stdio::from(log.unwrap())).spawn();
        self.program = Some(program.unwrap());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(surroundings::of(env!("CARGO_BIN_EXE_tgtrunk-bot")));
        command.arg("--config").arg(self.folder.path().join("tgtrunk.toml")).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true).env_remove("RUST_LOG");
        command
    }

    /// A command at the terminal: what it said, and whether it went well.
    pub(crate) async fn commands(&self, arguments: &[&str]) -> (String, bool) {
        let output = self.command(arguments).output().await.unwrap();
        let told = [output.stdout, output.stderr].concat();
        (String::from_utf8(told).unwrap(), output.status.success())
    }

    /// kill -9.
    pub(crate) async fn kills(&mut self) {
        let mut program = self.program.take().unwrap();
        program.start_kill().unwrap();
        program.wait().await.unwrap();
    }

    /// SIGTERM; tells whether it ended well.
    pub(crate) async fn ends(&mut self) -> bool {
        let mut program = self.program.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(program.id().unwrap().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let well = program.wait().await.unwrap().success();
        assert!(!self.log().contains(TOKEN.split_once(':').unwrap().1), "the token is in the log");
        well
    }

    /// What the bot says about itself.
    pub(crate) async fn status(&self) -> Option<BotStatus> {
        match asking::ask(&self.state().join("bot.sock"), Ask::Status).await {
            Ok(Answer::Bots(report)) => report.bots.into_iter().next(),
            _ => None,
        }
    }

    /// Waits until the bot says of itself what `fits`.
    pub(crate) async fn shows(&self, fits: impl Fn(&BotStatus) -> bool) -> BotStatus {
        let limit = Instant::now() + Duration::from_secs(15);
        loop {
            let status = self.status().await;
            if let Some(status) = status.clone().filter(|status| fits(status)) {
                return status;
            }
            assert!(Instant::now() < limit, "no such status: {status:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
