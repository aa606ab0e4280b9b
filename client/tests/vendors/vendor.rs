//! A vendor's client in a program of its language, which is told line by line what to call.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tgtrunk_test_telegram::{node, venv};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Duration, timeout};

/// A call may wait for a notification and be repeated by the client.
const LIMIT: Duration = Duration::from_secs(40);

/// The program. It ends when it is dropped.
pub(crate) struct Vendor {
    _child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    methods: BTreeSet<String>,
    called: BTreeSet<String>,
    /// What its loop heard and nobody has asked for.
    heard: Vec<Value>,
    /// Whether the asynchronous half of the client is called.
    pub(crate) is_async: bool,
}

impl Vendor {
    /// Starts a program and hears what can be called.
    pub(crate) async fn start(mut command: Command, options: &Value) -> Self {
        let mut child = command.arg(options.to_string()).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (methods, called) = <(BTreeSet<String>, BTreeSet<String>)>::default();
        let mut vendor =
            Self { _child: child, commands, lines, methods, called, heard: Vec::new(), is_async: false };
        let told = vendor.line().await;
        vendor.methods = serde_json::from_value(told["methods"].clone()).unwrap();
        vendor
    }

    async fn line(&mut self) -> Value {
        let line = timeout(LIMIT, self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    }

    /// Calls a method; gives the code and what came with it.
    pub(crate) async fn asks(&mut self, method: &str, with: Value) -> (Option<u64>, Value) {
        let wish = json!({"call": method, "with": with, "is_async": self.is_async});
        self.commands.write_all(format!("{wish}\n").as_bytes()).await.unwrap();
        let mut told = self.line().await;
        while !told["heard"].is_null() {
            self.heard.push(told);
            told = self.line().await;
        }
        self.called.insert(method.to_owned());
        (told["code"].as_u64(), told["data"].take())
    }

    /// Calls a method that does what it is asked, and has an answer of exactly these keys. A `?` behind a key lets it be
    /// missing. Of a list each item has them; a message has what its kind is about.
    pub(crate) async fn calls(&mut self, method: &str, with: Value, keys: &[&str]) -> Value {
        let (code, data) = self.asks(method, with.clone()).await;
        assert_eq!(code, Some(200), "{method} {with}: {data}");
        let items = data.as_array().map_or(std::slice::from_ref(&data), Vec::as_slice);
        assert!(keys.is_empty() || !items.is_empty(), "{method}: an empty list");
        for shown in items {
            let found: Vec<&str> =
                shown.as_object().map(|shown| shown.keys().map(String::as_str).collect()).unwrap_or_default();
            let wanted = keys.iter().copied().filter(|key| !key.ends_with('?'));
            let missing = wanted.chain(of_kind(shown)).filter(|key| !found.contains(key));
            let strange =
                found.iter().filter(|key| !keys.iter().any(|known| known.trim_end_matches('?') == **key));
            let (missing, strange): (Vec<_>, Vec<_>) = (missing.collect(), strange.collect());
            assert!(
                missing.is_empty() && strange.is_empty(),
                "{method}: no {missing:?}, but {strange:?} in {shown:#}"
            );
        }
        data
    }

    /// Calls a method that the server does not have: the client is told so.
    pub(crate) async fn lacks(&mut self, method: &str, with: Value) {
        let (code, why) = self.asks(method, with).await;
        assert_eq!(code, Some(404), "{method}: {why}");
        assert!(why.to_string().contains("there is no method"), "{why}");
    }

    /// Waits for something that its loop hears.
    pub(crate) async fn hears(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(&is_wanted) {
                return self.heard.remove(at);
            }
            let told = self.line().await;
            self.heard.push(told);
        }
    }

    /// What can be called and was not.
    pub(crate) fn untried(&self) -> Vec<&str> {
        self.methods.difference(&self.called).map(String::as_str).collect()
    }

    /// How many different methods were called.
    pub(crate) fn tried(&self) -> usize {
        self.called.len()
    }
}

/// What a journal's line has beside, by its kind.
fn of_kind(line: &Value) -> Option<&'static str> {
    let kind = line["typeMessage"].as_str().filter(|_| line["senderId"].is_string())?;
    Some(match kind {
        "textMessage" => "textMessage",
        "extendedTextMessage" => "extendedTextMessage",
        "locationMessage" => "location",
        "contactMessage" => "contact",
        "pollMessage" => "pollMessageData",
        "imageMessage" | "videoMessage" | "audioMessage" | "documentMessage" | "stickerMessage" => {
            "downloadUrl"
        }
        _ => panic!("no kind: {line}"),
    })
}

/// A program of Python out of `tests/python`, with pipes.
pub(crate) async fn python(script: &str) -> Command {
    let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
    let mut command = Command::new(python);
    command.arg(scripts("python").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    piped(&mut command);
    command
}

/// A program of JavaScript out of `tests/node`, with pipes, and where its packages are.
pub(crate) async fn javascript(script: &str) -> (Command, PathBuf) {
    let modules = tokio::task::spawn_blocking(node::modules).await.unwrap().unwrap();
    let mut command = Command::new("node");
    command.arg(scripts("node").join(script));
    piped(&mut command);
    (command, modules)
}

fn piped(command: &mut Command) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
}

fn scripts(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(language)
}
