//! The place "Access": tokens that programs use and lose, the partner's, organisations and their senders, the people who
//! are notified, and what became of that. The program that calls the API is Python's own `urllib`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::NewBot;
use tgtrunk_test_telegram::{NewUser, venv};
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::chat_users::{ChatUser, Seen};
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::ports;
use tgtrunk_tests::program::Kind;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::number::Number;

/// Asks once and prints what came: method, address, token and body are its arguments.
const PROGRAM: &str = "\
import json, sys, urllib.request, urllib.error
method, url, token, body = sys.argv[1:]
request = urllib.request.Request(url, method=method, data=body.encode() or None)
if token: request.add_header('Authorization', 'Bearer ' + token)
try: answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)
except urllib.error.HTTPError as error: answer = error
text = answer.read().decode()
try: said = json.loads(text)
except ValueError: said = text
print(json.dumps({'status': answer.status, 'body': said}))
";
const ANNA: &str = "+79001112233";
const KEY: &str = "5123456789";
const API_HASH: &str = "fedcba9876543210fedcba9876543210";

#[tokio::test(flavor = "multi_thread")]
async fn tokens_organisations_and_people_are_kept_on_the_page() {
    let mut stage = PageStage::open().await.unwrap();
    let password = stage.password().await.unwrap();
    let api = serve_api(&mut stage).await.unwrap();
    kept_out(&stage).await.unwrap();
    let browser = stage.browser(Options::default(), &password).await.unwrap();
    empty(&browser).await.unwrap();
    let number = Number::new(&stage, NewUser::new("+79060000005", "Company")).unwrap();
    number.add(&stage, &browser, "Acme").await.unwrap();
    let token = tokens(&stage, &browser, &api).await.unwrap();
    partner(&stage, &browser, &api).await.unwrap();
    organisations(&browser, &api, &token, &number).await.unwrap();
    recipients(&browser).await.unwrap();
    switched_off(&browser, &api, &token).await.unwrap();
    seen_keys(&stage, &browser).await.unwrap();
    many(&browser, &api, &token).await.unwrap();
    without_scripts(&stage, &password, &api).await.unwrap();
    looks(&stage, &password).await.unwrap();
    stage.close().await.unwrap();
}

/// The client with its API on a port: where that is.
async fn serve_api(stage: &mut PageStage) -> anyhow::Result<String> {
    let client = stage.client.take().context("the client runs")?;
    client.stop().await?;
    let port = ports::free()?;
    let config = &stage.stage.installation.config;
    let text = std::fs::read_to_string(config)?;
    let api = format!("[api]\nlisten = \"127.0.0.1:{port}\"\n");
    std::fs::write(config, text.replace("[api]\nlisten = \"off\"\n", &api))?;
    stage.client = Some(Kind::Client.start(&stage.stage.installation).await?);
    Ok(format!("http://127.0.0.1:{port}"))
}

/// What a program is answered: the status, and the body.
async fn asked(method: &str, url: &str, token: &str, body: &Value) -> anyhow::Result<(u64, Value)> {
    let python = tokio::task::spawn_blocking(venv::python).await??;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM, method, url, token, &body]).stdin(Stdio::null());
    let output = command.output().await?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((told["status"].as_u64().context("a status")?, told["body"].clone()))
}

/// Whoever is not logged in sees nothing of it, and changes nothing.
async fn kept_out(stage: &PageStage) -> anyhow::Result<()> {
    let stranger = Browser::open(&stage.origin, Options::default()).await?;
    for page in
        ["/access", "/access/organisations", "/access/recipients", "/access/notifications", "/access/partner"]
    {
        stranger.go(page).await?;
        stranger
            .arrives(LIMIT, |path| {
                path.starts_with("/login?next=%2Faccess") || path.starts_with("/login?next=/access")
            })
            .await?;
    }
    let (status, _) = asked("POST", &format!("{}/access/partner", stage.origin), "", &json!("csrf=")).await?;
    ensure!(status == 403 || status == 401 || status == 200, "a stranger's form is answered {status}");
    let made = stage.stage.installation.state.join("instances/partner-token.sha256").exists();
    ensure!(!made, "a stranger has made a partner's token");
    Ok(())
}

