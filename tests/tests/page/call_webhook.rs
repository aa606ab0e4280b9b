//! The webhook that is told of a line's calls: what it does not take is on the line's page until it does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::program::Kind;
use tokio::time::{Instant, sleep};

use crate::lamps::scanned;
use crate::looks;
use crate::number::Number;
use crate::receiver::Receiver;

const CALLER: &str = "+79161111108";
const FAULT: &str = "#call-webhook .webhook-fault[data-fault=now]";

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_calls_that_fails_is_told_on_its_lines_page_until_it_takes_them() {
    let mut stage = PageStage::open().await.unwrap();
    let password = stage.password().await.unwrap();
    let mut receiver = Receiver::start().await.unwrap();
    tell_calls(&mut stage, &receiver).await.unwrap();
    stage.switch_pbx_on().unwrap();
    let browser = stage.browser(Options::default(), &password).await.unwrap();
    let number = Number::new(&stage, NewUser::new("+79060000008", "Company")).unwrap();
    scanned(&stage, &browser, &number).await.unwrap();
    browser.go(&number.path("")).await.unwrap();
    let site = receiver.url.trim_end_matches("/hook");
    browser.says("#call-webhook", site, LIMIT).await.unwrap();
    browser.shows("#call-webhook [data-waiting='0']", LIMIT).await.unwrap();
    browser.run("window.kept = 1").await.unwrap();
    let (caller, _app) = stage.caller(CALLER).await.unwrap();
    caller.device.call(number.account).await.unwrap();
    browser.shows(FAULT, LIMIT).await.unwrap();
    for words in ["500 Internal Server Error", "Takes nothing since", "attempts", "tried again in"] {
        browser.says("#call-webhook", words, LIMIT).await.unwrap();
    }
    browser.hides("#call-webhook [data-waiting='0']", LIMIT).await.unwrap();
    browser.says("#call-webhook .letter[data-stuck=yes]", "call.start", LIMIT).await.unwrap();
    let shown = browser.text("#call-webhook").await.unwrap().unwrap();
    assert!(!shown.contains("/hook"), "more than the host is shown: {shown}");
    russian(&stage, &password, &number).await.unwrap();
    tried_by_a_click(&browser, &receiver).await.unwrap();
    assert_eq!(browser.run("return window.kept").await.unwrap(), 1, "the page was loaded again");
    fault_outlives_the_client(&mut stage, &browser, &number).await.unwrap();
    skipped(&browser, &mut receiver).await.unwrap();
    stage.close().await.unwrap();
}

/// The client tells a webhook of calls from now on.
async fn tell_calls(stage: &mut PageStage, receiver: &Receiver) -> anyhow::Result<()> {
    let client = stage.client.take().context("the client runs")?;
    client.stop().await?;
    let config = &stage.stage.installation.config;
    let text = std::fs::read_to_string(config)?;
    let told = format!("[api]\ncall_webhook_url = \"{}\"\n", receiver.url);
    ensure!(text.contains("[api]\n"), "{text}");
    std::fs::write(config, text.replace("[api]\n", &told))?;
    stage.client = Some(Kind::Client.start(&stage.stage.installation).await?);
    Ok(())
}

async fn russian(stage: &PageStage, password: &str, number: &Number) -> anyhow::Result<()> {
    let browser = stage.browser(Options::default(), password).await?;
    looks::prefer(&browser, "ru").await?;
    browser.go(&number.path("")).await?;
    for words in
        ["Вебхук звонков", "отвечает 500", "Не принимает с", "ждут событий", "Повторить сейчас", "Пропустить"]
    {
        browser.says("#call-webhook", words, LIMIT).await?;
    }
    let found = browser.violations().await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

/// By itself it would be tried again 16 s after the fifth time.
async fn tried_by_a_click(browser: &Browser, receiver: &Receiver) -> anyhow::Result<()> {
    browser.shows("#call-webhook .webhook-fault[data-attempts='5']", LIMIT * 2).await?;
    let refused = receiver.refused();
    browser.click("#call-webhook form[action$='/webhook/push'] button").await?;
    browser.says("#toasts", "The webhook is tried now", LIMIT).await?;
    receiver.refuses_again(refused, Duration::from_secs(5)).await?;
    browser.hides("#call-webhook .webhook-fault[data-attempts='5']", LIMIT).await?;
    Ok(())
}

/// The client is killed while its webhook fails, and started again.
async fn fault_outlives_the_client(
    stage: &mut PageStage,
    browser: &Browser,
    number: &Number,
) -> anyhow::Result<()> {
    let since = browser.attribute(FAULT, "data-failing-since").await?.context("since when")?;
    stage.client.take().context("the client runs")?.kill().await?;
    sleep(Duration::from_secs(1)).await;
    stage.client = Some(Kind::Client.start(&stage.stage.installation).await?);
    let still = format!("{FAULT}[data-failing-since='{since}']");
    // While the line is being opened there is no page of it.
    let until = Instant::now() + LIMIT * 2;
    loop {
        browser.go(&number.path("")).await?;
        if browser.shows(&still, Duration::from_secs(2)).await.is_ok() {
            return Ok(());
        }
        ensure!(Instant::now() < until, "not since {since}: {}", browser.words().await?);
    }
}

/// What is never taken is skipped, and all that waits behind it is taken.
async fn skipped(browser: &Browser, receiver: &mut Receiver) -> anyhow::Result<()> {
    receiver.refuses("call.start").await?;
    ensure!(receiver.took().is_empty(), "{:?}", receiver.took());
    browser.click("#call-webhook form[action$='/skip'] button").await?;
    browser.says("dialog#confirm[open]", "Nobody is told of it", LIMIT).await?;
    browser.click("dialog#confirm[open] button[value=yes]").await?;
    browser.says("#toasts", "The event is skipped", LIMIT).await?;
    browser.shows("#call-webhook .webhook-fault[data-fault=over]", LIMIT * 2).await?;
    browser.shows("#call-webhook [data-waiting='0']", LIMIT).await?;
    browser.says("#call-webhook", "Last one taken", LIMIT).await?;
    ensure!(browser.count("#call-webhook form").await? == 0, "there is nothing to try or to skip");
    let took = receiver.took();
    let events: Vec<&str> = took.iter().filter_map(|event| event["event"].as_str()).collect();
    ensure!(!events.is_empty() && !events.contains(&"call.start"), "{took:?}");
    Ok(())
}
