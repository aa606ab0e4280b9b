//! Webhooks: `setWebhook` and its kin, and the delivery of updates by HTTP POST until the receiver takes them.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::methods;
use super::params::Params;
use super::polling::allowed_updates;
use super::reply::{ApiError, Served};
use crate::world::World;
use crate::world::bots::Webhook;
use crate::world::clock::unix_now;

/// How long a receiver may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Before the second try; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Largest answer of a receiver that is read, in bytes.
const ANSWER_MAX: u64 = 1 << 20;
/// `max_connections` where the bot does not say.
const CONNECTIONS: i64 = 40;

/// `setWebhook`; an empty address takes it away.
pub(crate) fn set_webhook(world: &World, bot: i64, params: &Params) -> Result<Served, ApiError> {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return delete_webhook(world, bot, params);
    }
    if place(&url).is_none() {
        return Err(ApiError::bad(
            "bad webhook: http://host:port/path expected, as this Telegram has no TLS",
        ));
    }
    let secret = params.word("secret_token");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if secret.as_ref().is_some_and(|secret| secret.len() > 256 || !secret.bytes().all(plain)) {
        return Err(ApiError::bad("secret token contains unallowed characters"));
    }
    let allowed = allowed_updates(params)?;
    let mut state = world.lock();
    let queue = &mut state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?.queue;
    if let Some(allowed) = allowed {
        queue.allowed = Some(allowed).filter(|kinds| !kinds.is_empty());
    }
    if params.flag("drop_pending_updates") {
        queue.clear();
    }
    let max_connections = params.number("max_connections").unwrap_or(CONNECTIONS);
    queue.webhook = Some(Webhook { url, secret, max_connections, last_error: None });
    let ticket = queue.take_ticket();
    tokio::spawn(deliver(world.clone(), bot, ticket));
    Ok(Served::said("Webhook was set"))
}

/// `deleteWebhook`.
pub(crate) fn delete_webhook(world: &World, bot: i64, params: &Params) -> Result<Served, ApiError> {
    let mut state = world.lock();
    let queue = &mut state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?.queue;
    if params.flag("drop_pending_updates") {
        queue.clear();
    }
    if queue.webhook.take().is_none() {
        return Ok(Served::said("Webhook is already deleted"));
    }
    queue.take_ticket();
    Ok(Served::said("Webhook was deleted"))
}

/// `getWebhookInfo`.
pub(crate) fn webhook_info(world: &World, bot: i64) -> Result<Served, ApiError> {
    let state = world.lock();
    let queue = &state.bots.bot(bot).ok_or_else(ApiError::unauthorized)?.queue;
    let url = queue.webhook.as_ref().map_or("", |hook| &hook.url);
    let mut info =
        json!({ "url": url, "has_custom_certificate": false, "pending_update_count": queue.len() });
    if let Some(hook) = &queue.webhook {
        info["max_connections"] = json!(hook.max_connections);
        if let Some((date, message)) = &hook.last_error {
            info["last_error_date"] = json!(date);
            info["last_error_message"] = json!(message);
        }
    }
    if let Some(allowed) = &queue.allowed {
        info["allowed_updates"] = json!(allowed);
    }
    Ok(info.into())
}

/// Posts one update after the other, each until it is taken, as long as the webhook is this one.
async fn deliver(world: World, bot: i64, ticket: u64) {
    let Some(bell) = world.lock().bots.bot(bot).map(|bot| bot.queue.bell.clone()) else { return };
    let mut wait = FIRST_WAIT;
    loop {
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let next = {
            let state = world.lock();
            let Some(queue) = state.bots.bot(bot).map(|bot| &bot.queue) else { return };
            if !queue.holds(ticket) {
                return;
            }
            queue.front().zip(queue.webhook.clone())
        };
        let Some(((id, update), hook)) = next else {
            rung.await;
            continue;
        };
        let posted = tokio::time::timeout(ANSWER_WITHIN, post(&hook, &update)).await;
        let failure = match posted {
            Ok(Ok(reply)) => {
                wait = FIRST_WAIT;
                if let Some(queue) = world.lock().bots.bot_mut(bot).map(|bot| &mut bot.queue)
                    && queue.holds(ticket)
                {
                    queue.confirm(id + 1);
                }
                perform(&world, bot, &reply);
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "Read timeout expired".to_owned(),
        };
        let pause = {
            let mut state = world.lock();
            let pause = state.clock.scaled(wait);
            let hook = state.bots.bot_mut(bot).and_then(|bot| bot.queue.webhook.as_mut());
            if let Some(hook) = hook {
                hook.last_error = Some((unix_now(), failure));
            }
            pause
        };
        wait = (wait * 2).min(LONGEST_WAIT);
        tokio::time::sleep(pause).await;
    }
}

/// A receiver may answer with a method to be called.
fn perform(world: &World, bot: i64, reply: &[u8]) {
    let Ok(Value::Object(fields)) = serde_json::from_slice(reply) else { return };
    if let Some(method) = fields.get("method").and_then(Value::as_str).map(str::to_lowercase)
        && let Err(error) = methods::serve(world, bot, &method, &Params::of(fields))
    {
        tracing::info!(method, error.description, "a method in a webhook's answer is refused");
    }
}

/// Host with port, and path.
fn place(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || !plain(host) || !plain(path) {
        return None;
    }
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Some((host, format!("/{path}")))
}

/// Posts an update and returns the body of an answer of the class 200.
async fn post(hook: &Webhook, update: &Value) -> anyhow::Result<Vec<u8>> {
    let (host, path) = place(&hook.url).context("Bad webhook: URL is invalid")?;
    let mut stream = TcpStream::connect(&host).await.context("Connection refused")?;
    stream.set_nodelay(true)?;
    let body = serde_json::to_vec(update)?;
    let secret = hook.secret.as_ref();
    let secret = secret.map(|it| format!("X-Telegram-Bot-Api-Secret-Token: {it}\r\n")).unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         {secret}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("Connection closed")?;
    let status = String::from_utf8_lossy(&answer[..end]);
    let status = status.lines().next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
    ensure!(!status.is_empty(), "Wrong response from the webhook");
    if !status.starts_with('2') {
        bail!("Wrong response from the webhook: {status}");
    }
    Ok(answer.split_off(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let at = |url| place(url).map(|(host, path)| format!("{host} {path}"));
        assert_eq!(at("http://127.0.0.1:8443/hook/a?b=c").as_deref(), Some("127.0.0.1:8443 /hook/a?b=c"));
        assert_eq!(at("http://localhost").as_deref(), Some("localhost:80 /"));
        assert_eq!(at("https://localhost/"), None);
        assert_eq!(at("http://a\r\nb/"), None);
    }
}