/// What there is nothing of says what to do next.
async fn empty(browser: &Browser) -> anyhow::Result<()> {
    for (page, words) in [
        ("/access", "There are no tokens yet. Make the first one"),
        ("/access/organisations", "There are no organisations yet. Add the first one"),
        ("/access/recipients", "There are no recipients yet. Add somebody"),
        ("/access/notifications", "There were no notifications yet"),
        ("/access/partner", "there is no token"),
    ] {
        browser.go(page).await?;
        browser.says("#main", words, LIMIT).await?;
    }
    Ok(())
}

/// A token is made, used, called otherwise, seen nowhere any more, and revoked; another one is left.
async fn tokens(stage: &PageStage, browser: &Browser, api: &str) -> anyhow::Result<String> {
    let list = format!("{api}/api/v1/organisations");
    browser.go("/access").await?;
    browser.type_in("input[name=label]", "1C").await?;
    browser.click("form[action='/access/tokens'] button.primary").await?;
    browser.says("[data-problem=scope]", "Choose everything, a line or an instance", LIMIT).await?;
    let token = make(browser, "1C", "all").await?;
    browser.says("#made", "it will not be shown again", LIMIT).await?;
    browser.click("#made .copy").await?;
    browser.says("#toasts", "Copied", LIMIT).await?;
    let (status, told) = asked("GET", &list, &token, &Value::Null).await?;
    ensure!(status == 200 && told["ok"] == true, "{status} {told}");
    browser.click("[data-token='1'] details:has(form[action$='/rename']) summary").await?;
    browser.type_in("[data-token='1'] input[name=label]", "1C:ERP").await?;
    browser.click("[data-token='1'] form[action$='/rename'] button").await?;
    browser.says("[data-token='1'] .what", "1C:ERP", LIMIT).await?;
    browser.go("/access").await?;
    nowhere(stage, browser, &token).await?;
    browser.click("[data-token='1'] details:has(form[action$='/revoke']) summary").await?;
    browser.says("[data-token='1']", "answered 401", LIMIT).await?;
    browser.click("[data-token='1'] form[action$='/revoke'] button").await?;
    browser.says("[data-token='1'] .sign", "revoked", LIMIT).await?;
    let (status, told) = asked("GET", &list, &token, &Value::Null).await?;
    ensure!(status == 401, "a revoked token is answered {status} {told}");
    make(browser, "CRM", "all").await
}

async fn make(browser: &Browser, label: &str, scope: &str) -> anyhow::Result<String> {
    browser.type_in("input#f-label", label).await?;
    browser.click(&format!("select[name=scope] option[value='{scope}']")).await?;
    browser.click("form[action='/access/tokens'] button.primary").await?;
    browser.says("#made h2", label, LIMIT).await?;
    let token = browser.text("#made code").await?.context("a token")?;
    ensure!(token.starts_with("tga.") && token.len() > 40, "{token}");
    Ok(token)
}

/// A secret is not on the page, and in no file.
pub(crate) async fn nowhere(stage: &PageStage, browser: &Browser, secret: &str) -> anyhow::Result<()> {
    let shown = browser.run("return document.documentElement.outerHTML + document.cookie").await?;
    ensure!(!shown.as_str().unwrap_or_default().contains(secret), "the page still shows it");
    let mut files = 0;
    holds(&stage.stage.installation.state, secret.as_bytes(), &mut files)?;
    ensure!(files > 3, "only {files} files were looked into");
    let log = stage.client.as_ref().context("the client runs")?.log();
    ensure!(!log.contains(secret), "the log tells it");
    Ok(())
}

fn holds(folder: &Path, secret: &[u8], files: &mut u32) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            holds(&entry.path(), secret, files)?;
        } else if kind.is_file() {
            let kept = std::fs::read(entry.path())?;
            let found = kept.windows(secret.len()).any(|window| window == secret);
            ensure!(!found, "{} holds the secret", entry.path().display());
            *files += 1;
        }
    }
    Ok(())
}

