//! Telegram users' chats on Telethon: they read what comes, press buttons and type. Nothing in it is ours.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Value, json};
use tgtrunk_test_telegram::World;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as Turn, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::stage::Stage;

const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// Where the users find Telegram, and who they are.
#[derive(Debug, Clone, Serialize)]
pub struct Options {
    pub host: String,
    pub port: u16,
    pub dc: i32,
    /// File with the data centre's RSA key.
    pub pem: PathBuf,
    pub phones: Vec<String>,
}

/// The program that holds them.
pub struct ChatUsers {
    _child: Child,
    commands: Arc<Turn<ChildStdin>>,
    users: HashMap<String, ChatUser>,
}

/// One of them: what it sees comes in order.
pub struct ChatUser {
    pub id: i64,
    commands: Arc<Turn<ChildStdin>>,
    events: mpsc::UnboundedReceiver<Value>,
    passed: Vec<Value>,
}

/// A message as a user sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: i64,
    pub chat: i64,
    pub text: String,
    pub out: bool,
    /// The bot through which it was sent.
    pub via: Option<i64>,
    /// Kind of a service message, as `MessageActionPhoneCall`.
    pub action: Option<String>,
    /// Kind of what is attached, as `MessageMediaContact`.
    pub media: Option<String>,
    /// Rows of buttons: label and data.
    pub buttons: Vec<Vec<(String, String)>>,
    /// Labels of the keyboard that came with it.
    pub keys: Vec<String>,
}

/// What came of a press.
#[derive(Debug, Clone)]
pub struct Pressed {
    /// The bot's answer, or what Telegram refused with.
    pub answer: Result<String, String>,
    /// On the monotonic clock, when it was pressed.
    pub at_ns: u64,
    /// How long the answer took.
    pub took: Duration,
}

impl Options {
    /// Users of a stage's Telegram.
    ///
    /// # Errors
    /// When its key cannot be written down.
    pub fn at(stage: &Stage, phones: Vec<String>) -> anyhow::Result<Self> {
        let telegram = stage.telegram();
        let dc = telegram.home_dc();
        let address = telegram.address(dc).context("the home data centre listens")?;
        let pem = stage.installation.state.with_file_name("telegram.pem");
        std::fs::write(&pem, telegram.public_key_pem())?;
        Ok(Self { host: address.ip().to_string(), port: address.port(), dc, pem, phones })
    }
}

type Posts = Arc<Mutex<HashMap<i64, mpsc::UnboundedSender<Value>>>>;

impl ChatUsers {
    /// Starts the program and logs everybody in, with the codes that Telegram sends.
    ///
    /// # Errors
    /// When Python or its packages are missing, or a login fails.
    pub async fn log_in(options: &Options, world: &World) -> anyhow::Result<Self> {
        let python = tgtrunk_test_telegram::venv::python()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/chat_users.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(serde_json::to_string(options)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let commands = Arc::new(Turn::new(child.stdin.take().context("its input is a pipe")?));
        let mut lines = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let posts = Posts::default();
        let mut users = HashMap::new();
        let until = Instant::now() + LOGIN_LIMIT;
        while users.len() < options.phones.len() {
            let line = timeout_at(until, lines.next_line()).await.context("logins do not end")??;
            let event: Value = serde_json::from_str(&line.context("the users ended")?)?;
            let phone = || event["phone"].as_str().map(str::to_owned).with_context(|| event.to_string());
            match event["event"].as_str() {
                Some("code_wanted") => {
                    let phone = phone()?;
                    let code = world.pending_login_code(&phone).context("Telegram sent no code")?;
                    say(&commands, &json!({ "do": "code", "phone": phone, "code": code })).await?;
                }
                Some("ready") => {
                    let id = event["user"].as_i64().context("ready names a user")?;
                    let (post, events) = mpsc::unbounded_channel();
                    posts.lock().unwrap_or_else(PoisonError::into_inner).insert(id, post);
                    let user = ChatUser { id, commands: Arc::clone(&commands), events, passed: Vec::new() };
                    users.insert(phone()?, user);
                }
                _ => deliver(&posts, event),
            }
        }
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(event) = serde_json::from_str(&line) {
                    deliver(&posts, event);
                }
            }
        });
        Ok(Self { _child: child, commands, users })
    }

    /// Hands out the user with a number.
    ///
    /// # Errors
    /// When it is nobody's, or was handed out.
    pub fn take(&mut self, phone: &str) -> anyhow::Result<ChatUser> {
        self.users.remove(phone).with_context(|| format!("no user {phone}"))
    }

    /// Ends the program.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn quit(&self) -> anyhow::Result<()> {
        say(&self.commands, &json!({ "do": "quit" })).await
    }
}

