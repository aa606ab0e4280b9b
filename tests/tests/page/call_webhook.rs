//! The webhook that is told of a line's calls: what it does not take is on the line's page until it does.

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::browser::Options;
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::program::Kind;

use crate::lamps::scanned;
use crate::looks;
use crate::messages::Hook;
use crate::number::Number;

const CALLER: &str = "+79161111108";

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_calls_that_fails_is_told_on_its_lines_page_until_it_takes_them() {
    let mut stage = PageStage::open().await.unwrap();
    let password = stage.password().await.unwrap();
    let hook = Hook::open().await.unwrap();
    tell_calls(&mut stage, &hook).await.unwrap();
    stage.switch_pbx_on().unwrap();
    let browser = stage.browser(Options::default(), &password).await.unwrap();
    let number = Number::new(&stage, NewUser::new("+79060000008", "Company")).unwrap();
    scanned(&stage, &browser, &number).await.unwrap();
    browser.go(&number.path("")).await.unwrap();
    let site = hook.url.trim_end_matches("/hook");
    browser.says("#call-webhook", site, LIMIT).await.unwrap();
    browser.shows("#call-webhook [data-waiting='0']", LIMIT).await.unwrap();
    browser.run("window.kept = 1").await.unwrap();
    let (caller, _app) = stage.caller(CALLER).await.unwrap();
    caller.device.call(number.account).await.unwrap();
    browser.shows("#call-webhook .webhook-fault[data-fault=now]", LIMIT).await.unwrap();
    for words in ["500 Internal Server Error", "Takes nothing since", "attempts", "tried again in"] {
        browser.says("#call-webhook", words, LIMIT).await.unwrap();
    }
    browser.hides("#call-webhook [data-waiting='0']", LIMIT).await.unwrap();
    let shown = browser.text("#call-webhook").await.unwrap().unwrap();
    assert!(!shown.contains("/hook"), "more than the host is shown: {shown}");
    russian(&stage, &password, &number).await.unwrap();
    hook.works();
    browser.shows("#call-webhook .webhook-fault[data-fault=over]", LIMIT * 2).await.unwrap();
    browser.shows("#call-webhook [data-waiting='0']", LIMIT).await.unwrap();
    browser.says("#call-webhook", "Last one taken", LIMIT).await.unwrap();
    assert_eq!(browser.run("return window.kept").await.unwrap(), 1, "the page was loaded again");
    stage.close().await.unwrap();
}

/// The client tells a webhook of calls from now on.
async fn tell_calls(stage: &mut PageStage, hook: &Hook) -> anyhow::Result<()> {
    let client = stage.client.take().context("the client runs")?;
    client.stop().await?;
    let config = &stage.stage.installation.config;
    let text = std::fs::read_to_string(config)?;
    let told = format!("[api]\ncall_webhook_url = \"{}\"\n", hook.url);
    ensure!(text.contains("[api]\n"), "{text}");
    std::fs::write(config, text.replace("[api]\n", &told))?;
    stage.client = Some(Kind::Client.start(&stage.stage.installation).await?);
    Ok(())
}

async fn russian(stage: &PageStage, password: &str, number: &Number) -> anyhow::Result<()> {
    let browser = stage.browser(Options::default(), password).await?;
    looks::prefer(&browser, "ru").await?;
    browser.go(&number.path("")).await?;
    for words in ["Вебхук звонков", "отвечает 500", "Не принимает с", "ждут событий"]
    {
        browser.says("#call-webhook", words, LIMIT).await?;
    }
    let found = browser.violations().await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}