/// The partner's token makes an instance, which the page shows, and is replaced and revoked.
async fn partner(stage: &PageStage, browser: &Browser, api: &str) -> anyhow::Result<()> {
    let ask = async |token: &str| {
        asked("GET", &format!("{api}/partner/getInstances/{token}"), "", &Value::Null).await
    };
    browser.go("/access/partner").await?;
    browser.click("form[action='/access/partner'] button.primary").await?;
    browser.shows("#made code", LIMIT).await?;
    let first = browser.text("#made code").await?.context("a token")?;
    ensure!(first.starts_with("gac."), "{first}");
    let (status, told) = ask(&first).await?;
    ensure!(status == 200, "{status} {told}");
    let make = format!("{api}/partner/createInstance/{first}");
    let (status, told) = asked("POST", &make, "", &json!({"name": "Shop"})).await?;
    ensure!(status == 200, "{status} {told}");
    let instance = told["idInstance"].as_i64().context("an instance")?;
    browser.go("/access/partner").await?;
    nowhere(stage, browser, &first).await?;
    browser.says(&format!("[data-instance='{instance}']"), "Shop", LIMIT).await?;
    browser.says(&format!("[data-instance='{instance}'] .sign"), "needs a login", LIMIT).await?;
    let own = make_for(browser, instance).await?;
    let (status, told) = asked("GET", &format!("{api}/api/v1/organisations"), &own, &Value::Null).await?;
    ensure!(status == 200 && told["result"] == json!([]), "{status} {told}");
    browser.go("/access/partner").await?;
    browser.click("details:has(form[action='/access/partner']) summary").await?;
    browser.click("form[action='/access/partner'] button").await?;
    browser.shows("#made code", LIMIT).await?;
    let second = browser.text("#made code").await?.context("a token")?;
    ensure!(ask(&first).await?.0 == 401 && ask(&second).await?.0 == 200, "the second one alone holds");
    browser.go("/access/partner").await?;
    browser.click("details:has(form[action='/access/partner/revoke']) summary").await?;
    browser.click("form[action='/access/partner/revoke'] button").await?;
    browser.says("#partner .sign", "there is no token", LIMIT).await?;
    ensure!(ask(&second).await?.0 == 401, "a revoked partner's token holds");
    Ok(())
}

/// A token for one instance alone.
async fn make_for(browser: &Browser, instance: i64) -> anyhow::Result<String> {
    browser.go("/access").await?;
    let token = make(browser, "Shop", &instance.to_string()).await?;
    browser.says("#tokens", &format!("instance {instance}"), LIMIT).await?;
    Ok(token)
}

/// Organisations with a sender that they share, with a second api_id for it, and with none at all.
async fn organisations(browser: &Browser, api: &str, token: &str, number: &Number) -> anyhow::Result<()> {
    let sender = number.phone.as_str();
    browser.go("/access/organisations").await?;
    browser.click("a[href='/access/organisations/new']").await?;
    browser.type_in("#organisation input[name=name]", "Head office").await?;
    choose(browser, "sender", sender).await?;
    browser.type_in("#organisation input[name=api_hash]", "xyz").await?;
    // The way of whoever has no mouse: from the field before, and Enter.
    browser.press("\u{E007}").await?;
    browser.says("[data-problem=api_hash]", "want 32 hexadecimal digits", LIMIT).await?;
    browser.type_in("#organisation input[name=api_hash]", API_HASH).await?;
    browser.type_in("#organisation input[name=api_id]", "777").await?;
    browser.press("\u{E007}").await?;
    browser.arrives(LIMIT, |path| path == "/access/organisations").await?;
    browser.says("#organisations [data-organisation='1']", "uses the authorisation of +7", LIMIT).await?;
    browser.says("#organisations [data-organisation='1'] .sign", "needs a login", LIMIT).await?;
    browser.says("#organisations [data-organisation='1']", "api_id = 777 differs", LIMIT).await?;
    let shown = browser.run("return document.documentElement.outerHTML").await?;
    ensure!(!shown.as_str().unwrap_or_default().contains(API_HASH), "the hash is shown");
    branch(browser, sender, "778").await?;
    browser.says("[data-problem=api_id]", "organisation \"Head office\" (1) has api_id = 777", LIMIT).await?;
    browser.type_in("#organisation input[name=api_id]", "seven").await?;
    browser.click("#organisation button.primary").await?;
    browser.says("[data-problem=api_id]", "api_id = \"seven\": want a whole number from 1", LIMIT).await?;
    browser.type_in("#organisation input[name=api_id]", "777").await?;
    browser.click("#organisation button.primary").await?;
    browser.says("#organisations [data-organisation='2']", "as do Head office", LIMIT).await?;
    browser.says("#organisations [data-organisation='1']", "as do Branch", LIMIT).await?;
    browser.go("/access/organisations/new").await?;
    browser.type_in("#organisation input[name=name]", "head OFFICE").await?;
    browser.click("#organisation button.primary").await?;
    browser.says("[data-problem=name]", "organisation 1 is called so already", LIMIT).await?;
    browser.type_in("#organisation input[name=name]", "Depot").await?;
    browser.click("#organisation button.primary").await?;
    browser.says("#organisations [data-organisation='3']", "sending in its name is refused", LIMIT).await?;
    browser.says("#organisations [data-organisation='3'] .sign", "without a sender", LIMIT).await?;
    let body = json!({"recipient": ANNA, "text": "x", "organisation": "Depot"});
    let (status, told) = asked("POST", &format!("{api}/api/v1/notify"), token, &body).await?;
    ensure!(status == 409 && told.to_string().contains("has no sender"), "{status} {told}");
    browser.click("[data-organisation='3'] a.what").await?;
    browser.arrives(LIMIT, |path| path == "/access/organisations/3").await?;
    browser.click("details.grave summary").await?;
    browser.click("form[action$='/delete'] button").await?;
    browser.arrives(LIMIT, |path| path == "/access/organisations").await?;
    browser.hides("[data-organisation='3']", LIMIT).await?;
    Ok(())
}