impl ChatUser {
    /// Waits for a new message that is wanted; what comes before it is kept for later waits.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn message(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<Seen> {
        self.seen("message", what, limit, wanted).await
    }

    /// Waits for a message that was edited into one that is wanted.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn edited(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<Seen> {
        self.seen("edited", what, limit, wanted).await
    }

    async fn seen(
        &mut self,
        kind: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<Seen> {
        let is_it =
            |event: &Value| event["event"] == kind && Seen::read(event).is_some_and(|seen| wanted(&seen));
        let event = self.wait(what, limit, is_it).await?;
        Seen::read(&event).context("a message")
    }

    /// Waits until a message is gone.
    ///
    /// # Errors
    /// When it stays.
    pub async fn deleted(&mut self, id: i64, limit: Duration) -> anyhow::Result<()> {
        let names = |ids: &Value| ids.as_array().is_some_and(|ids| ids.iter().any(|one| one == id));
        let what = format!("message {id} to be deleted");
        self.wait(&what, limit, |event| event["event"] == "deleted" && names(&event["ids"])).await?;
        Ok(())
    }

    /// Presses a button of a message and waits for what comes of it.
    ///
    /// # Errors
    /// When nothing comes of it in time.
    pub async fn press(&mut self, message: &Seen, label: &str, limit: Duration) -> anyhow::Result<Pressed> {
        let data = message.data(label).with_context(|| format!("no button {label:?} in {message:?}"))?;
        self.press_data(message, &data, limit).await
    }

    /// The same with the button's data.
    ///
    /// # Errors
    /// When nothing comes of it in time.
    pub async fn press_data(
        &mut self,
        message: &Seen,
        data: &str,
        limit: Duration,
    ) -> anyhow::Result<Pressed> {
        let data = BASE64.encode(data);
        let wish = json!({ "do": "press", "user": self.id, "chat": message.chat, "message": message.id, "data": data });
        say(&self.commands, &wish).await?;
        let ours = |event: &Value| {
            matches!(event["event"].as_str(), Some("answered" | "refused"))
                && event["message"] == message.id
                && event["data"] == data
        };
        let event = self.wait("the answer to a press", limit, ours).await?;
        let at_ns = event["pressed_ns"].as_u64().context("when it was pressed")?;
        let answered_ns = event["answered_ns"].as_u64().unwrap_or(at_ns);
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let answer = if event["event"] == "answered" { Ok(text("text")) } else { Err(text("error")) };
        Ok(Pressed { answer, at_ns, took: Duration::from_nanos(answered_ns.saturating_sub(at_ns)) })
    }

    /// Sends a text to a username or to somebody who was met, by number.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn send(&self, to: impl Into<Value>, text: &str) -> anyhow::Result<()> {
        say(&self.commands, &json!({ "do": "send", "user": self.id, "to": to.into(), "text": text })).await
    }

    /// Starts a bot, as the button of that name does.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn start(&self, bot: &str) -> anyhow::Result<()> {
        say(&self.commands, &json!({ "do": "start", "user": self.id, "bot": bot })).await
    }

    /// Blocks somebody, or no longer.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn block(&self, name: &str, blocked: bool) -> anyhow::Result<()> {
        let wish = if blocked { "block" } else { "unblock" };
        say(&self.commands, &json!({ "do": wish, "user": self.id, "name": name })).await
    }

    /// Lets in the device that shows a login token, as scanning its QR code does.
    ///
    /// # Errors
    /// When Telegram refuses.
    pub async fn accept(&mut self, token: &str, limit: Duration) -> anyhow::Result<()> {
        say(&self.commands, &json!({ "do": "accept", "user": self.id, "token": token })).await?;
        let ours = |event: &Value| event["event"] == "accepted" || event["where"] == "accept";
        let event = self.wait("the token to be accepted", limit, ours).await?;
        ensure!(event["event"] == "accepted", "the token is refused: {event}");
        Ok(())
    }

    /// What came so far and was not waited for.
    pub fn so_far(&mut self) -> &[Value] {
        while let Ok(event) = self.events.try_recv() {
            self.passed.push(event);
        }
        &self.passed
    }

    /// Passes over what came so far.
    pub fn forget(&mut self) {
        self.so_far();
        self.passed.clear();
    }

    /// New messages among them.
    pub fn messages_so_far(&mut self) -> Vec<Seen> {
        self.so_far().iter().filter(|event| event["event"] == "message").filter_map(Seen::read).collect()
    }

    async fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return Ok(self.passed.remove(at));
        }
        let until = Instant::now() + limit;
        loop {
            match timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) if wanted(&event) => return Ok(event),
                Ok(Some(event)) => self.passed.push(event),
                Ok(None) => bail!("the users ended"),
                Err(_) => bail!("user {} waited {limit:?} for {what} and saw {:?}", self.id, self.passed),
            }
        }
    }
}

impl Seen {
    fn read(event: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let button = |button: &Value| {
            let data = BASE64.decode(button["data"].as_str()?).ok()?;
            Some((text(&button["label"])?, String::from_utf8(data).ok()?))
        };
        let row = |row: &Value| row.as_array().map(|row| row.iter().filter_map(button).collect());
        let rows = event["buttons"].as_array().map(|rows| rows.iter().filter_map(row).collect());
        Some(Self {
            id: event["id"].as_i64()?,
            chat: event["chat"].as_i64()?,
            text: text(&event["text"])?,
            out: event["out"].as_bool()?,
            via: event["via"].as_i64(),
            action: text(&event["action"]),
            media: text(&event["media"]),
            buttons: rows.unwrap_or_default(),
            keys: event["keys"]
                .as_array()
                .map(|keys| keys.iter().filter_map(text).collect())
                .unwrap_or_default(),
        })
    }

    /// The data of the button with a label.
    pub fn data(&self, label: &str) -> Option<String> {
        self.buttons.iter().flatten().find(|(known, _)| known == label).map(|(_, data)| data.clone())
    }
}

async fn say(commands: &Turn<ChildStdin>, wish: &Value) -> anyhow::Result<()> {
    Ok(commands.lock().await.write_all(format!("{wish}\n").as_bytes()).await?)
}

fn deliver(posts: &Posts, event: Value) {
    let posts = posts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(post) = event["user"].as_i64().and_then(|user| posts.get(&user)) {
        post.send(event).ok();
    }
}
