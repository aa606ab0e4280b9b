//! Requests to the Bot API, each a word of this program. One try each: who asks knows what a second one is worth.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use teloxide::payloads::{
    AnswerCallbackQuery, AnswerCallbackQuerySetters as _, AnswerInlineQuery, AnswerInlineQuerySetters as _,
    DeleteWebhook, EditMessageText, EditMessageTextInline, EditMessageTextInlineSetters as _,
    EditMessageTextSetters as _, GetMe, GetMyCommands, GetMyDescription, GetWebhookInfo, SendMessage,
    SendMessageSetters as _, SetMyCommands, SetMyCommandsSetters as _,
};
use teloxide::requests::Payload;
use teloxide::types::{
    BotCommand, CallbackQueryId, ChatId, InlineQueryId, InlineQueryResult, InlineQueryResultArticle,
    InputMessageContent, InputMessageContentText, MessageId, Recipient,
};
use tgtrunk_config::{Proxy, UserId};

use super::call::Miss;
use super::failure::{Failure, Verdict, short};
use super::markup::{self, Keyboard};
use super::news;

/// How long an answer may take: of what a person waits for, and of the rest.
const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);
/// What Telegram's own time of a long poll is given on top.
const ON_TOP: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
/// A hundred updates of the longest kind are far smaller.
const LONGEST_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The way to Telegram as one bot. Clones share connections.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    /// Ends with the token, so it is shown to nobody.
    base: Arc<Url>,
    /// The kinds of updates that are asked for.
    kinds: &'static [&'static str],
}

/// What Telegram says of a bot itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) username: String,
    /// Whether inline mode is on (@BotFather, /setinline); without it no keypad can be sent.
    pub(crate) inline: bool,
}

/// How updates leave Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct WebhookState {
    /// Empty for polling.
    pub(crate) url: String,
    /// Updates that wait.
    #[serde(rename = "pending_update_count")]
    pub(crate) waiting: u32,
    /// What went wrong with the last delivery.
    #[serde(rename = "last_error_message")]
    pub(crate) last_error: Option<String>,
}

/// The one thing that an inline query is answered with: a message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Article {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) keyboard: Keyboard,
}

impl Api {
    /// Prepares the way; nothing is asked yet.
    ///
    /// # Errors
    /// A sentence, when the address or the proxy cannot be used.
    pub(crate) fn new(url: &str, proxy: Option<&Proxy>, token: &str) -> Result<Self, String> {
        Self::with(url, proxy, token, &news::WANTED, redirect::Policy::default())
    }