async fn branch(browser: &Browser, sender: &str, api_id: &str) -> anyhow::Result<()> {
    browser.go("/access/organisations/new").await?;
    browser.type_in("#organisation input[name=name]", "Branch").await?;
    choose(browser, "sender", sender).await?;
    browser.type_in("#organisation input[name=api_id]", api_id).await?;
    browser.click("#organisation button.primary").await
}

async fn choose(browser: &Browser, field: &str, value: &str) -> anyhow::Result<()> {
    browser.click(&format!("select[name={field}] option[value='{value}']")).await
}

/// Somebody with a phone and a key that no bot knows; nobody else may have that key.
async fn recipients(browser: &Browser) -> anyhow::Result<()> {
    browser.go("/access/recipients").await?;
    browser.click("a[href='/access/recipients/new']").await?;
    browser.type_in("#recipient input[name=title]", "Anna").await?;
    browser.click("#recipient button.primary").await?;
    browser.says("[data-problem=phone]", "A recipient needs one of key", LIMIT).await?;
    browser.type_in("#recipient input[name=phone]", "12").await?;
    browser.click("#recipient button.primary").await?;
    browser.says("[data-problem=phone]", "want 5 to 15 digits", LIMIT).await?;
    browser.type_in("#recipient input[name=phone]", "+7 (900) 111-22-33").await?;
    browser.type_in("#recipient input[name=key]", KEY).await?;
    choose(browser, "organisation", "1").await?;
    browser.click("#recipient button.primary").await?;
    browser.arrives(LIMIT, |path| path == "/access/recipients").await?;
    browser.says("#toasts", "no bot has given this key", LIMIT).await?;
    browser.says("[data-recipient='1']", "Head office", LIMIT).await?;
    browser.says("[data-recipient='1']", KEY, LIMIT).await?;
    browser.says("[data-recipient='1']", "No bot has given this key", LIMIT).await?;
    browser.says("[data-recipient='1'] .sign", "is notified", LIMIT).await?;
    browser.go("/access/recipients/new").await?;
    browser.type_in("#recipient input[name=title]", "Boris").await?;
    browser.type_in("#recipient input[name=key]", KEY).await?;
    browser.click("#recipient button.primary").await?;
    browser
        .says("[data-problem=key]", &format!("\"{KEY}\": recipient 1 (\"Anna\") has it already"), LIMIT)
        .await?;
    browser.shows("#f-key[aria-invalid=true]", LIMIT).await?;
    Ok(())
}

