//! An operator's first day, on one installation: in by the printed password, a number brought up by code and password, its
//! bot, its texts, a call that is seen, heard of and hung up, both languages; and at last every page is looked at.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Audience, PrivacyKind};
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::{Caller, LIMIT};
use tgtrunk_tests::page_stage::PageStage;
use tokio::time::{Instant, sleep};

use crate::number::{Number, all_green, colours, lamp, watch_lamps};
use crate::{looks, plain};

const HINT: &str = "what the horse said";
const CALLER: &str = "+79161111100";
const TEXT: &str = "Good day! Press your extension";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_brings_a_number_up_runs_it_and_likes_what_is_seen() {
    let mut stage = PageStage::open().await.unwrap();
    let password = stage.password().await.unwrap();
    let browser = Browser::open(&stage.origin, Options::default()).await.unwrap();
    first_login(&browser, &password).await.unwrap();
    looks::of_the_first_steps(&stage, &password).await.unwrap();
    let user = NewUser::new("+79060000001", "Company").password(PASSWORD).hint(HINT);
    let number = Number::new(&stage, user).unwrap();
    number.add(&stage, &browser, "Acme").await.unwrap();
    code_and_password(&mut stage, &browser, &number).await.unwrap();
    number.give_bot(&stage, &browser, "acme_bot").await.unwrap();
    green(&browser, &number).await.unwrap();
    mended(&stage, &browser, &number).await.unwrap();
    texts(&browser, &number).await.unwrap();
    let (mut caller, _app) = stage.caller(CALLER).await.unwrap();
    let call = call_is_seen(&stage, &browser, &number, &mut caller).await.unwrap();
    again_from_green(&stage, &browser, &number).await.unwrap();
    hung_up(&browser, &mut caller, call).await.unwrap();
    languages(&browser).await.unwrap();
    mistakes_alone(&browser, &stage, &number).await.unwrap();
    plain::works_without_scripts(&stage, &number, &password).await.unwrap();
    let waits = second_number(&stage, &browser).await.unwrap();
    switched_off(&stage, &browser).await.unwrap();
    let _talk = talk(&stage, &number, &mut caller).await.unwrap();
    looks::of_every_page(&stage, &number, &waits, &password).await.unwrap();
    stage.close().await.unwrap();
}

async fn first_login(browser: &Browser, password: &str) -> anyhow::Result<()> {
    browser.go("/").await?;
    browser.arrives(LIMIT, |path| path.starts_with("/login")).await?;
    browser.type_in("input[name=password]", "not the password").await?;
    browser.click("form[action='/login'] button").await?;
    browser.shows(".wrong .problem:not([hidden])", LIMIT).await?;
    browser.type_in("input[name=password]", password).await?;
    browser.click("form[action='/login'] button").await?;
    browser.arrives(LIMIT, |path| path == "/").await?;
    browser.shows("#overall.welcome", LIMIT).await?;
    Ok(())
}

