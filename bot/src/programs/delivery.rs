//! Updates brought to a program's webhook (core.telegram.org/bots/api#setwebhook): what is of one chat in order, chats side by
//! side, each update until it is taken or too old.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, Url};
use serde_json::Value;
use tgtrunk_messages::Web;
use tgtrunk_shell::caught::caught;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::methods::Own;
use super::queue::{Hook, Queue};
use crate::store::StoreError;
use crate::telegram::{Api, Failure};

const SECRET: &str = "x-telegram-bot-api-secret-token";
/// Until an update that was not taken is brought again: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Until a store that cannot be read is read again.
const STORE: Duration = Duration::from_secs(5);
/// What is read of an answer, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// Of what a server says about itself.
const LONGEST_PHRASE: usize = 100;

/// Brings a bot's updates wherever its webhook is, while there is one. `limit` is how long a webhook may think.
pub(crate) async fn deliver(queue: Queue, api: Api, web: Web, limit: Duration) {
    let mut hooks = queue.hooks();
    loop {
        let hook = hooks.borrow_and_update().clone();
        let brought = async {
            match hook {
                None => std::future::pending().await,
                Some(hook) => Delivery::new(&queue, &api, (&web, limit), hook).run().await,
            }
        };
        tokio::select! {
            () = brought => {}
            changed = hooks.changed() => if changed.is_err() { return },
        }
    }
}

/// The updates on their way to one webhook.
struct Delivery<'q> {
    queue: &'q Queue,
    api: &'q Api,
    web: &'q Web,
    limit: Duration,
    hook: Hook,
    under_way: JoinSet<(i64, i64, Result<(), Miss>)>,
    /// Chats whose first update is under way, or was not taken.
    chats: BTreeMap<i64, Chat>,
    /// Updates that were taken, which the disk does not know yet, and whose they are.
    taken: BTreeMap<i64, i64>,
    /// The webhook itself, when nobody is there.
    rest: Option<Rest>,
}

#[derive(Clone, Copy)]
enum Chat {
    UnderWay(Option<Rest>),
    Rests(Rest),
}

#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    pause: Duration,
}

/// Why an update was not taken.
struct Miss {
    message: String,
    /// Whether nobody was there at all.
    is_away: bool,
}

impl Rest {
    fn after(before: Option<Self>) -> Self {
        let pause = before.map_or(FIRST_PAUSE, |rest| (rest.pause * 2).min(LONGEST_PAUSE));
        Self { until: Instant::now() + pause, pause }
    }
}