/// Whoever is switched off is skipped, as the page shows in both languages; then sent to after all.
async fn switched_off(browser: &Browser, api: &str, token: &str) -> anyhow::Result<()> {
    browser.go("/access/recipients").await?;
    browser.click("[data-recipient='1'] form[action$='/switch'] button").await?;
    browser.shows("[data-recipient='1'][data-notify=false]", LIMIT).await?;
    browser.says("[data-recipient='1'] .sign", "notifications off", LIMIT).await?;
    let body = json!({"recipient": ANNA, "text": "Invoice 7 waits for you"});
    let (status, told) = asked("POST", &format!("{api}/api/v1/notify"), token, &body).await?;
    ensure!(status == 200 && told["result"]["state"] == "skipped", "{status} {told}");
    browser.go("/access/notifications?state=skipped").await?;
    browser.says("[data-notification='1'][data-state=skipped]", "Switched off", LIMIT).await?;
    browser.says("[data-notification='1']", "Invoice 7 waits for you", LIMIT).await?;
    browser.says("[data-notification='1'] .sign", "skipped", LIMIT).await?;
    let repeat = "[data-notification='1'] form[action$='/repeat']";
    ensure!(browser.count(repeat).await? == 0, "somebody who is switched off can be sent to");
    language(browser, "ru").await?;
    browser.says("[data-notification='1']", "Получение уведомлений выключено", LIMIT).await?;
    browser.says("nav.tabs", "Получатели", LIMIT).await?;
    browser.says("header nav [aria-current=page]", "Доступ", LIMIT).await?;
    language(browser, "en").await?;
    browser.go("/access/recipients/1").await?;
    browser.click("#recipient label.switch").await?;
    browser.click("#recipient button.primary").await?;
    browser.shows("[data-recipient='1'][data-notify=true]", LIMIT).await?;
    // It is sent again by whoever writes for the organisation now.
    let (line, instance) = senders(browser).await?;
    give_sender(browser, &instance).await?;
    browser.go("/access/notifications").await?;
    browser.click("[data-notification='1'] details:has(form[action$='/repeat']) summary").await?;
    browser.click(&format!("{repeat} button")).await?;
    browser.shows("[data-notification='1'][data-state=waiting]", LIMIT).await?;
    browser.says("[data-notification='1']", &format!("by the account of instance {instance}"), LIMIT).await?;
    give_sender(browser, &line).await?;
    browser.go("/access/notifications?state=skipped").await?;
    browser.hides("[data-notification]", LIMIT).await?;
    Ok(())
}

/// Who writes for the first organisation, and an instance that might as well.
async fn senders(browser: &Browser) -> anyhow::Result<(String, String)> {
    let pick = "\
        const select = document.querySelector('select[name=sender]');
        return [select.value, [...select.options].map((one) => one.value).find((one) => /^[0-9]{10}$/.test(one))]";
    browser.go("/access/organisations/1").await?;
    let found = browser.run(pick).await?;
    let (line, instance) = (found[0].as_str().context("a line")?, found[1].as_str().context("an instance")?);
    Ok((line.to_owned(), instance.to_owned()))
}

async fn give_sender(browser: &Browser, sender: &str) -> anyhow::Result<()> {
    browser.go("/access/organisations/1").await?;
    choose(browser, "sender", sender).await?;
    browser.click("#organisation button.primary").await?;
    browser.arrives(LIMIT, |path| path == "/access/organisations").await
}

/// Chooses a language as a person does, and stays where they are.
async fn language(browser: &Browser, language: &str) -> anyhow::Result<()> {
    browser.click("header details.menu summary").await?;
    browser.click(&format!("header button[name=language][value={language}]")).await?;
    browser.shows(&format!("html[lang={language}]"), LIMIT).await?;
    Ok(())
}

