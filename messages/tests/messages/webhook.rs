//! A webhook that is down for a while, and a program that is killed meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tgtrunk_messages::News;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{Room, from_anna, switch_on, until};

/// A program's webhook: whether it works, and what came.
#[derive(Default)]
pub(crate) struct Hook {
    pub(crate) is_up: AtomicBool,
    came: Mutex<Vec<(i64, u32, Value)>>,
}

async fn take(State(hook): State<Arc<Hook>>, headers: HeaderMap, body: String) -> StatusCode {
    let number = |name: &str| headers[name].to_str().unwrap().parse::<i64>().unwrap();
    let attempt = u32::try_from(number("x-attempt")).unwrap();
    assert_eq!(headers["authorization"], "Bearer secret");
    let body = serde_json::from_str(&body).unwrap();
    hook.came.lock().unwrap().push((number("x-notification-id"), attempt, body));
    if hook.is_up.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
}

impl Hook {
    /// Where it listens.
    pub(crate) async fn listen(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let text =
            |body: &Value| body["messageData"]["textMessageData"]["textMessage"].as_str().unwrap().to_owned();
        self.came.lock().unwrap().iter().map(|(.., body)| text(body)).collect()
    }
}

/// An hour is 3.6 s here: a thousandth.
#[tokio::test]
async fn a_webhook_that_is_down_for_an_hour_is_tried_each_minute_and_then_gets_everything_in_order() {
    let hook = Arc::new(Hook::default());
    let mut room = Room::new();
    assert_eq!(room.options.webhook_pauses, [1, 60].map(Duration::from_secs));
    room.options.webhook_pauses = [1, 60].map(Duration::from_millis);
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let settings = json!({ "webhookUrl": hook.listen().await, "webhookUrlToken": "secret" });
    instance.change_settings(settings.as_object().unwrap()).await.unwrap();
    let began = Instant::now();
    let mut tg_id = 0;
    while began.elapsed() < Duration::from_millis(3_600) {
        tg_id += 1;
        instance.take(News::New(Box::new(from_anna(tg_id, &tg_id.to_string())))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(36)).await;
    }
    let tried = hook.texts();
    // 63 s to the first pause of a minute; without a longest one it is twelve tries. The machine is slow, too.
    assert!((20..=70).contains(&tried.len()), "{} tries", tried.len());
    assert!(tried.iter().all(|text| text == "1"), "the head alone: {tried:?}");
    hook.came.lock().unwrap().clear();
    hook.is_up.store(true, Ordering::SeqCst);
    until("all of them came", async || instance.notifications_len().await.unwrap() == 0).await;
    let expected: Vec<String> = (1..=tg_id).map(|tg_id| tg_id.to_string()).collect();
    assert_eq!(hook.texts(), expected);
}

#[tokio::test]
async fn what_a_webhook_missed_comes_to_it_in_order_and_once() {
    let hook = Arc::new(Hook::default());
    let url = hook.listen().await;
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let settings = json!({ "webhookUrl": url, "webhookUrlToken": "secret" });
    instance.change_settings(settings.as_object().unwrap()).await.unwrap();
    for tg_id in 1..=20 {
        instance.take(News::New(Box::new(from_anna(tg_id, &tg_id.to_string())))).await.unwrap();
    }
    let tries = |count: usize| {
        let hook = Arc::clone(&hook);
        async move { until("it was tried", async || hook.came.lock().unwrap().len() >= count).await }
    };
    tries(2).await;
    let receipts = |from: usize| -> Vec<i64> {
        hook.came.lock().unwrap()[from..].iter().map(|(receipt, ..)| *receipt).collect()
    };
    // Two with a pause of a second between them, then two seconds.
    let began = Instant::now();
    tries(3).await;
    assert!(began.elapsed() > Duration::from_millis(1_500), "{:?}", began.elapsed());
    drop(instance);
    let instance = room.open().await;
    tries(4).await;
    let tried = receipts(0);
    assert!(tried.iter().all(|receipt| *receipt == tried[0]), "the head alone: {tried:?}");
    let attempts: Vec<u32> = hook.came.lock().unwrap().iter().map(|(_, attempt, _)| *attempt).collect();
    assert_eq!(attempts[..3], [1, 2, 3]);
    // The third may have been cut short before its failure was noted.
    assert!([3, 4].contains(&attempts[3]), "{attempts:?}");
    hook.came.lock().unwrap().clear();
    hook.is_up.store(true, Ordering::SeqCst);
    until("all of them came", async || instance.notifications_len().await.unwrap() == 0).await;
    let came = hook.came.lock().unwrap();
    assert!(came.is_sorted_by_key(|(receipt, ..)| *receipt));
    drop(came);
    let expected: Vec<String> = (1..=20).map(|tg_id| tg_id.to_string()).collect();
    assert_eq!(hook.texts(), expected);
}