impl<'q> Delivery<'q> {
    fn new(queue: &'q Queue, api: &'q Api, (web, limit): (&'q Web, Duration), hook: Hook) -> Self {
        Self {
            queue,
            api,
            web,
            limit,
            hook,
            under_way: JoinSet::new(),
            chats: BTreeMap::new(),
            taken: BTreeMap::new(),
            rest: None,
        }
    }

    async fn run(mut self) {
        let (mut arrived, mut urge) = (self.queue.arrivals(), self.queue.urges());
        loop {
            arrived.mark_unchanged();
            let now = Instant::now();
            if let Err(error) = self.begin(now).await {
                tracing::error!(%error, "updates are not brought to a webhook");
                sleep(STORE).await;
                continue;
            }
            let next = self.next(now);
            tokio::select! {
                _ = arrived.changed() => {}
                _ = urge.changed() => self.end_rests(),
                Some(done) = self.under_way.join_next() => match done {
                    Ok((chat, number, answer)) => self.finish(chat, number, answer).await,
                    Err(error) => tracing::error!(%error, "a delivery broke"),
                },
                () = async {
                    match next {
                        Some(next) => sleep_until(next).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
    }

    /// When somebody's rest is over.
    fn next(&self, now: Instant) -> Option<Instant> {
        if let Some(rest) = self.rest.filter(|rest| rest.until > now) {
            return Some(rest.until);
        }
        let chats = self.chats.values().filter_map(|chat| match chat {
            Chat::Rests(rest) => Some(rest.until).filter(|until| *until > now),
            Chat::UnderWay(_) => None,
        });
        chats.min()
    }

    /// Whatever rests is tried now.
    fn end_rests(&mut self) {
        let now = Instant::now();
        let chats = self.chats.values_mut().filter_map(|chat| match chat {
            Chat::Rests(rest) => Some(rest),
            Chat::UnderWay(_) => None,
        });
        for rest in chats.chain(&mut self.rest) {
            rest.until = rest.until.min(now);
        }
    }

    /// Tells the disk once more of what was taken.
    async fn note_taken(&mut self, now: Instant) {
        for (number, chat) in self.taken.clone() {
            match self.chats.get(&chat) {
                Some(Chat::Rests(rest)) if rest.until <= now => {
                    let rest = *rest;
                    self.hand_over(chat, number, Some(rest)).await;
                }
                Some(_) | None => {}
            }
        }
    }

    /// Notes that an update was taken. Where that cannot be, its chat rests: it is not brought twice.
    async fn hand_over(&mut self, chat: i64, number: i64, before: Option<Rest>) {
        match self.queue.store().hand_over(number).await {
            Ok(()) => {
                self.taken.remove(&number);
                self.chats.remove(&chat);
            }
            Err(error) => {
                tracing::error!(%error, "that a webhook took an update is not on the disk yet; it is tried again");
                self.taken.insert(number, chat);
                self.chats.insert(chat, Chat::Rests(Rest::after(before)));
            }
        }
    }

    /// Sends whatever may be sent now.
    async fn begin(&mut self, now: Instant) -> Result<(), StoreError> {
        self.note_taken(now).await;
        if self.queue.end_hook_of_revoked(&self.hook).await? {
            return Ok(());
        }
        if self.rest.is_some_and(|rest| rest.until > now) {
            return Ok(());
        }
        // While nobody is there one update is enough to see whether that is still so.
        let most = if self.rest.is_some() { 1 } else { usize::from(self.hook.max_connections) };
        if self.under_way.len() >= most {
            return Ok(());
        }
        for (chat, number) in self.queue.store().first_of_chats().await? {
            let before = match self.chats.get(&chat) {
                None => None,
                Some(Chat::Rests(rest)) if rest.until <= now => Some(*rest),
                Some(Chat::Rests(_) | Chat::UnderWay(_)) => continue,
            };
            let Some(update) = self.queue.one(number).await? else { continue };
            let (web, hook, api) = (self.web.clone(), self.hook.clone(), self.api.clone());
            let limit = self.limit;
            self.under_way.spawn(async move {
                let taken = take(post(&web, limit, &hook, update), |answer| perform(&api, answer)).await;
                (chat, number, taken)
            });
            self.chats.insert(chat, Chat::UnderWay(before));
            if self.under_way.len() >= most {
                return Ok(());
            }
        }
        // Of those that could have been sent and were not, nothing waits any more.
        self.chats.retain(|_, chat| !matches!(chat, Chat::Rests(rest) if rest.until <= now));
        Ok(())
    }

    async fn finish(&mut self, chat: i64, number: i64, taken: Result<(), Miss>) {
        let before = match self.chats.remove(&chat) {
            Some(Chat::UnderWay(before)) => before,
            Some(Chat::Rests(_)) | None => None,
        };
        match taken {
            Ok(()) => {
                self.rest = None;
                self.queue.took(number);
                if !self.is_failing() {
                    self.queue.end_fault().await;
                }
                self.hand_over(chat, number, before).await;
            }
            Err(Miss { message, is_away }) => {
                if is_away {
                    // Of many that find nobody at the same moment only the first counts.
                    if self.rest.is_none_or(|rest| rest.until <= Instant::now()) {
                        self.rest = Some(Rest::after(self.rest));
                    }
                } else {
                    self.chats.insert(chat, Chat::Rests(Rest::after(before)));
                }
                let (now, update) = (Instant::now(), self.queue.update(number).await);
                let next = self.next(now).map(|next| next.duration_since(now));
                if matches!(update, Ok(None)) {
                    // It was skipped meanwhile: nothing of its chat need wait, and it is nobody's fault any more.
                    self.chats.remove(&chat);
                } else {
                    self.queue.failed(message, update.unwrap_or_default(), next).await;
                }
            }
        }
    }

    /// Whether an update of some chat was not taken, and is to be tried again.
    fn is_failing(&self) -> bool {
        let is_taken = |chat: &i64| self.taken.values().any(|of| of == chat);
        self.chats.iter().any(|(chat, state)| match state {
            Chat::UnderWay(before) => before.is_some(),
            Chat::Rests(_) => !is_taken(chat),
        })
    }
}

/// Has an update taken, and what is answered performed. What follows of the same chat waits, so that answers come in order;
/// it does not wait for ever where something breaks.
async fn take<P: Future<Output = ()>>(
    brought: impl Future<Output = Result<Vec<u8>, Miss>>,
    perform: impl FnOnce(Vec<u8>) -> P,
) -> Result<(), Miss> {
    let answer = caught(brought).await.unwrap_or_else(|broke| {
        tracing::error!(%broke, "an update is not brought");
        Err(Miss { message: "Internal error".to_owned(), is_away: false })
    })?;
    if let Err(broke) = caught(perform(answer)).await {
        tracing::error!(%broke, "a method in a webhook's answer is not performed");
    }
    Ok(())
}

/// Brings one update; gives what was answered.
async fn post(web: &Web, limit: Duration, hook: &Hook, update: String) -> Result<Vec<u8>, Miss> {
    let away = |message: String| Miss { message, is_away: true };
    let url = Url::parse(&hook.url).map_err(|error| away(error.to_string()))?;
    let request = web.request(Method::POST, &url).await.map_err(|error| away(error.to_string()))?;
    let mut request = request.timeout(limit).header(CONTENT_TYPE, "application/json").body(update);
    if let Some(secret) = &hook.secret {
        request = request.header(SECRET, secret);
    }
    let answer = request.send().await.map_err(|error| miss(&error))?;
    let status = answer.status();
    if !status.is_success() {
        let phrase: String = status.to_string().chars().take(LONGEST_PHRASE).collect();
        return Err(Miss { message: format!("Wrong response from the webhook: {phrase}"), is_away: false });
    }
    // The status is the webhook's word. Of an answer that breaks off nothing is performed.
    Ok(read(answer).await.unwrap_or_default())
}

async fn read(mut answer: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut all = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if all.len() + part.len() > LONGEST_ANSWER {
            return Ok(Vec::new());
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// In Telegram's words, and without the address: it may hold a password.
fn miss(error: &reqwest::Error) -> Miss {
    let message = match (error.is_connect(), error.is_timeout()) {
        (true, true) => "Connection timed out",
        (true, false) => "Connection refused",
        (false, true) => "Read timeout expired",
        (false, false) => "Connection closed",
    };
    Miss { message: message.to_owned(), is_away: error.is_connect() }
}

/// A webhook may answer with a method to be called (core.telegram.org/bots/api#making-requests-when-getting-updates).
async fn perform(api: &Api, answer: Vec<u8>) {
    let Ok(Value::Object(fields)) = serde_json::from_slice(&answer) else { return };
    let Some(method) = fields.get("method").and_then(Value::as_str).map(str::to_owned) else { return };
    if Own::from_name(&method).is_some() || !super::server::may_pass(&method) {
        let method: String = method.chars().take(LONGEST_PHRASE).collect();
        return tracing::warn!(method, "a webhook's answer asks for a method that is not called this way");
    }
    let mut done = api.perform(&method, answer.clone()).await;
    if let Err(Failure::Flood { wait }) = &done
        && *wait <= LONGEST_PAUSE
    {
        sleep(*wait).await;
        done = api.perform(&method, answer).await;
    }
    if let Err(failure) = done {
        tracing::warn!(method, %failure, "a method in a webhook's answer is refused");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::json;

    use super::*;
    use crate::store::tests::{fill_disk, store};

    #[tokio::test]
    async fn on_a_full_disk_an_update_that_was_taken_is_brought_no_more_and_answered_once() {
        let (_room, store) = store().await;
        let queue = Queue::open(store.clone(), Duration::from_secs(3_600)).await.unwrap();
        let (brought, performed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answer = json!({"method": "sendMessage", "chat_id": 5, "text": "x"});
        let url = server("/hook", Arc::clone(&brought), answer).await;
        let telegram = json!({"ok": true, "result": true});
        let telegram = server("/bot42:abc/sendMessage", Arc::clone(&performed), telegram).await;
        let counts = || (brought.load(Ordering::Relaxed), performed.load(Ordering::Relaxed));
        let message =
            |update: u32| json!({"update_id": update, "message": {"message_id": 1, "chat": {"id": 5}}});
        assert!(queue.keep(&queue.sort(&[message(1), message(2)])).await);
        fill_disk(&store, true).await;
        let hook = Hook { url: format!("{url}/hook"), secret: None, max_connections: 40, token: None };
        queue.set_hook(Some(hook)).await.unwrap();
        let api = Api::new(&telegram, None, "42:abc").unwrap();
        let web = Web::new(None, &[]).unwrap();
        let delivering = tokio::spawn(deliver(queue.clone(), api, web, Duration::from_secs(5)));
        sleep(FIRST_PAUSE * 3 / 2).await;
        assert_eq!(counts(), (1, 1));
        assert_eq!(store.count_news().await.unwrap(), 2);
        fill_disk(&store, false).await;
        let all = async {
            while store.count_news().await.unwrap() > 0 || counts() != (2, 2) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("both are brought");
        sleep(Duration::from_millis(200)).await;
        assert_eq!(counts(), (2, 2));
        delivering.abort();
    }

    #[tokio::test]
    async fn what_breaks_holds_up_no_chat_and_what_was_taken_is_not_brought_twice() {
        let nothing = |_: Vec<u8>| async {};
        let miss = take(async { panic!("as anything may") }, nothing).await.err().unwrap();
        assert_eq!((miss.message.as_str(), miss.is_away), ("Internal error", false));
        assert!(take(async { Ok(Vec::new()) }, |_| async { panic!("as an answer may") }).await.is_ok());
        assert!(take(async { Ok(Vec::new()) }, nothing).await.is_ok());
    }

    /// Counts what it is asked, and answers always the same.
    async fn server(path: &str, asked: Arc<AtomicUsize>, answer: Value) -> String {
        let serve = async move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Json(answer.clone())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route(path, post(serve));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}