/// Whoever asked the bot for their key stands there to be picked.
async fn seen_keys(stage: &PageStage, browser: &Browser) -> anyhow::Result<()> {
    let info = stage.stage.world().add_bot(NewBot::new("access_bot", "Acme"))?;
    browser.go("/bots").await?;
    browser.type_in("#token input[name=token]", &info.token).await?;
    browser.click("#token button[value=check]").await?;
    browser.says("#token .found", "@access_bot", LIMIT).await?;
    browser.type_in("#token input[name=token]", &info.token).await?;
    browser.click("#token button[value=save]").await?;
    browser.shows("#bot-access_bot", LIMIT).await?;
    stage.stage.user(NewUser::new("+79160000006", "Vera"))?;
    let (mut app, users) = stage.app("+79160000006").await?;
    app.start("access_bot").await?;
    app.send("access_bot", "мой ключ").await?;
    let until = Instant::now() + LIMIT * 2;
    loop {
        browser.go("/access/recipients").await?;
        if browser.count("#keys a[href*='key=']").await? > 0 {
            break;
        }
        ensure!(Instant::now() < until, "no key is seen: {}", browser.words().await?);
        sleep(Duration::from_millis(300)).await;
    }
    browser.click("#keys a[href*='key=']").await?;
    browser.shows("#recipient", LIMIT).await?;
    let key = browser.run("return document.querySelector('#f-key').value").await?;
    ensure!(key.as_str().is_some_and(|key| key.len() > 4), "{key}");
    browser.type_in("#recipient input[name=title]", "Vera").await?;
    browser.click("#recipient button.primary").await?;
    browser.says("[data-recipient='2']", "by the bot", LIMIT).await?;
    ensure!(
        browser.count("[data-recipient='2'] .warning").await? == 0,
        "a key that a bot knows is warned of"
    );
    ensure!(browser.count("#keys a").await? == 0, "a key that somebody has is still offered");
    let key = key.as_str().unwrap_or_default();
    browser.says("[data-recipient='2']", key, LIMIT).await?;
    bots(stage, browser, key).await?;
    another_token(stage, browser, info.id, &mut app, key).await?;
    users.quit().await
}

/// The bot stands on the page with whom it knows, beside another one; an organisation writes by it.
async fn bots(stage: &PageStage, browser: &Browser, key: &str) -> anyhow::Result<()> {
    browser.go("/bots").await?;
    browser.click("#bot-access_bot details.people summary").await?;
    browser.says("#bot-access_bot", key, LIMIT).await?;
    browser.says("#bot-access_bot", "Vera", LIMIT).await?;
    let other = stage.stage.world().add_bot(NewBot::new("other_bot", "Acme Night"))?;
    browser.type_in("#token input[name=token]", &other.token).await?;
    browser.click("#token button[value=check]").await?;
    browser.says("#token .found", "@other_bot", LIMIT).await?;
    browser.type_in("#token input[name=token]", &other.token).await?;
    browser.click("#token button[value=save]").await?;
    browser.shows("#bot-other_bot", LIMIT).await?;
    browser.shows("#bot-access_bot", LIMIT).await?;
    browser.go("/access/organisations/1").await?;
    choose(browser, "bot", "access_bot").await?;
    choose(browser, "channel", "bot").await?;
    browser.click("#organisation button.primary").await?;
    browser.arrives(LIMIT, |path| path == "/access/organisations").await?;
    browser.says("#organisations [data-organisation='1']", "bot @access_bot", LIMIT).await?;
    browser.go("/access/recipients").await?;
    browser.says("[data-recipient='1']", "by the bot", LIMIT).await?;
    Ok(())
}

/// The owner takes the bot's token back at @BotFather. The bot is red until the page is given the new one, and goes on then
/// with the people whom it knows.
async fn another_token(
    stage: &PageStage,
    browser: &Browser,
    bot: i64,
    app: &mut ChatUser,
    key: &str,
) -> anyhow::Result<()> {
    let before = app.message("the key", LIMIT, |seen| !seen.out && seen.text.contains(key)).await?;
    let token = stage.stage.world().renew_bot_token(bot).context("the bot is there")?;
    let lamp = |colour: &str| format!("#bot-access_bot .lamps .lamp:first-child[data-lamp={colour}]");
    browser.go("/bots").await?;
    browser.shows(&lamp("red"), LIMIT * 2).await?;
    browser.type_in("#token input[name=token]", &token).await?;
    browser.click("#token button[value=check]").await?;
    browser.says("#token .found", "@access_bot", LIMIT).await?;
    browser.type_in("#token input[name=token]", &token).await?;
    browser.click("#token button[value=save]").await?;
    browser.shows(&lamp("green"), LIMIT).await?;
    ensure!(browser.count("#bots article.bot").await? == 2, "the same bot stands there twice");
    browser.click("#bot-access_bot details.people summary").await?;
    browser.says("#bot-access_bot", "Vera", LIMIT).await?;
    app.send("access_bot", "мой ключ").await?;
    let is_again = |seen: &Seen| !seen.out && seen.id > before.id && seen.text.contains(key);
    app.message("the key by the new token", LIMIT, is_again).await?;
    Ok(())
}

