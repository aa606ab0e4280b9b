//! The methods that Telegram cannot answer for other programs: `getUpdates` and those of webhooks.

use std::time::Duration;

use axum::response::Response;
use reqwest::Url;
use serde_json::json;
use tgtrunk_messages::{ReachError, Web};
use tokio::time::sleep;

use super::params::Params;
use super::queue::{Hook, Queue};
use super::reply::{self, Refused};

/// Longest that a poll may wait, in seconds, and the most updates in one answer.
const LONGEST_S: i64 = 50;
const MOST: u8 = 100;
/// Connections to a webhook at once, where nothing is said and at most.
const CONNECTIONS: i64 = 40;
const MOST_CONNECTIONS: i64 = 100;
/// Longest secret of a webhook.
const SECRET: usize = 256;

const OTHER_POLL: &str =
    "terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str =
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const WEBHOOK_SET: &str = "terminated by setWebhook request";

/// A method of this room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    GetUpdates,
    SetWebhook,
    DeleteWebhook,
    GetWebhookInfo,
}

impl Own {
    /// By its name, whose case does not matter.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "getupdates" => Some(Self::GetUpdates),
            "setwebhook" => Some(Self::SetWebhook),
            "deletewebhook" => Some(Self::DeleteWebhook),
            "getwebhookinfo" => Some(Self::GetWebhookInfo),
            _ => None,
        }
    }

    /// Serves whoever showed the token with this hash; none for the bot's own.
    pub(super) async fn serve(
        self,
        (queue, web): (&Queue, &Web),
        token: Option<String>,
        params: &Params,
    ) -> Result<Response, Refused> {
        match self {
            Self::GetUpdates => updates(queue, params).await,
            Self::SetWebhook => set_webhook(queue, web, token, params).await,
            Self::DeleteWebhook => delete_webhook(queue, params).await,
            Self::GetWebhookInfo => webhook_info(queue).await,
        }
    }
}

async fn updates(queue: &Queue, params: &Params) -> Result<Response, Refused> {
    let limit = params.number("limit").and_then(|limit| u8::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=MOST).contains(limit)).unwrap_or(MOST);
    let wait = params.number("timeout").unwrap_or(0).clamp(0, LONGEST_S);
    let kinds = params.words("allowed_updates")?;
    let offset = params.whole("offset")?;
    let mut turn = queue.take_turn().await?;
    if queue.hook().is_some() {
        return Err(Refused::conflict(WEBHOOK_ACTIVE));
    }
    if let Some(kinds) = kinds {
        queue.want(kinds).await?;
    }
    if let Some(offset) = offset {
        queue.confirm(offset).await?;
    }
    let mut arrived = queue.arrivals();
    let end = sleep(Duration::from_secs(wait.unsigned_abs()));
    tokio::pin!(end);
    loop {
        arrived.mark_unchanged();
        let updates = queue.first(limit).await?;
        if !turn.holds() {
            let why = if queue.hook().is_some() { WEBHOOK_SET } else { OTHER_POLL };
            return Err(Refused::conflict(why));
        }
        if !updates.is_empty() || wait == 0 || end.is_elapsed() {
            return Ok(reply::updates(&updates));
        }
        tokio::select! {
            _ = arrived.changed() => {}
            () = turn.is_over() => {}
            () = &mut end => {}
        }
    }
}

async fn set_webhook(
    queue: &Queue,
    web: &Web,
    token: Option<String>,
    params: &Params,
) -> Result<Response, Refused> {
    let url = params.text("url").unwrap_or_default();
    if url.trim().is_empty() {
        return delete_webhook(queue, params).await;
    }
    let kinds = params.words("allowed_updates")?;
    let hook = Hook { token, ..hook(url.trim(), web, params).await? };
    if let Some(kinds) = kinds {
        queue.want(kinds).await?;
    }
    if params.flag("drop_pending_updates") {
        queue.clear().await?;
    }
    let word = if queue.set_hook(Some(hook)).await? { "Webhook was set" } else { "Webhook is already set" };
    Ok(reply::done(&json!(true), Some(word)))
}