/// A wrong code, the right one, a wrong password, the right one; the client follows by itself, and the gateway's lamp waits
/// for the PBX.
async fn code_and_password(stage: &mut PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    for part in ["gateway", "client"] {
        browser.shows(&lamp(part, "red"), LIMIT).await?;
    }
    watch_lamps(browser).await?;
    browser.click("#steps form[action$='/start'] button.primary").await?;
    browser.shows("#steps[data-stage=code]", LIMIT).await?;
    let code = stage.stage.world().pending_login_code(&number.phone).context("a code was sent")?;
    let wrong = if code == "00000" { "11111" } else { "00000" };
    browser.type_in("#steps input[name=code]", wrong).await?;
    browser.click("#steps form[action$='/code'] button.primary").await?;
    browser.shows("#steps .wrong .problem:not([hidden])", LIMIT).await?;
    browser.type_in("#steps input[name=code]", &code).await?;
    browser.click("#steps form[action$='/code'] button.primary").await?;
    browser.shows("#steps[data-stage=password]", LIMIT).await?;
    browser.says("#steps", HINT, LIMIT).await?;
    browser.type_in("#steps input[name=password]", "battery staple").await?;
    browser.click("#steps form[action$='/password'] button.primary").await?;
    browser.shows("#steps .wrong .problem:not([hidden])", LIMIT).await?;
    browser.type_in("#steps input[name=password]", PASSWORD).await?;
    browser.click("#steps form[action$='/password'] button.primary").await?;
    browser.shows("#steps[data-stage=done]", LIMIT).await?;
    browser.shows(&lamp("client", "green"), LIMIT * 2).await?;
    browser.shows(&lamp("gateway", "orange"), LIMIT).await?;
    again_from_orange(stage, browser, number).await?;
    stage.switch_pbx_on()?;
    browser.shows(&lamp("gateway", "green"), LIMIT).await?;
    let gateway = colours(browser, "gateway").await?;
    ensure!(gateway == "red orange green", "gateway: {gateway}");
    // Its session is let in and connected in one step: it may be waiting for no longer than the page needs to tell it.
    let client = colours(browser, "client").await?;
    ensure!(client.starts_with("red") && client.ends_with("green"), "client: {client}");
    let world = stage.stage.world();
    let codes = world.journal(0).iter().filter(|entry| entry.method == "auth.signIn").count();
    ensure!(codes == 2, "{codes} codes were typed in: the client needs none");
    ensure!(world.keys_of(number.account).len() >= 2, "each program has a session of its own");
    Ok(())
}

async fn green(browser: &Browser, number: &Number) -> anyhow::Result<()> {
    browser.go(&number.path("/settings")).await?;
    all_green(browser, LIMIT).await?;
    browser.go(&number.path("")).await?;
    browser.says(".line-title .address", &number.sip, LIMIT).await?;
    browser.shows("#checks .check[data-found]", LIMIT).await?;
    browser.go("/").await?;
    browser.shows("#overall[data-lamp=green]", LIMIT).await?;
    browser.click(".line .copy").await?;
    browser.says("#toasts", "Copied", LIMIT).await?;
    browser.go(&number.path("/pbx")).await?;
    browser.says("#main", &number.sip, LIMIT).await?;
    browser.go("/system/log").await?;
    browser.click("button.copy[data-copy-from=log]").await?;
    browser.says("#toasts", "Copied", LIMIT).await?;
    Ok(())
}

/// Whoever may not call the account is let in by the button beside it.
async fn mended(stage: &PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    let world = stage.stage.world();
    world.set_privacy(number.account, PrivacyKind::PhoneCall, Audience::Contacts);
    browser.go(&number.path("")).await?;
    browser.click("#checks form[action$='/checks'] button").await?;
    let button = "#checks form[action$='/checks/calls_from_everybody/fix'] button";
    browser.shows(button, LIMIT).await?;
    browser.click(button).await?;
    browser.hides(button, LIMIT).await?;
    let rules = world.privacy(number.account);
    let rule = rules.iter().find(|rule| rule.kind == PrivacyKind::PhoneCall).context("a rule")?;
    ensure!(rule.audience == Audience::Everybody, "{:?}", rule.audience);
    Ok(())
}

/// What is wrong in a text is said; what is right is kept, and callers will see it.
async fn texts(browser: &Browser, number: &Number) -> anyhow::Result<()> {
    browser.go(&number.path("/texts?language=en")).await?;
    browser.type_in("textarea[name=keypad]", "Hello {nobody_knows_this}").await?;
    browser.click("form.texts .save button.primary").await?;
    browser.shows(".text .wrong .problem:not([hidden])", LIMIT).await?;
    browser.type_in("textarea[name=keypad]", TEXT).await?;
    browser.says("[data-fill=keypad]", TEXT, LIMIT).await?;
    browser.click("form.texts .save button.primary").await?;
    browser.hides(".text .wrong", LIMIT).await?;
    browser.shows("#toasts .toast:not([role=alert])", LIMIT).await?;
    browser.go(&number.path("/texts?language=en")).await?;
    let kept = browser.run("return document.querySelector('textarea[name=keypad]').value").await?;
    ensure!(kept == TEXT, "{kept}");
    Ok(())
}