/// More people than stand on one page: they are turned over, and found.
async fn many(browser: &Browser, api: &str, token: &str) -> anyhow::Result<()> {
    for number in 0..60_u32 {
        let phone = format!("+7900222{:04}", number);
        let body = json!({"title": format!("Worker {number:02}"), "phone": phone, "organisation": 2});
        let (status, told) = asked("POST", &format!("{api}/api/v1/recipients"), token, &body).await?;
        ensure!(status == 200, "{status} {told}");
    }
    browser.go("/access/recipients").await?;
    ensure!(browser.count("[data-recipient]").await? == 50, "a page has 50 people");
    browser.click("nav.pages a[rel=next]").await?;
    browser.says("nav.pages", "2 of 2", LIMIT).await?;
    ensure!(browser.count("[data-recipient]").await? == 12, "the rest is on the second page");
    browser.type_in("#f-text", "900 222-00-41").await?;
    browser.click("form[role=search] button").await?;
    browser.says("#recipients", "Worker 41", LIMIT).await?;
    ensure!(browser.count("[data-recipient]").await? == 1, "one has this number");
    browser.go("/access/recipients?organisation=1").await?;
    ensure!(browser.count("[data-recipient]").await? >= 1, "Anna is of the head office");
    browser.says("#recipients", "Anna", LIMIT).await?;
    browser.go("/access/recipients?text=nobody").await?;
    browser.says("#recipients", "Nobody is found", LIMIT).await?;
    Ok(())
}

/// The same where no script runs.
async fn without_scripts(stage: &PageStage, password: &str, api: &str) -> anyhow::Result<()> {
    let options = Options { runs_scripts: false, ..Options::default() };
    let browser = stage.browser(options, password).await?;
    browser.go("/access").await?;
    let token = make(&browser, "script", "all").await?;
    let list = format!("{api}/api/v1/organisations");
    ensure!(asked("GET", &list, &token, &Value::Null).await?.0 == 200, "a token made without scripts holds");
    browser.go("/access").await?;
    browser.hides("#made code", LIMIT).await?;
    browser.click("#tokens li:first-child details:has(form[action$='/revoke']) summary").await?;
    browser.click("#tokens li:first-child form[action$='/revoke'] button").await?;
    browser.shows(".notice:not(.bad)", LIMIT).await?;
    ensure!(asked("GET", &list, &token, &Value::Null).await?.0 == 401, "a token is revoked without scripts");
    browser.go("/access/recipients/new").await?;
    browser.type_in("#recipient input[name=title]", "Boris").await?;
    browser.type_in("#recipient input[name=key]", KEY).await?;
    browser.click("#recipient button.primary").await?;
    browser.says(".wrong [data-problem=key]", "has it already", LIMIT).await?;
    let typed = browser.attribute("#recipient input[name=title]", "value").await?;
    ensure!(typed.as_deref() == Some("Boris"), "what was typed is gone: {typed:?}");
    Ok(())
}

/// Every sheet in both languages and themes, on a desk and on the narrowest phone.
async fn looks(stage: &PageStage, password: &str) -> anyhow::Result<()> {
    let browser = stage.browser(Options::default(), password).await?;
    let pages = [
        "/access",
        "/access/organisations",
        "/access/organisations/1",
        "/access/recipients",
        "/access/recipients/1",
        "/access/notifications",
        "/access/partner",
    ];
    let mut wrong = Vec::new();
    for (word, is_dark, size) in [
        ("en", false, (320, 640)),
        ("ru", true, (320, 640)),
        ("ru", false, (1280, 900)),
        ("en", true, (1280, 900)),
    ] {
        browser.go("/access").await?;
        if browser.count(&format!("html[lang={word}]")).await? == 0 {
            language(&browser, word).await?;
        }
        browser.resize(size).await?;
        browser.darken(is_dark).await?;
        for page in pages {
            browser.go(page).await?;
            let name = page.trim_start_matches('/').replace('/', "-");
            let file = format!("{name}-{word}-{}-{}.png", if is_dark { "dark" } else { "light" }, size.0);
            browser.draw(&PageStage::pictures().join(&file), size).await?;
            let wide = browser.run("return document.documentElement.scrollWidth").await?.as_u64();
            if wide.is_none_or(|wide| wide > u64::from(size.0)) {
                wrong.push(format!("{file}: {wide:?} pixels wide"));
            }
            wrong.extend(browser.violations().await?.into_iter().map(|one| format!("{file}: {one}")));
        }
    }
    ensure!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}