    /// The same, for other programs too: with updates of all kinds, and with answers as they come.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub(crate) fn for_programs(url: &str, proxy: Option<&Proxy>, token: &str) -> Result<Self, String> {
        Self::with(url, proxy, token, &news::EVERYTHING, redirect::Policy::none())
    }

    fn with(
        url: &str,
        proxy: Option<&Proxy>,
        token: &str,
        kinds: &'static [&'static str],
        redirects: redirect::Policy,
    ) -> Result<Self, String> {
        let mut http = Client::builder()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(redirects)
            .no_proxy();
        if let Some(proxy) = proxy {
            // The proxy looks names up, too: where Telegram is blocked, its names often are.
            let url = proxy.url().replacen("socks5://", "socks5h://", 1);
            http = http.proxy(reqwest::Proxy::all(url).map_err(|error| format!("{proxy}: {error}"))?);
        }
        let mut base = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        base.path_segments_mut()
            .map_err(|()| format!("{url}: want an address as https://api.telegram.org"))?
            .pop_if_empty()
            .push(&format!("bot{token}"));
        let http = http.build().map_err(|error| error.without_url().to_string())?;
        Ok(Self { http, base: Arc::new(base), kinds })
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Who the bot is.
    ///
    /// # Errors
    /// [`Failure`], as of all requests.
    pub(crate) async fn profile(&self) -> Result<Profile, Failure> {
        #[derive(Deserialize)]
        struct Me {
            id: i64,
            first_name: String,
            #[serde(default)]
            username: String,
            #[serde(default)]
            supports_inline_queries: bool,
        }
        let me: Me = self.ask(&GetMe::new(), PATIENCE).await?;
        let id = UserId::new(me.id).map_err(|error| Failure::Unreadable(error.to_string()))?;
        Ok(Profile { id, name: me.first_name, username: me.username, inline: me.supports_inline_queries })
    }

    /// What people read before they press Start; empty when there is nothing.
    pub(crate) async fn description(&self) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Told {
            description: String,
        }
        self.ask::<_, Told>(&GetMyDescription::new(), PATIENCE).await.map(|told| told.description)
    }

    /// Updates from `offset` on, which confirms those before it. Waits for the first for up to `wait`.
    pub(crate) async fn updates(
        &self,
        offset: Option<i64>,
        limit: u8,
        wait: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let asked = json!({
            "offset": offset, "limit": limit, "timeout": wait.as_secs(), "allowed_updates": self.kinds,
        });
        self.ask_as("GetUpdates", asked.to_string().into_bytes(), wait + ON_TOP).await
    }

    /// Has updates sent to an address, with a secret that only Telegram knows.
    pub(crate) async fn set_webhook(&self, url: &str, secret: &str) -> Result<(), Failure> {
        let asked = json!({"url": url, "secret_token": secret, "allowed_updates": self.kinds});
        self.ask_as::<Value>("SetWebhook", asked.to_string().into_bytes(), PATIENCE).await.map(drop)
    }

    /// Has updates wait to be polled. Those that wait already stay.
    pub(crate) async fn delete_webhook(&self) -> Result<(), Failure> {
        self.tell(&DeleteWebhook::new(), PATIENCE).await
    }

    /// How updates leave Telegram now.
    pub(crate) async fn webhook_state(&self) -> Result<WebhookState, Failure> {
        self.ask(&GetWebhookInfo::new(), PATIENCE).await
    }

    /// Names the bot's commands for people whose app speaks a language; for all others without one.
    pub(crate) async fn name_commands(
        &self,
        code: Option<&str>,
        commands: &[(&str, String)],
    ) -> Result<(), Failure> {
        let commands = commands.iter().map(|(word, what)| BotCommand::new(*word, what));
        let mut asked = SetMyCommands::new(commands);
        if let Some(code) = code {
            asked = asked.language_code(code);
        }
        self.tell(&asked, PATIENCE).await
    }

    /// Whether the bot has commands, for people whose app speaks no language in particular.
    pub(crate) async fn has_commands(&self) -> Result<bool, Failure> {
        self.ask::<_, Vec<Value>>(&GetMyCommands::new(), PATIENCE).await.map(|commands| !commands.is_empty())
    }

    /// Answers an inline query with one message to send, or with nothing.
    pub(crate) async fn answer_query(&self, query: &str, article: Option<Article>) -> Result<(), Failure> {
        let results = article.map(|article| {
            let content = InputMessageContent::Text(InputMessageContentText::new(article.text));
            let mut result = InlineQueryResultArticle::new("1", article.title, content);
            if !article.keyboard.0.is_empty() {
                result = result.reply_markup(article.keyboard.markup());
            }
            InlineQueryResult::Article(result)
        });
        let asked = AnswerInlineQuery::new(InlineQueryId(query.to_owned()), results);
        self.tell(&asked.cache_time(0).is_personal(true), SOON).await
    }

    /// Answers a press with a line over the chat, or with a window when it is an alarm.
    pub(crate) async fn answer_press(&self, press: &str, text: &str, alarm: bool) -> Result<(), Failure> {
        // Telegram takes 200 characters.
        let text: String = text.chars().take(200).collect();
        let asked = AnswerCallbackQuery::new(CallbackQueryId(press.to_owned())).text(text).show_alert(alarm);
        self.tell(&asked.cache_time(0), SOON).await
    }

    /// Writes to a person, with a button in place of their letters where `typing` names one. Gives the message's number, if
    /// that is told.
    ///
    /// # Errors
    /// [`Miss`]: Telegram may have it nevertheless.
    pub(crate) async fn send(
        &self,
        person: UserId,
        text: &str,
        typing: Option<String>,
    ) -> Result<Option<i32>, Miss> {
        let mut asked = SendMessage::new(Recipient::Id(ChatId(person.number())), text);
        if let Some(typing) = typing {
            asked = asked.reply_markup(markup::typing(typing));
        }
        let sent: Value =
            self.request("SendMessage", body_of(&asked).map_err(Miss::undone)?, PATIENCE).await?;
        Ok(sent["message_id"].as_i64().and_then(|number| i32::try_from(number).ok()))
    }

    /// Writes to a person, with buttons under it.
    pub(crate) async fn show(&self, person: UserId, text: &str, keyboard: Keyboard) -> Result<(), Failure> {
        let asked = SendMessage::new(Recipient::Id(ChatId(person.number())), text);
        self.tell(&asked.reply_markup(keyboard.markup()), PATIENCE).await
    }

    /// Rewrites one of the bot's own messages to a person.
    pub(crate) async fn show_anew(
        &self,
        person: UserId,
        message: i32,
        text: &str,
        keyboard: Keyboard,
    ) -> Result<(), Failure> {
        let to = Recipient::Id(ChatId(person.number()));
        let asked = EditMessageText::new(to, MessageId(message), text).reply_markup(keyboard.markup());
        self.tell(&asked, PATIENCE).await
    }

    /// Rewrites a message that an account sent by way of the bot.
    pub(crate) async fn edit(&self, message: &str, text: &str, keyboard: Keyboard) -> Result<(), Failure> {
        let asked = EditMessageTextInline::new(message, text).reply_markup(keyboard.markup());
        match self.tell(&asked, PATIENCE).await {
            Err(Failure::Refused { description, .. }) if description.contains("message is not modified") => {
                Ok(())
            }
            other => other,
        }
    }

    /// Asks for something to be done.
    async fn tell<P: Payload + serde::Serialize>(&self, asked: &P, limit: Duration) -> Result<(), Failure> {
        // What else is in the answer may be of a shape that the library does not know yet; it was done all the same.
        self.ask::<P, Value>(asked, limit).await.map(drop)
    }

    async fn ask<P, T>(&self, asked: &P, limit: Duration) -> Result<T, Failure>
    where
        P: Payload + serde::Serialize,
        T: DeserializeOwned,
    {
        // Methods for messages sent inline have names of their own in the library, not at Telegram.
        self.ask_as(P::NAME.trim_end_matches("Inline"), body_of(asked)?, limit).await
    }

    pub(super) async fn ask_as<T: DeserializeOwned>(
        &self,
        method: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, Failure> {
        self.request(method, body, limit).await.map_err(|miss| miss.failure)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, Miss> {
        #[derive(Deserialize)]
        struct Told<T> {
            result: T,
        }
        let mut url = Url::clone(&self.base);
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(method);
        }
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body).timeout(limit);
        let response = request.send().await.map_err(Miss::of)?;
        let status = response.status().as_u16();
        if status >= 500 {
            return Err(Miss::unknown(Failure::Down(status)));
        }
        let answer = read(response).await.map_err(Miss::unknown)?;
        let unreadable =
            |error: serde_json::Error| Miss::unknown(Failure::Unreadable(short(&error.to_string())));
        let verdict: Verdict = serde_json::from_slice(&answer).map_err(unreadable)?;
        verdict.judge(status).map_err(Miss::told)?;
        serde_json::from_slice::<Told<T>>(&answer).map(|told| told.result).map_err(unreadable)
    }
}

fn body_of(asked: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(asked).map_err(|error| Failure::Unreadable(error.to_string()))
}

/// Reads an answer, but not for ever.
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        if answer.len() + part.len() > LONGEST_ANSWER_BYTES {
            return Err(Failure::Unreadable(format!("more than {LONGEST_ANSWER_BYTES} bytes")));
        }
        answer.extend_from_slice(&part);
    }
    Ok(answer)
}

/// The library's own text holds the address, and with it the token.
pub(super) fn unreachable(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    Failure::Unreachable(short(&told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_connection_is_told_without_the_token() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let api = Api::new(&format!("http://{address}"), None, "42:secret").unwrap();
        let told = api.profile().await.unwrap_err().to_string();
        assert!(told.starts_with("Telegram cannot be reached: "), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn a_path_in_the_address_stays_in_front() {
        for url in ["http://h/x", "http://h/x/"] {
            assert_eq!(Api::new(url, None, "42:s").unwrap().base.as_str(), "http://h/x/bot42:s");
        }
        assert!(Api::new("mailto:x", None, "42:s").is_err());
    }
}