/// A call is on the page when it is up, with who calls and how loud both sides are.
async fn call_is_seen(
    stage: &PageStage,
    browser: &Browser,
    number: &Number,
    caller: &mut Caller,
) -> anyhow::Result<i64> {
    browser.go("/calls").await?;
    browser.hides("#live [data-call]", LIMIT).await?;
    let call = caller.device.call(number.account).await?;
    let keypad = caller.chat.message("the keypad", LIMIT, |seen| !seen.buttons.is_empty()).await?;
    ensure!(keypad.text.contains(TEXT), "the keypad says {:?}", keypad.text);
    caller.device.connected(LIMIT).await?;
    browser.shows("#live [data-call][data-state=answered]", LIMIT).await?;
    browser.says("#live [data-call] .peer", "Anna", LIMIT).await?;
    let until = Instant::now() + LIMIT;
    // Bars above and below the middle that are taller than the line of silence.
    let script = "\
        const canvas = document.querySelector('#live canvas.levels');
        const { width, height } = canvas;
        const dots = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        const filled = (from, to) => {
          for (let y = from; y < to; y++) for (let x = 0; x < width; x++) if (dots[(y * width + x) * 4 + 3] > 60) return true;
          return false;
        };
        return [filled(0, Math.floor(height / 4)), filled(Math.ceil(height * 3 / 4), height)]";
    loop {
        let drawn = browser.run(script).await?;
        if drawn == serde_json::json!([true, true]) {
            break;
        }
        ensure!(Instant::now() < until, "levels of Telegram and PBX are drawn: {drawn}");
        sleep(Duration::from_millis(100)).await;
    }
    browser.says("#live [data-call] .sound", "Opus", LIMIT).await?;
    let timer = browser.text("#live [data-call] .timer").await?.unwrap_or_default();
    sleep(Duration::from_millis(1_500)).await;
    let later = browser.text("#live [data-call] .timer").await?.unwrap_or_default();
    ensure!(timer.starts_with("0:") && later > timer, "the call's time: {timer}, then {later}");
    let exchange = stage.exchange.as_ref().context("the PBX is on")?;
    ensure!(exchange.offered().len() == 1, "{}", exchange.errors());
    Ok(call)
}

/// A login can begin again while the line works; who does it is told of the calls that are up, and can still go back.
async fn again_from_green(stage: &PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    browser.go(&number.path("/login/gateway")).await?;
    browser.shows("#steps[data-stage=done]", LIMIT).await?;
    browser.click("#steps .done ~ .actions form[action$='/start'] button").await?;
    browser.says("dialog#confirm[open] .more", "1 call is up", LIMIT).await?;
    browser.click("dialog#confirm button[value=no]").await?;
    browser.hides("dialog#confirm[open]", LIMIT).await?;
    browser.click("#steps .done ~ .actions form[action$='/start'] button").await?;
    browser.click("dialog#confirm[open] button[value=yes]").await?;
    browser.shows("#steps[data-stage=code]", LIMIT).await?;
    ensure!(stage.stage.world().pending_login_code(&number.phone).is_some(), "a code was sent");
    browser.click("#steps form[action$='/cancel'] button").await?;
    browser.shows("#steps[data-stage=done]", LIMIT).await?;
    browser.shows(&lamp("gateway", "green"), LIMIT).await?;
    Ok(())
}

/// A login can begin again while the line waits for its PBX, also where a code is pending already.
async fn again_from_orange(stage: &PageStage, browser: &Browser, number: &Number) -> anyhow::Result<()> {
    let code = || stage.stage.world().pending_login_code(&number.phone);
    browser.click("#steps .done ~ .actions form[action$='/start'] button").await?;
    browser.click("dialog#confirm[open] button[value=yes]").await?;
    browser.shows("#steps[data-stage=code]", LIMIT).await?;
    ensure!(code().is_some(), "a code was sent");
    browser.click("#steps button[value=qr]").await?;
    browser.shows("#steps[data-stage=qr]", LIMIT).await?;
    ensure!(code().is_none(), "the code that nobody will type in is pending still");
    browser.click("#steps button[value=code]").await?;
    browser.shows("#steps[data-stage=code]", LIMIT).await?;
    ensure!(code().is_some(), "a second code was sent");
    browser.click("#steps form[action$='/cancel'] button").await?;
    browser.shows("#steps[data-stage=done]", LIMIT).await?;
    browser.shows(&lamp("gateway", "orange"), LIMIT).await?;
    Ok(())
}

