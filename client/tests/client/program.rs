//! A program that sends and reads a line's messages, as GREEN-API's clients do.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{SOON, Scene, phone};

/// A program with a token.
pub(crate) struct Program {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) instance: String,
    pub(crate) token: String,
}

impl Program {
    /// Gets a token of the running client, and has everything told.
    pub(crate) async fn new(scene: &Scene) -> Self {
        let program = Self::with_token(scene).await;
        let settings = json!({
            "incomingWebhook": "yes", "outgoingWebhook": "yes", "outgoingMessageWebhook": "yes",
            "editedMessageWebhook": "yes", "deletedMessageWebhook": "yes", "delaySendMessagesMilliseconds": 500,
        });
        assert_eq!(program.post("setSettings", settings).await["saveSettings"], true);
        program
    }

    pub(crate) async fn with_token(scene: &Scene) -> Self {
        let end = Instant::now() + SOON;
        let told = loop {
            let done = scene.command(&["token", phone().as_str()]).output().await.unwrap();
            if done.status.success() {
                break String::from_utf8(done.stdout).unwrap();
            }
            assert!(Instant::now() < end, "no token: {done:?}");
            sleep(Duration::from_millis(50)).await;
        };
        let after = |what: &str| {
            let rest = told.split(what).nth(1).unwrap_or_else(|| panic!("{what}: {told}"));
            rest.trim_start().split([' ', '\n', '"']).next().unwrap().to_owned()
        };
        let url = after("curl").split("/waInstance").next().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url, instance: after("idInstance:"), token: after("apiTokenInstance:") }
    }

    pub(crate) fn address(&self, method: &str) -> String {
        format!("{}/waInstance{}/{method}/{}", self.url, self.instance, self.token)
    }

    /// Calls a method that does what it is asked.
    pub(crate) async fn post(&self, method: &str, said: Value) -> Value {
        let (code, told) = self.asked(method, said).await;
        assert_eq!(code, 200, "{method}: {told}");
        told
    }

    pub(crate) async fn asked(&self, method: &str, said: Value) -> (u16, Value) {
        let answer = self.http.post(self.address(method)).body(said.to_string());
        let answer = answer.header("content-type", "application/json").send().await.unwrap();
        let code = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, method: &str) -> Value {
        let answer = self.http.get(self.address(method)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{method}");
        json_of(answer).await
    }

    /// Waits for the next notification and takes it away.
    pub(crate) async fn next(&self) -> Value {
        let answer = self.http.get(format!("{}?receiveTimeout=20", self.address("receiveNotification")));
        let text = answer.send().await.unwrap().text().await.unwrap();
        let told: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let receipt = told["receiptId"].as_i64().unwrap_or_else(|| panic!("nothing is told: {text}"));
        let gone = format!("{}/{receipt}", self.address("deleteNotification"));
        let gone = json_of(self.http.delete(gone).send().await.unwrap()).await;
        assert_eq!(gone["result"], true);
        told["body"].clone()
    }

    /// Waits until a notification is told that is as wanted; those before it are of no interest.
    pub(crate) async fn until(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..50 {
            let body = self.next().await;
            if is_wanted(&body) {
                return body;
            }
        }
        panic!("never told: {what}");
    }

    /// Waits for a status of a message.
    pub(crate) async fn until_status(&self, id: &Value, status: &str) -> Value {
        self.until(status, |body| {
            body["typeWebhook"] == "outgoingMessageStatus"
                && body["idMessage"] == *id
                && body["status"] == status
        })
        .await
    }
}

pub(crate) async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
