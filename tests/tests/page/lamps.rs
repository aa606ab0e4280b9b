//! Lamps that follow the truth, on a page that nobody loads again: programs that die and come back, sessions that end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::program::Kind;
use tokio::time::Instant;

use crate::number::{Number, all_green, colours, lamp, watch_lamps};

/// A program that is gone is orange within this.
const GONE_LIMIT: Duration = Duration::from_secs(3);
/// A session that was ended elsewhere is red within this.
const REVOKED_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn lamps_follow_programs_and_sessions_without_a_reload() {
    let mut stage = PageStage::open().await.unwrap();
    stage.switch_pbx_on().unwrap();
    let password = stage.password().await.unwrap();
    let browser = stage.browser(Options::default(), &password).await.unwrap();
    let number = Number::new(&stage, NewUser::new("+79060000002", "Company")).unwrap();
    scanned(&stage, &browser, &number).await.unwrap();
    number.give_bot(&stage, &browser, "acme_bot").await.unwrap();
    browser.go("/").await.unwrap();
    all_green(&browser, LIMIT).await.unwrap();
    browser.run("window.neverReloaded = true").await.unwrap();
    watch_lamps(&browser).await.unwrap();
    bot_dies(&mut stage, &browser).await.unwrap();
    gateway_dies(&mut stage, &browser).await.unwrap();
    client_dies(&mut stage, &browser).await.unwrap();
    assert_eq!(browser.run("return window.neverReloaded").await.unwrap(), true, "the page was loaded again");
    revoked(&stage, &browser, &number).await.unwrap();
    // The bot's own end, and that of the gateway, which it presses keys at.
    let bot = colours(&browser, "bot").await.unwrap();
    assert_eq!(bot, "green orange green orange green");
    stage.close().await.unwrap();
}

/// A login by QR code that a phone accepts; the client follows by itself.
pub(crate) async fn scanned(stage: &PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    let (mut app, users) = stage.app(&number.phone).await?;
    number.add(stage, browser, "").await?;
    browser.click("#steps form:has(input[value=qr]) button").await?;
    browser.shows("#steps[data-stage=qr] figure.qr svg", LIMIT).await?;
    let link = browser.attribute("#steps a[href^='tg://login']", "href").await?.context("a link")?;
    let token = link.strip_prefix("tg://login?token=").context("a token")?;
    app.accept(token, LIMIT).await?;
    browser.shows("#steps[data-stage=done]", LIMIT).await?;
    browser.shows(&lamp("gateway", "green"), LIMIT).await?;
    browser.shows(&lamp("client", "green"), LIMIT * 2).await?;
    users.quit().await
}

async fn bot_dies(stage: &mut PageStage, browser: &Browser) -> anyhow::Result<()> {
    stage.bot.take().context("the bot runs")?.kill().await?;
    browser.shows(&lamp("bot", "orange"), GONE_LIMIT).await?;
    stage.bot = Some(Kind::Bot.start(&stage.stage.installation).await?);
    all_green(browser, LIMIT).await
}

async fn gateway_dies(stage: &mut PageStage, browser: &Browser) -> anyhow::Result<()> {
    stage.gateway.take().context("the gateway runs")?.kill().await?;
    browser.shows(&lamp("gateway", "orange"), GONE_LIMIT).await?;
    stage.gateway = Some(Gateway::start(&stage.stage.installation).await?);
    all_green(browser, LIMIT * 2).await
}

/// The page itself loses who serves it, says so, and finds it again.
async fn client_dies(stage: &mut PageStage, browser: &Browser) -> anyhow::Result<()> {
    stage.client.take().context("the client runs")?.kill().await?;
    let began = Instant::now();
    browser.shows(&lamp("client", "orange"), GONE_LIMIT).await?;
    browser.shows("#lost:not([hidden])", GONE_LIMIT.saturating_sub(began.elapsed())).await?;
    stage.client = Some(Kind::Client.start(&stage.stage.installation).await?);
    browser.shows("#lost[hidden]", LIMIT).await?;
    all_green(browser, LIMIT * 2).await
}

/// The account's owner ends the sessions in Telegram.
async fn revoked(stage: &PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    stage.stage.world().revoke_user(number.account, "SESSION_REVOKED");
    let began = Instant::now();
    for part in ["gateway", "client"] {
        browser.shows(&lamp(part, "red"), REVOKED_LIMIT.saturating_sub(began.elapsed())).await?;
    }
    let why = browser.text(".reason.red").await?.unwrap_or_default();
    ensure!(why.contains("Telegram ended the session"), "the reason is said in words: {why}");
    browser.click(".reason.red a[href$='/login/gateway']").await?;
    browser.shows("#steps[data-stage=start]", LIMIT).await?;
    Ok(())
}
