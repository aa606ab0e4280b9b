//! An instance without a line, which a partner's program made: logged in by a code, a password and a QR code, logged out and
//! deleted, on its own pages, in Russian.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::ports;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::{self, Stage};

use crate::looks;

const PHONE: &str = "+79060000031";

struct Scene {
    stage: PageStage,
    account: i64,
    api: String,
    /// The instance's number.
    id: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_a_line_is_logged_in_and_deleted_on_its_pages() {
    let mut scene = Scene::open().await.unwrap();
    let password = scene.stage.password().await.unwrap();
    let browser = scene.stage.browser(Options::default(), &password).await.unwrap();
    scene.is_made(&browser).await.unwrap();
    looks::prefer(&browser, "ru").await.unwrap();
    scene.looks(&password).await.unwrap();
    scene.by_code_and_password(&browser).await.unwrap();
    scene.is_logged_out(&browser).await.unwrap();
    scene.by_qr_code(&browser).await.unwrap();
    scene.is_deleted(&browser).await.unwrap();
    scene.stage.close().await.unwrap();
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (page, api, pbx) = (address(ports::free()?), address(ports::free()?), address(ports::free()?));
        let options = stage::Options { page: Some(page), api: Some(api), ..Default::default() };
        let stage = Stage::set_up(options).await?;
        let account = stage.user(NewUser::new(PHONE, "Shop").username("the_shop").password(PASSWORD))?;
        stage.telegram().write_dc_seed(&stage.installation.state, 8)?;
        let client = Some(Kind::Client.start(&stage.installation).await?);
        let origin = format!("http://{page}");
        let stage = PageStage { stage, pbx, exchange: None, gateway: None, client, bot: None, origin };
        Ok(Self { stage, account, api: format!("http://{api}"), id: 0 })
    }

    fn path(&self, rest: &str) -> String {
        format!("/messages/{}{rest}", self.id)
    }

    /// The selector of the instance's lamp.
    fn lamp(standing: &str) -> String {
        format!("#standing .lamp[data-standing={standing}]")
    }

    /// A partner's program makes the instance.
    async fn is_made(&mut self, browser: &Browser) -> anyhow::Result<()> {
        browser.go("/access/partner").await?;
        browser.click("form[action='/access/partner'] button.primary").await?;
        browser.shows("#made code", LIMIT).await?;
        let token = browser.text("#made code").await?.context("a token")?;
        let url = format!("{}/partner/createInstance/{token}", self.api);
        // As the connector of 1C does.
        let settings = json!({"name": "Shop", "webhookUrl": "https://mysite.com/webhook/green-api/"});
        let made = reqwest::Client::new().post(url).json(&settings).send().await?;
        let made: Value = made.error_for_status()?.json().await?;
        self.id = made["idInstance"].as_i64().context("an instance")?;
        browser.go("/messages").await?;
        browser.shows(&format!("#instance-{} .warning[data-warning=example]", self.id), LIMIT).await?;
        browser.click(&format!("#instance-{} h2 a", self.id)).await?;
        let own = self.path("");
        browser.arrives(LIMIT, |path| path == own).await?;
        browser.says("#standing .warning[data-warning=example]", "nothing is sent there", LIMIT).await?;
        browser.shows(&Self::lamp("notAuthorized"), LIMIT).await?;
        Ok(())
    }

    async fn looks(&self, password: &str) -> anyhow::Result<()> {
        let browser = self.stage.browser(Options::default(), password).await?;
        looks::prefer(&browser, "ru").await?;
        let pages = [
            ("instance-without-line", self.path("")),
            ("instance-login", self.path("/login")),
            ("instance-login-qr", self.path("/login?way=qr")),
            ("instance-login-code", self.path("/login?way=code")),
        ];
        looks::of(&browser, "ru", &pages).await
    }

    /// What is wrong is said beside its field, and what is right leads on.
    async fn by_code_and_password(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("")).await?;
        browser.click("#actions a.primary").await?;
        browser.click("#signin a[href$='way=code']").await?;
        self.answers(browser, "phone", "12", "Номер +12 не годится: нужен номер с кодом страны").await?;
        self.types(browser, "phone", PHONE).await?;
        browser.shows("#signin[data-step=code]", LIMIT).await?;
        let code = self.stage.stage.world().pending_login_code(PHONE).context("a code was sent")?;
        let wrong = if code == "00000" { "11111" } else { "00000" };
        self.answers(browser, "code", wrong, "Код неверный").await?;
        self.types(browser, "code", &code).await?;
        browser.shows("#signin[data-step=password]", LIMIT).await?;
        self.answers(browser, "password", "battery staple", "Пароль неверный").await?;
        self.types(browser, "password", PASSWORD).await?;
        self.is_in(browser).await
    }

    async fn types(&self, browser: &Browser, field: &str, text: &str) -> anyhow::Result<()> {
        browser.type_in(&format!("#signin input[name={field}]"), text).await?;
        browser.click(&format!("#signin form[action$='/login/{field}'] button.primary")).await
    }

    async fn answers(&self, browser: &Browser, field: &str, text: &str, words: &str) -> anyhow::Result<()> {
        self.types(browser, field, text).await?;
        browser.says(&format!("#signin [data-problem={field}]"), words, LIMIT).await?;
        Ok(())
    }

    async fn is_in(&self, browser: &Browser) -> anyhow::Result<()> {
        let own = self.path("");
        browser.arrives(LIMIT, |path| path == own).await?;
        browser.says("#toasts", "Вход выполнен", LIMIT).await?;
        browser.shows(&Self::lamp("authorized"), LIMIT * 2).await?;
        browser.says(".line-title", "@the_shop", LIMIT).await?;
        Ok(())
    }

    /// Whoever logs out is told first what stops.
    async fn is_logged_out(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.click("#actions form[action$='/logout'] button").await?;
        browser
            .says("dialog#confirm[open] .more", "Уведомления людям через этот аккаунт прекратятся", LIMIT)
            .await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#toasts", "Выход выполнен", LIMIT).await?;
        browser.shows(&Self::lamp("notAuthorized"), LIMIT).await?;
        Ok(())
    }

    /// The code is scanned by the account's phone; what is asked for then is there without a reload.
    async fn by_qr_code(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.click("#actions a.primary").await?;
        browser.click("#signin a[href$='way=qr']").await?;
        browser.shows("#signin[data-step=qr] figure.qr svg", LIMIT).await?;
        let link = browser.attribute("#signin a[href^='tg://login']", "href").await?.context("a link")?;
        let token = link.split_once("token=").context("a token")?.1;
        let token = URL_SAFE_NO_PAD.decode(token.trim_end_matches('='))?;
        let scanned = self.stage.stage.world().accept_login_token(self.account, &token);
        scanned.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        browser.shows("#signin[data-step=password]", LIMIT).await?;
        self.types(browser, "password", PASSWORD).await?;
        self.is_in(browser).await
    }

    async fn is_deleted(&self, browser: &Browser) -> anyhow::Result<()> {
        let folder = self.stage.stage.installation.state.join(format!("instances/{}", self.id));
        ensure!(folder.exists(), "{}", folder.display());
        browser.click("details:has(form[action$='/delete']) summary").await?;
        browser.click("form[action$='/delete'] button.danger").await?;
        browser.says("dialog#confirm[open]", "Вернуть их нельзя", LIMIT).await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.arrives(LIMIT, |path| path == "/messages").await?;
        browser.hides(&format!("#instance-{}", self.id), LIMIT).await?;
        ensure!(!folder.exists(), "{} is there still", folder.display());
        Ok(())
    }
}