/// The webhook that is asked for. Private addresses will do, as with a Bot API server of one's own.
async fn hook(url: &str, web: &Web, params: &Params) -> Result<Hook, Refused> {
    let bad = |why: &str| Refused::bad(&format!("bad webhook: {why}"));
    let nowhere = || bad("want an address as http://127.0.0.1:8080/path or https://example.org/path");
    let address = Url::parse(url).map_err(|_| nowhere())?;
    match web.check(&address).await {
        // A name that nobody knows yet may be known by the first update.
        Ok(()) | Err(ReachError::Unknown { .. }) => {}
        Err(ReachError::NoLink) => return Err(nowhere()),
        Err(error) => return Err(bad(&error.to_string())),
    }
    if params.has("certificate") {
        return Err(bad(
            "a certificate of your own is not taken: use http://, or a certificate that is trusted",
        ));
    }
    let secret = params.text("secret_token").filter(|secret| !secret.is_empty());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if secret.as_ref().is_some_and(|secret| secret.len() > SECRET || !secret.bytes().all(plain)) {
        return Err(Refused::bad("secret token contains unallowed characters"));
    }
    let connections = params.number("max_connections").filter(|most| *most > 0).unwrap_or(CONNECTIONS);
    let max_connections = u8::try_from(connections.min(MOST_CONNECTIONS)).unwrap_or(1);
    Ok(Hook { url: url.to_owned(), secret, max_connections, token: None })
}

async fn delete_webhook(queue: &Queue, params: &Params) -> Result<Response, Refused> {
    if params.flag("drop_pending_updates") {
        queue.clear().await?;
    }
    let word = if queue.set_hook(None).await? { "Webhook was deleted" } else { "Webhook is already deleted" };
    Ok(reply::done(&json!(true), Some(word)))
}

async fn webhook_info(queue: &Queue) -> Result<Response, Refused> {
    let waiting = queue.store().count_news().await?;
    let hook = queue.hook();
    let url = hook.as_ref().map_or("", |hook| &hook.url);
    let mut info = json!({"url": url, "has_custom_certificate": false, "pending_update_count": waiting});
    if let Some(hook) = &hook {
        info["max_connections"] = json!(hook.max_connections);
        if let Some(fault) = queue.fault() {
            info["last_error_date"] = json!(fault.at_ms / 1_000);
            info["last_error_message"] = json!(fault.message);
        }
    }
    if let Some(kinds) = queue.kinds() {
        info["allowed_updates"] = json!(kinds);
    }
    Ok(reply::done(&info, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_in_any_case() {
        assert_eq!(Own::from_name("GETUPDATES"), Some(Own::GetUpdates));
        assert_eq!(Own::from_name("setWebhook"), Some(Own::SetWebhook));
        assert_eq!(Own::from_name("getMe"), None);
    }

    #[tokio::test]
    async fn a_webhook_may_be_in_the_office_and_what_cannot_be_one_is_refused() {
        let web = Web::new(None, &[8092]).unwrap();
        let asked =
            async |url: &str, more: &str| hook(url, &web, &Params::read(more, "", b"").unwrap()).await;
        for url in ["http://127.0.0.1:9/x", "http://10.0.0.5/1c/hs/bot", "https://bot.invalid"] {
            assert_eq!(asked(url, "").await.unwrap().max_connections, 40, "{url}");
        }
        let most = asked("http://127.0.0.1", "max_connections=500&secret_token=a-b").await.unwrap();
        assert_eq!(most.max_connections, 100);
        for (url, more) in [
            ("http://169.254.169.254/latest/meta-data/", ""),
            ("http://127.0.0.1:8092/bot42:abc/sendMessage", ""),
            ("http://localhost:8092/", ""),
            ("ftp://a", ""),
            ("127.0.0.1:80", ""),
            ("http://", ""),
            ("http://127.0.0.1", "secret_token=%20"),
            ("http://127.0.0.1", "certificate=x"),
        ] {
            assert_eq!(asked(url, more).await.unwrap_err().code, 400, "{url} {more}");
        }
    }
}
