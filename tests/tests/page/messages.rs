//! The place "Messages": a program sends by the HTTP API, its webhook fails, Telegram asks it to wait, and the operator sees
//! and mends all of that on the page.

mod left;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Hung, Letter, Match};
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::ports;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::{self, Line, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{access, looks};

const NASTY: &str = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>";
/// The narrowest screen.
const NARROW: (u32, u32) = (320, 640);

/// An installation with a line whose client is logged in, and a program that may send by it.
struct Scene {
    stage: PageStage,
    line: Line,
    anna: i64,
    api: String,
    id: String,
    token: String,
}

/// A program's webhook, which answers 500 until it is up.
pub(crate) struct Hook {
    pub(crate) url: String,
    is_up: Arc<AtomicBool>,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_messages_and_mends_what_holds_them_up() {
    let mut scene = Scene::open().await.unwrap();
    let password = scene.stage.password().await.unwrap();
    let browser = scene.stage.browser(Options::default(), &password).await.unwrap();
    scene.instance_is_seen(&browser).await.unwrap();
    scene.nobody_sees_anything_without_login().await.unwrap();
    scene.token_is_shown_once(&browser).await.unwrap();
    scene.checks_of_numbers_are_counted(&browser).await.unwrap();
    scene.journal_is_live_and_harmless(&browser).await.unwrap();
    scene.journal_is_searched_and_kept_as_a_table(&browser).await.unwrap();
    scene.file_that_takes_long_is_waited_for(&browser).await.unwrap();
    scene.message_that_fails_says_when_it_is_tried_again(&browser).await.unwrap();
    scene.stuck_head_is_skipped(&browser).await.unwrap();
    let hook = Hook::open().await.unwrap();
    scene.settings_are_refused_and_saved(&browser, &hook).await.unwrap();
    scene.webhook_fails_and_its_head_is_skipped(&browser, &hook).await.unwrap();
    // Nor after all the calls that it was in.
    access::nowhere(&scene.stage, &browser, &scene.token).await.unwrap();
    scene.forms_work_without_scripts(&password).await.unwrap();
    scene.looks(&browser, &password).await.unwrap();
    scene.stage.close().await.unwrap();
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (page, api, pbx) = (address(ports::free()?), address(ports::free()?), address(ports::free()?));
        let options = stage::Options { page: Some(page), api: Some(api), ..Default::default() };
        let stage = Stage::set_up(options).await?;
        let line = stage.line("+79060000021")?;
        stage.open(&line, pbx, stage::draft(&line)?).await?;
        let anna = stage.user(NewUser::new("+79161111121", "Anna").username("anna_of_page"))?;
        let gateway = Gateway::start(&stage.installation).await?;
        stage.telegram().write_dc_seed(&stage.installation.state, 4)?;
        Kind::Client.ask(&stage.installation, &["login", &line.phone], "", LIMIT).await?;
        let client = Kind::Client.start(&stage.installation).await?;
        let origin = format!("http://{page}");
        let (gateway, client) = (Some(gateway), Some(client));
        let stage = PageStage { stage, pbx, exchange: None, gateway, client, bot: None, origin };
        Ok(Self { stage, line, anna, api: format!("http://{api}"), id: String::new(), token: String::new() })
    }

    fn path(&self, rest: &str) -> String {
        format!("/messages/{}{rest}", self.id)
    }

    /// What a program says to the instance.
    async fn post(&self, method: &str, body: Value) -> anyhow::Result<Value> {
        let url = format!("{}/waInstance{}/{method}/{}", self.api, self.id, self.token);
        let answer = reqwest::Client::new().post(url).json(&body).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn send(&self, text: &str) -> anyhow::Result<String> {
        let body = json!({ "chatId": self.anna.to_string(), "message": text });
        let sent = self.post("sendMessage", body).await?;
        Ok(sent["idMessage"].as_str().context("a number")?.to_owned())
    }

    /// Anna writes.
    fn hear(&self, text: &str) -> anyhow::Result<()> {
        let said = self.stage.stage.world().say(self.anna, self.line.account, text);
        said.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    async fn instance_is_seen(&mut self, browser: &Browser) -> anyhow::Result<()> {
        browser.click("header nav a[href='/messages']").await?;
        browser.shows("#instances .instance[data-standing=authorized]", LIMIT * 2).await?;
        browser.says("#instances .instance", "connected", LIMIT).await?;
        let id = browser.attribute("#instances .instance", "id").await?.context("an instance")?;
        self.id = id.trim_start_matches("instance-").to_owned();
        browser.click("#instances .instance h2 a").await?;
        let own = self.path("");
        browser.arrives(LIMIT, |path| path == own).await?;
        browser.says("#outgoing", "Nothing waits to be sent", LIMIT).await?;
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        browser.says("#budgets .figure", "0 of 100", LIMIT).await?;
        Ok(())
    }

    async fn nobody_sees_anything_without_login(&self) -> anyhow::Result<()> {
        let stranger = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        for rest in ["", "/journal", "/journal.csv", "/chats/1", "/settings", "/access", "/login", "/files/0"]
        {
            let answer = stranger.get(format!("{}{}", self.stage.origin, self.path(rest))).send().await?;
            let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
            ensure!(
                answer.status() == 303 && to.starts_with("/login"),
                "{rest}: {} to {to}",
                answer.status()
            );
        }
        for rest in ["/queue/clear", "/notifications/clear", "/settings", "/access", "/logout", "/restart"] {
            let answer = stranger.post(format!("{}{}", self.stage.origin, self.path(rest))).send().await?;
            ensure!(answer.status() == 303, "{rest}: {}", answer.status());
        }
        Ok(())
    }

    async fn token_is_shown_once(&mut self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("/access")).await?;
        browser.says("#access", &self.id, LIMIT).await?;
        browser.click("#access form[action$='/access'] button").await?;
        browser.says("#access .warning", "Copy the token now", LIMIT).await?;
        let token =
            browser.run("return document.querySelector('#access .facts > div:last-child code').textContent");
        self.token = token.await?.as_str().context("a token")?.to_owned();
        ensure!(self.token.len() == 50, "{}", self.token);
        browser.says("#access .block pre", &self.token, LIMIT).await?;
        browser.go(&self.path("/access")).await?;
        browser.says("#access", "••••", LIMIT).await?;
        access::nowhere(&self.stage, browser, &self.token).await
    }

    /// Without a reload.
    async fn checks_of_numbers_are_counted(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("")).await?;
        browser.shows("#budgets .figure[data-used='0']", LIMIT).await?;
        let stranger = self.post("checkAccount", json!({ "phoneNumber": 79_169_999_999_i64 })).await?;
        ensure!(stranger["exist"] == false, "{stranger}");
        browser.says("#budgets .figure[data-used='1']", "1 of 100", LIMIT).await?;
        Ok(())
    }

    /// What is written and what comes is there without a reload, and stays text.
    async fn journal_is_live_and_harmless(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("/journal")).await?;
        browser.says("#letters", "There are no such messages", LIMIT).await?;
        browser.run("window.kept = 1").await?;
        self.hear("Is the order ready?")?;
        browser.says("#letters .letter[data-direction=incoming]", "Is the order ready?", LIMIT).await?;
        self.send(NASTY).await?;
        browser.says("#letters .letter[data-direction=outgoing]", NASTY, LIMIT).await?;
        browser.says("#letters .letter[data-direction=outgoing] .result", "sent", LIMIT).await?;
        let told = browser.run("return [window.kept, window.hacked ?? 0, document.scripts.length]").await?;
        ensure!(told == json!([1, 0, 1]), "kept, hacked, scripts: {told}");
        browser.click("#letters .letter a.peer").await?;
        let chat = self.path(&format!("/chats/{}", self.anna));
        browser.arrives(LIMIT, |path| path == chat).await?;
        browser.says("#letters", NASTY, LIMIT).await?;
        let order = "return [...document.querySelectorAll('#letters .letter')].map((one) => one.dataset.direction).join()";
        let order = browser.run(order).await?;
        ensure!(order == "incoming,outgoing", "the newest last: {order}");
        self.hear("And the bill?")?;
        browser.says("#letters .letter:last-child", "And the bill?", LIMIT).await?;
        ensure!(browser.run("return window.hacked ?? 0").await? == 0, "a message ran");
        Ok(())
    }

    async fn journal_is_searched_and_kept_as_a_table(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&self.path("/journal")).await?;
        browser.type_in("input[name=text]", "BILL").await?;
        browser.click("form.filters button").await?;
        browser.arrives(LIMIT, |path| path.contains("text=BILL")).await?;
        let found = browser.count("#letters .letter").await?;
        ensure!(found == 1, "{found} messages fit");
        browser.says("#letters .letter", "And the bill?", LIMIT).await?;
        browser.go(&self.path("/journal?direction=outgoing")).await?;
        ensure!(browser.count("#letters .letter[data-direction=incoming]").await? == 0, "one way alone");
        let csv = "\
            const link = document.querySelector('#letters a[download]'), asked = new XMLHttpRequest();
            asked.open('GET', link.getAttribute('href'), false);
            asked.send();
            return asked.getResponseHeader('content-type') + '\\n' + asked.responseText";
        let csv = browser.run(csv).await?;
        let lines: Vec<&str> = csv.as_str().context("a table")?.lines().collect();
        ensure!(lines[0].starts_with("text/csv") && lines[1].contains("Direction,Chat"), "{lines:?}");
        ensure!(lines.len() == 3 && lines[2].contains("outgoing,") && lines[2].contains(NASTY), "{lines:?}");
        Ok(())
    }

    /// Whoever opens a file that Telegram gives slowly is told so, and has it in the end.
    async fn file_that_takes_long_is_waited_for(&self, browser: &Browser) -> anyhow::Result<()> {
        let slow = Match::method("upload.getFile").user(self.line.account);
        let fault = self.stage.stage.world().add_fault(slow, Action::Delay { ms: 12_000 });
        let (base64, name) = (STANDARD.encode("a long film"), "film.bin".to_owned());
        let film = Hung::Document { base64, name, mime: String::new() };
        let letter = Letter { media: vec![film], ..Letter::text(self.line.account, "") };
        let said = self.stage.stage.world().write(self.anna, letter);
        said.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        browser.go(&self.path("/journal?kind=document")).await?;
        browser.says("#letters .letter .file a", "film.bin", LIMIT).await?;
        let ask = "\
            const link = document.querySelector('#letters .file a'), asked = new XMLHttpRequest();
            asked.open('GET', link.getAttribute('href'), false);
            asked.send();
            return [asked.status, asked.getResponseHeader('refresh'), asked.responseText]";
        let told = browser.run(ask).await?;
        ensure!(told[0] == 503 && told[1] == "3", "{told}");
        ensure!(told[2].as_str().is_some_and(|page| page.contains("is being fetched")), "{told}");
        let told = browser.run(ask).await?;
        ensure!(told == json!([200, null, "a long film"]), "{told}");
        self.stage.stage.world().remove_fault(fault);
        Ok(())
    }

    /// Telegram is not well: how often it was tried, when it is tried again, and since when it waits.
    async fn message_that_fails_says_when_it_is_tried_again(&self, browser: &Browser) -> anyhow::Result<()> {
        let fault = Match::method("messages.sendMessage").user(self.line.account);
        let action = Action::Error { code: 500, message: "INTERNAL_SERVER_ERROR".into() };
        let fault = self.stage.stage.world().add_fault(fault, action);
        browser.go(&self.path("")).await?;
        let row = format!("#queued-{}", self.send("Telegram is not well").await?);
        for words in ["accepted", "next try in", "2 tries"] {
            browser.says(&row, words, LIMIT).await?;
        }
        self.stage.stage.world().remove_fault(fault);
        browser.says("#outgoing", "Everything is sent", LIMIT).await?;
        Ok(())
    }

    /// Telegram asks to wait: the head says so, is skipped, and the rest is cleared.
    async fn stuck_head_is_skipped(&self, browser: &Browser) -> anyhow::Result<()> {
        let fault = Match::method("messages.sendMessage").user(self.line.account);
        let action = Action::Error { code: 420, message: "FLOOD_WAIT_600".into() };
        let fault = self.stage.stage.world().add_fault(fault, action);
        browser.go(&self.path("")).await?;
        let first = self.send("the first to wait").await?;
        let second = self.send("the second to wait").await?;
        let third = self.send("the third to wait").await?;
        let row = |id: &str| format!("#queued-{id}");
        browser.shows(&format!("{}[data-stuck=yes]", row(&first)), LIMIT).await?;
        browser.says(&row(&first), "Telegram asks to wait 600 s", LIMIT).await?;
        browser.says(&row(&first), "the first to wait", LIMIT).await?;
        browser.says(&row(&third), "№ 3", LIMIT).await?;
        browser.says("#budgets .rests", "Sending rests", LIMIT).await?;
        browser.says("#standing", "The head of the queue is stuck", LIMIT).await?;
        browser.go("/messages").await?;
        for warning in ["stuck", "rest"] {
            browser.shows(&format!("#instances .warning[data-warning={warning}]"), LIMIT).await?;
        }
        browser.go(&self.path("")).await?;
        browser.click(&format!("{} form button", row(&first))).await?;
        browser.hides(&row(&first), LIMIT).await?;
        browser.shows(&format!("{}[data-position='1']", row(&second)), LIMIT).await?;
        browser.click("#outgoing details.grave summary").await?;
        browser.click("#outgoing form[action$='/queue/clear'] button").await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#outgoing", "Everything is sent", LIMIT).await?;
        browser.go(&self.path("/journal?status=failed")).await?;
        let failed = browser.count("#letters .letter[data-status=failed]").await?;
        ensure!(failed == 3, "{failed} messages were taken out");
        browser.says("#letters", "Taken out of the queue", LIMIT).await?;
        browser.says("#letters .letter[data-status=failed] .peer", "Anna", LIMIT).await?;
        self.stage.stage.world().remove_fault(fault);
        Ok(())
    }

    async fn settings_are_refused_and_saved(&self, browser: &Browser, hook: &Hook) -> anyhow::Result<()> {
        browser.go(&self.path("/settings")).await?;
        browser.type_in("input[name=webhookUrl]", "ftp://example.org").await?;
        browser.type_in("input[name=delaySendMessagesMilliseconds]", "12").await?;
        browser.click("form.settings .save button.primary").await?;
        browser.says("#f-webhookUrl-problem", "ftp://example.org", LIMIT).await?;
        browser.says("#f-delaySendMessagesMilliseconds-problem", "500 to 600000", LIMIT).await?;
        browser.type_in("input[name=webhookUrl]", &hook.url).await?;
        browser.type_in("input[name=delaySendMessagesMilliseconds]", "600").await?;
        browser.type_in("input[name=webhookUrlToken]", "a secret of the hook").await?;
        browser.click("#f-incomingWebhook").await?;
        browser.click("form.settings .save button.primary").await?;
        browser.says("#toasts", "The settings are saved", LIMIT).await?;
        browser.go(&self.path("/settings")).await?;
        let kept = "return [document.querySelector('#f-webhookUrl').value, document.querySelector('#f-incomingWebhook').checked,
            document.documentElement.outerHTML.includes('a secret of the hook')]";
        let kept = browser.run(kept).await?;
        ensure!(kept == json!([hook.url, true, false]), "address, switch, whether the token is told: {kept}");
        Ok(())
    }

    /// The last error is there with its status; the head is skipped, a test notification goes out once the webhook is up.
    async fn webhook_fails_and_its_head_is_skipped(
        &self,
        browser: &Browser,
        hook: &Hook,
    ) -> anyhow::Result<()> {
        browser.go(&self.path("")).await?;
        // What was taken out of the outgoing queue was told of, whatever the settings say.
        browser.says("#notifications .letter", "outgoingMessageStatus", LIMIT).await?;
        browser.click("#notifications details.grave summary").await?;
        browser.click("#notifications form[action$='/clear'] button").await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        self.hear("Nobody takes this")?;
        browser.says("#notifications .letter", "incomingMessageReceived", LIMIT).await?;
        browser.shows("#notifications .letter[data-stuck=yes]", LIMIT * 2).await?;
        browser.shows("#notifications .webhook-fault[data-status='500']", LIMIT).await?;
        browser.says("#notifications", "Tried again in", LIMIT).await?;
        browser.go("/messages").await?;
        browser.says("#instances .warning[data-warning=webhook]", "500", LIMIT).await?;
        browser.go(&self.path("")).await?;
        browser.click("#notifications form[action$='/skip'] button").await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        browser.click("#notifications form[action$='/test'] button").await?;
        browser.says("#notifications .letter", "stateInstanceChanged", LIMIT).await?;
        hook.is_up.store(true, Ordering::SeqCst);
        browser
            .run("document.querySelector(\"#notifications form[action$='/push'] button\")?.click()")
            .await?;
        browser.says("#notifications", "Last one taken", LIMIT * 2).await?;
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        browser.shows("#notifications .webhook-fault.muted[data-status='500']", LIMIT).await?;
        hook.is_up.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn forms_work_without_scripts(&self, password: &str) -> anyhow::Result<()> {
        let options = Options { runs_scripts: false, ..Options::default() };
        let browser = self.stage.browser(options, password).await?;
        browser.go(&self.path("")).await?;
        browser.click("#notifications form[action$='/test'] button").await?;
        browser.says(".notice", "test notification", LIMIT).await?;
        browser.click("#notifications form[action$='/skip'] button").await?;
        browser.says("#notifications", "Nothing waits", LIMIT).await?;
        Ok(())
    }

    /// Both languages and themes, wide and narrow: nothing has to be moved sideways, and axe-core finds nothing.
    async fn looks(&self, browser: &Browser, password: &str) -> anyhow::Result<()> {
        self.hear("Something for the page")?;
        browser.go(&self.path("")).await?;
        browser.shows("#notifications .letter[data-stuck=yes]", LIMIT * 2).await?;
        let russian = self.stage.browser(Options::default(), password).await?;
        looks::prefer(&russian, "ru").await?;
        russian.go(&self.path("")).await?;
        russian.says("header nav", "Сообщения", LIMIT).await?;
        russian.says("#notifications", "Голова очереди стоит", LIMIT).await?;
        russian.says("#notifications", "отвечает 500", LIMIT).await?;
        let pages = [
            ("messages", "/messages".to_owned()),
            ("instance", self.path("")),
            ("journal", self.path("/journal")),
            ("chat", self.path(&format!("/chats/{}", self.anna))),
            ("instance-settings", self.path("/settings")),
            ("instance-access", self.path("/access")),
        ];
        let each = async |browser: &Browser, language| {
            looks::of(browser, language, &pages).await?;
            browser.resize(NARROW).await?;
            for (name, path) in &pages {
                browser.go(path).await?;
                if let Some(what) = looks::overflow(browser, NARROW.0).await? {
                    anyhow::bail!("{name} in {language}: {what}");
                }
            }
            anyhow::Ok(())
        };
        tokio::try_join!(each(browser, "en"), each(&russian, "ru"))?;
        Ok(())
    }
}

impl Hook {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let is_up = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&is_up);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, state.load(Ordering::SeqCst)));
            }
        });
        Ok(Self { url, is_up })
    }

    /// It answers 200 from now on.
    pub(crate) fn works(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }
}

/// Reads one request and answers it.
async fn answer(mut stream: TcpStream, is_up: bool) -> anyhow::Result<()> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await?;
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            break;
        }
    }
    let status = if is_up { "200 OK" } else { "500 Internal Server Error" };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