async fn hung_up(browser: &Browser, caller: &mut Caller, _call: i64) -> anyhow::Result<()> {
    browser.go("/calls").await?;
    browser.click("#live [data-call] .hangup").await?;
    caller.device.discarded(LIMIT).await?;
    browser.hides("#live [data-call]", LIMIT).await?;
    browser.shows("#records tr[data-result=answered]", LIMIT).await?;
    browser.says("#records tr[data-result=answered]", "Anna", LIMIT).await?;
    Ok(())
}

/// A second line, whose gateway waits for its QR code and whose client for a code.
async fn second_number(stage: &PageStage, browser: &Browser) -> anyhow::Result<Number> {
    let number = Number::new(stage, NewUser::new("+79060000003", "Company"))?;
    number.add(stage, browser, "Acme Support").await?;
    for (part, method, step) in [("client", "code", "code"), ("gateway", "qr", "qr")] {
        browser.go(&number.path(&format!("/login/{part}"))).await?;
        browser.click(&format!("#steps form:has(input[value={method}]) button")).await?;
        browser.shows(&format!("#steps[data-stage={step}]"), LIMIT).await?;
    }
    Ok(number)
}

/// A third one, which is switched off on its settings, after a question.
async fn switched_off(stage: &PageStage, browser: &Browser) -> anyhow::Result<()> {
    let number = Number::new(stage, NewUser::new("+79060000004", "Company"))?;
    number.add(stage, browser, "Acme Moscow").await?;
    browser.go(&number.path("/settings")).await?;
    browser.click("form[action$='/switch'] button").await?;
    browser.click("dialog#confirm[open] button[value=yes]").await?;
    for part in ["gateway", "client"] {
        browser.shows(&lamp(part, "off"), LIMIT).await?;
    }
    Ok(())
}

/// A call that is up while pages are looked at.
async fn talk(stage: &PageStage, number: &Number, caller: &mut Caller) -> anyhow::Result<i64> {
    let call = caller.device.call(number.account).await?;
    caller.device.connected(LIMIT).await?;
    ensure!(stage.exchange.as_ref().is_some_and(|exchange| exchange.offered().len() == 2), "the PBX has it");
    Ok(call)
}

/// The browser's own log has what was typed wrong on purpose, and nothing else: no script threw, nothing was kept out by the
/// content policy, nothing failed to load.
async fn mistakes_alone(browser: &Browser, stage: &PageStage, number: &Number) -> anyhow::Result<()> {
    let complaints = browser.complaints().await?;
    let wanted =
        [("/login".to_owned(), 401), (number.path("/login/bot"), 422), (number.path("/texts/en"), 422)]
            .map(|(path, status)| (format!("{}{path} ", stage.origin), format!("status of {status} ")));
    let is_wanted = complaints.len() == wanted.len()
        && complaints
            .iter()
            .zip(&wanted)
            .all(|(told, (path, status))| told.starts_with(path) && told.contains(status));
    ensure!(is_wanted, "{complaints:#?}");
    Ok(())
}

async fn languages(browser: &Browser) -> anyhow::Result<()> {
    browser.go("/").await?;
    browser.shows("html[lang=en]", LIMIT).await?;
    for (language, words) in [("ru", "Линии"), ("en", "Lines")] {
        browser.click("header details.menu summary").await?;
        browser.click(&format!("header button[name=language][value={language}]")).await?;
        browser.shows(&format!("html[lang={language}]"), LIMIT).await?;
        browser.says("header nav", words, LIMIT).await?;
        ensure!(browser.path().await? == "/", "the person stays where they were");
    }
    Ok(())
}
