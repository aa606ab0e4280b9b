//! A program that fetches one notification again and again, as 1C does with one that it cannot read, sees no other.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tokio::time::{Instant, sleep};

use super::Scene;
use crate::looks;

/// Programs that are well take a notification away within this time.
const PATIENCE: Duration = Duration::from_secs(120);
const BAD: &str = "1C cannot read this";
const NEXT: &str = "nobody sees this before";
const WARNING: &str = "[data-warning=left]";

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_a_program_fetches_and_never_deletes_is_told_and_skipped() {
    let mut scene = Scene::open().await.unwrap();
    let password = scene.stage.password().await.unwrap();
    let browser = scene.stage.browser(Options::default(), &password).await.unwrap();
    scene.instance_is_seen(&browser).await.unwrap();
    scene.token_is_shown_once(&browser).await.unwrap();
    scene.program_sticks_at_one(&browser).await.unwrap();
    scene.warning_is_shown(&browser, &password).await.unwrap();
    scene.next_comes_when_it_is_skipped(&browser).await.unwrap();
    scene.stage.close().await.unwrap();
}

impl Scene {
    /// What a program fetches: the notification's number, and what Anna wrote. None where nothing waits.
    async fn fetch(&self) -> anyhow::Result<Option<(i64, String)>> {
        let method = format!("{}/waInstance{}/receiveNotification/{}", self.api, self.id, self.token);
        let asked = reqwest::Client::new().get(format!("{method}?receiveTimeout=5")).send().await?;
        let told: Value = asked.error_for_status()?.json().await?;
        if told.is_null() {
            return Ok(None);
        }
        let text = told["body"]["messageData"]["textMessageData"]["textMessage"].as_str();
        let text = text.with_context(|| format!("a message: {told}"))?.to_owned();
        Ok(Some((told["receiptId"].as_i64().with_context(|| format!("a number: {told}"))?, text)))
    }

    /// Fetching is no fault as long as it is not for minutes.
    async fn program_sticks_at_one(&self, browser: &Browser) -> anyhow::Result<()> {
        self.post("setSettings", json!({"incomingWebhook": "yes", "webhookUrl": ""})).await?;
        browser.go(&self.path("")).await?;
        self.hear(BAD)?;
        head_holds(browser, BAD).await?;
        self.hear(NEXT)?;
        browser.says("#notifications .badge", "2", LIMIT).await?;
        let first = self.fetch().await?;
        ensure!(first.as_ref().is_some_and(|(_, text)| text == BAD), "{first:?}");
        for _ in 1..5 {
            let again = self.fetch().await?;
            ensure!(again == first, "{again:?} after {first:?}");
        }
        browser.go(&self.path("")).await?;
        let warned = browser.count(WARNING).await?;
        ensure!(warned == 0, "a program that is only slow is told of");
        Ok(())
    }

    /// The page that is open tells of it, and all others; in both languages.
    async fn warning_is_shown(&self, browser: &Browser, password: &str) -> anyhow::Result<()> {
        sleep(PATIENCE).await;
        self.fetch().await?;
        let shown = format!("#standing {WARNING}");
        browser.shows(&shown, LIMIT).await?;
        browser.says(&shown, "fetched the first notification 6 times and does not delete it", LIMIT).await?;
        browser.shows("#notifications .letter[data-stuck=yes]", LIMIT).await?;
        head_holds(browser, BAD).await?;
        browser.go("/messages").await?;
        browser
            .says(&format!("#instances .instance {WARNING}"), "If it cannot read it, skip it", LIMIT)
            .await?;
        let russian = self.stage.browser(Options::default(), password).await?;
        looks::prefer(&russian, "ru").await?;
        russian.go(&self.path("")).await?;
        russian.says(&shown, "забрала первое уведомление 6 раз и не удаляет его", LIMIT).await?;
        Ok(())
    }

    async fn next_comes_when_it_is_skipped(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("")).await?;
        browser.click("#notifications form[action$='/skip'] button").await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        head_holds(browser, NEXT).await?;
        browser.shows("#notifications .letter:not([data-stuck])", LIMIT).await?;
        browser.hides(&format!("#standing {WARNING}"), LIMIT).await?;
        let (receipt, text) = self.fetch().await?.context("the next notification")?;
        ensure!(text == NEXT, "{text}");
        let (api, id, token) = (&self.api, &self.id, &self.token);
        let url = format!("{api}/waInstance{id}/deleteNotification/{token}/{receipt}");
        let deleted: Value = reqwest::Client::new().delete(url).send().await?.json().await?;
        ensure!(deleted["result"] == true, "{deleted}");
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        let more = self.fetch().await?;
        ensure!(more.is_none(), "{more:?}");
        Ok(())
    }
}

/// Waits until the notification that is shown has these words.
async fn head_holds(browser: &Browser, words: &str) -> anyhow::Result<()> {
    let script = "return document.querySelector('#notifications pre.body')?.textContent ?? ''";
    let end = Instant::now() + LIMIT;
    loop {
        let shown = browser.run(script).await?;
        if shown.as_str().is_some_and(|shown| shown.contains(words)) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{words:?} is not in {shown}");
        sleep(LIMIT / 100).await;
    }
}
