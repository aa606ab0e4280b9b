//! A program brings a number up by JSON alone, as a person does by the forms: the gateway's session, through each question
//! of its login, and back out of it.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tokio::time::{Instant, sleep};

use crate::number::Number;

const HINT: &str = "what the horse said";

/// A program that is let in.
struct Api {
    http: reqwest::Client,
    url: String,
    session: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_leads_the_gateways_login_through_every_question() {
    let stage = PageStage::open().await.unwrap();
    let user = NewUser::new("+79060000009", "Company").password(PASSWORD).hint(HINT);
    let number = Number::new(&stage, user).unwrap();
    let api = Api::open(&stage).await.unwrap();
    logged_in(&stage, &api, &number).await.unwrap();
    again_from_orange(&stage, &api, &number).await.unwrap();
    logged_out(&stage, &api, &number).await.unwrap();
    stage.close().await.unwrap();
}

impl Api {
    async fn open(stage: &PageStage) -> anyhow::Result<Self> {
        let password = stage.password().await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/api/v1", stage.origin);
        let mut api = Self { http, url, session: String::new() };
        let told = api.post("login", json!({"password": password})).await?;
        api.session = told["token"].as_str().context("a token")?.to_owned();
        Ok(api)
    }

    async fn post(&self, path: &str, said: Value) -> anyhow::Result<Value> {
        told(self.http.post(format!("{}/{path}", self.url)).bearer_auth(&self.session).json(&said)).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        told(self.http.get(format!("{}/{path}", self.url)).bearer_auth(&self.session)).await
    }

    /// Takes a step of the gateway's login, which leads to a stage.
    async fn step(&self, number: &Number, step: &str, said: Value, stage: &str) -> anyhow::Result<Value> {
        let told = self.post(&format!("{}/{step}", auth(number)), said).await?;
        ensure!(told["stage"] == stage, "{step}: {told}");
        Ok(told)
    }

    /// Waits until a program's session of a line is of a colour.
    async fn until_lamp(&self, number: &Number, part: &str, lamp: &str) -> anyhow::Result<Value> {
        let until = Instant::now() + LIMIT * 2;
        loop {
            let line = self.get(&format!("lines/{}", number.phone)).await?;
            if line[part]["telegram"]["lamp"] == lamp {
                return Ok(line);
            }
            ensure!(Instant::now() < until, "{part} never {lamp}: {line}");
            sleep(LIMIT / 100).await;
        }
    }
}

async fn told(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn auth(number: &Number) -> String {
    format!("lines/{}/gateway/auth", number.phone)
}

/// A line is added; code and password, both wrong at first; the client follows by itself.
async fn logged_in(stage: &PageStage, api: &Api, number: &Number) -> anyhow::Result<()> {
    let port: u16 = number.sip.rsplit(':').next().unwrap_or_default().parse()?;
    let line = json!({"phone": number.phone, "pbx": stage.pbx.to_string(), "sip_port": port});
    api.post("lines", line).await?;
    let until = Instant::now() + LIMIT;
    while api.get(&auth(number)).await.ok().is_none_or(|told| told["stage"] != "start") {
        ensure!(Instant::now() < until, "the gateway does not have the line");
        sleep(LIMIT / 100).await;
    }
    api.until_lamp(number, "gateway", "red").await?;
    let shown = api.step(number, "start", json!({"method": "qr"}), "qr").await?;
    ensure!(shown["token"].is_string(), "{shown}");
    let asked = api.step(number, "start", json!({"method": "code"}), "code").await?;
    ensure!(asked["via"].is_string() && asked["problem"].is_null(), "{asked}");
    let code = stage.stage.world().pending_login_code(&number.phone).context("a code was sent")?;
    let wrong = if code == "00000" { "11111" } else { "00000" };
    let told = api.step(number, "code", json!({"code": wrong}), "code").await?;
    ensure!(told["problem"]["ru"].is_string(), "{told}");
    let told = api.step(number, "code", json!({"code": code}), "password").await?;
    ensure!(told["hint"] == HINT && told["problem"].is_null(), "{told}");
    let told = api.step(number, "password", json!({"password": "battery staple"}), "password").await?;
    ensure!(told["problem"]["en"].is_string(), "{told}");
    let done = api.step(number, "password", json!({"password": PASSWORD}), "done").await?;
    ensure!(done["account"]["id"] == number.account, "{done}");
    for part in ["gateway", "client"] {
        api.until_lamp(number, part, "green").await?;
    }
    Ok(())
}

/// The line waits for its PBX. A login begins again there, also with its code pending, and is given up again.
async fn again_from_orange(stage: &PageStage, api: &Api, number: &Number) -> anyhow::Result<()> {
    let line = api.get(&format!("lines/{}", number.phone)).await?;
    ensure!(line["gateway"]["sip"]["lamp"] == "orange", "{line}");
    let code = || stage.stage.world().pending_login_code(&number.phone);
    api.step(number, "start", json!({"method": "code"}), "code").await?;
    ensure!(code().is_some(), "no code was sent");
    api.step(number, "start", json!({"method": "qr"}), "qr").await?;
    ensure!(code().is_none(), "the code that nobody will type in is pending still");
    api.step(number, "start", json!({"method": "code"}), "code").await?;
    ensure!(code().is_some(), "no second code was sent");
    api.step(number, "start", json!({"method": "code"}), "code").await?;
    api.step(number, "cancel", json!({}), "done").await?;
    ensure!(code().is_none(), "a code is pending after all");
    api.until_lamp(number, "gateway", "green").await?;
    Ok(())
}

async fn logged_out(stage: &PageStage, api: &Api, number: &Number) -> anyhow::Result<()> {
    let keys = stage.stage.world().keys_of(number.account).len();
    api.step(number, "logout", json!({}), "start").await?;
    api.until_lamp(number, "gateway", "red").await?;
    let left = stage.stage.world().keys_of(number.account).len();
    ensure!(left + 1 == keys, "{keys} sessions at Telegram, and {left} after the log-out");
    Ok(())
}
