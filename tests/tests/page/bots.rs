//! Bots on the place "Messages": a program leads a bot by the actions, Telegram asks the bot to wait, and the operator sees
//! the stuck head and mends it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{BotAction, BotMatch, NewBot};
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::ports;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::{self, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::looks;
use crate::messages::Hook;
use crate::receiver::Receiver;

const BOT: &str = "queue_bot";
const NASTY: &str = "<img src=x onerror='window.hacked = 1'>";

/// An installation with a bot that a program leads, and no lines.
struct Scene {
    stage: PageStage,
    anna: i64,
    bot: i64,
    api: String,
    token: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_a_program_leads_is_an_instance_with_its_queue_and_its_journal() {
    let mut scene = Scene::open().await.unwrap();
    let password = scene.stage.password().await.unwrap();
    let browser = scene.stage.browser(Options::default(), &password).await.unwrap();
    scene.bot_is_listed(&browser).await.unwrap();
    scene.journal_is_live_and_harmless(&browser).await.unwrap();
    scene.journal_is_taken_away_as_a_table_and_as_files(&browser).await.unwrap();
    scene.stuck_head_is_skipped_and_the_rest_cleared(&browser).await.unwrap();
    scene.webhook_that_fails_is_told_until_it_takes_updates(&browser).await.unwrap();
    scene.webhook_is_tried_and_its_update_skipped(&browser, &password).await.unwrap();
    scene.tokens_are_made_used_and_revoked(&browser, &password).await.unwrap();
    scene.nobody_does_anything_without_login_or_by_a_wrong_form(&browser).await.unwrap();
    scene.looks(&browser, &password).await.unwrap();
    scene.stage.close().await.unwrap();
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (page, api, pbx) = (address(ports::free()?), address(ports::free()?), address(ports::free()?));
        let settings = format!("[bot.api]\nlisten = \"{api}\"");
        let stage =
            Stage::set_up(stage::Options { page: Some(page), settings, ..Default::default() }).await?;
        let info = stage.world().add_bot(NewBot::new(BOT, "Acme"))?;
        let anna = stage.user(NewUser::new("+79161111131", "Anna").username("anna_of_bot"))?;
        let folder = stage.installation.state.join("bots").join(BOT);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("bot.toml"), format!("token = \"{}\"\n", info.token))?;
        std::fs::set_permissions(folder.join("bot.toml"), std::fs::Permissions::from_mode(0o600))?;
        let client = Kind::Client.start(&stage.installation).await?;
        let bot = Kind::Bot.start(&stage.installation).await?;
        let said = stage.world().say(anna, info.id, "/start");
        said.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let origin = format!("http://{page}");
        let (client, bot) = (Some(client), Some(bot));
        let stage = PageStage { stage, pbx, exchange: None, gateway: None, client, bot, origin };
        let mut scene =
            Self { stage, anna, bot: info.id, api: format!("http://{api}"), token: String::new() };
        let made = ["api-token", "make", BOT, "--label", "1C"];
        let told = Kind::Bot.ask(&scene.stage.stage.installation, &made, "", LIMIT).await?;
        let is_token = |word: &&str| word.starts_with(&format!("{}:", info.id));
        scene.token = told.split_whitespace().find(is_token).with_context(|| told.clone())?.to_owned();
        Ok(scene)
    }

    fn path(rest: &str) -> String {
        format!("/bots/{BOT}/messages{rest}")
    }

    /// A program puts a message into the queue, and does not wait for what becomes of it.
    fn send(&self, text: &str) {
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/actions/send_message", self.api))
            .bearer_auth(&self.token)
            .json(&json!({ "dialog": self.anna, "text": text, "mode": "queue" }));
        tokio::spawn(async move { request.send().await.map(drop) });
    }

    async fn bot_is_listed(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.click("header nav a[href='/messages']").await?;
        browser.shows("#instances [data-bot=queue_bot][data-standing=authorized]", LIMIT * 2).await?;
        browser.says("#instances", "queue 0", LIMIT).await?;
        browser.click("#instances [data-bot=queue_bot] h2 a").await?;
        browser.arrives(LIMIT, |path| path == Self::path("")).await?;
        browser.says("#outgoing", "Everything is sent", LIMIT).await?;
        browser.says("#budgets", "Nothing rests", LIMIT).await?;
        Ok(())
    }

    async fn journal_is_live_and_harmless(&self, browser: &Browser) -> anyhow::Result<()> {
        browser.go(&Self::path("/journal")).await?;
        browser.says("#letters .letter[data-direction=incoming]", "/start", LIMIT).await?;
        browser.run("window.kept = 1").await?;
        self.send(NASTY);
        browser.says("#letters .letter[data-direction=outgoing]", NASTY, LIMIT).await?;
        let told = browser.run("return [window.kept, window.hacked ?? 0]").await?;
        ensure!(told == json!([1, 0]), "kept, hacked: {told}");
        browser.click("#letters .letter a.peer").await?;
        let chat = Self::path(&format!("/chats/{}", self.anna));
        browser.arrives(LIMIT, |path| path == chat).await?;
        browser.says("#letters .letter:last-child", NASTY, LIMIT).await?;
        browser.go(&Self::path("/journal")).await?;
        browser.type_in("input[name=text]", "/START").await?;
        browser.click("form.filters button").await?;
        browser.arrives(LIMIT, |path| path.contains("text=")).await?;
        let found = browser.count("#letters .letter").await?;
        ensure!(found == 1, "{found} messages fit");
        Ok(())
    }

    /// The journal as a table, and a file of a message; the terminal lists the bot among the instances.
    async fn journal_is_taken_away_as_a_table_and_as_files(&self, browser: &Browser) -> anyhow::Result<()> {
        let price = json!([{"title": "price.txt", "url": serve("the price is 7").await?}]);
        let letter = json!({"dialog": self.anna, "text": "price list", "attachments": price, "attachments_as": "documents"});
        let url = format!("{}/api/v1/actions/send_message", self.api);
        let sent = reqwest::Client::new().post(url).bearer_auth(&self.token).json(&letter).send().await?;
        ensure!(sent.status() == 200, "{}", sent.text().await?);
        browser.go(&Self::path("/journal")).await?;
        browser.says("#letters .letter[data-kind=document]", "price list", LIMIT).await?;
        let get = async |path: &str| {
            let script = format!(
                "const asked = new XMLHttpRequest();
                 asked.open('GET', '{path}', false);
                 asked.send();
                 return [asked.status, asked.getResponseHeader('content-disposition'), asked.responseText]"
            );
            let told = browser.run(&script).await?;
            let word = |at: usize| told[at].as_str().unwrap_or_default().to_owned();
            anyhow::Ok((told[0].clone(), word(1), word(2)))
        };
        let href = browser.attribute("#letters .file a", "href").await?.context("a link to the file")?;
        let (status, called, text) = get(&href).await?;
        ensure!(status == 200 && text == "the price is 7", "{status}: {text}");
        ensure!(called.contains("price.txt"), "{called}");
        let (status, ..) = get(&Self::path("/files/0123456789abcdef0123456789abcdef")).await?;
        ensure!(status == 410, "a file that is not there is answered {status}");
        let href = browser.attribute("#letters a[href*='journal.csv']", "href").await?.context("a table")?;
        let (status, called, text) = get(&href).await?;
        ensure!(status == 200 && called.contains(&format!("messages-{BOT}.csv")), "{status} {called}");
        for words in ["price list", "price.txt", "/start", "window.hacked"] {
            ensure!(text.contains(words), "no {words} in the table: {text}");
        }
        let told =
            Kind::Client.ask(&self.stage.stage.installation, &["instances", "--json"], "", LIMIT).await?;
        let all: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
        let one = &all[0];
        ensure!(one["bot"] == BOT && one["standing"] == "authorized" && one["outgoing"] == 0, "{told}");
        Ok(())
    }

    /// Telegram asks to wait: the head says so, is skipped, and the rest is cleared.
    async fn stuck_head_is_skipped_and_the_rest_cleared(&self, browser: &Browser) -> anyhow::Result<()> {
        let world = self.stage.stage.world();
        let fault =
            world.add_bot_fault(BotMatch::method("sendMessage"), BotAction::RetryAfter { seconds: 600 });
        browser.go(&Self::path("")).await?;
        for (number, text) in
            ["the first to wait", "the second to wait", "the third to wait"].iter().enumerate()
        {
            self.send(text);
            browser.says(&format!("#outgoing [data-position='{}']", number + 1), text, LIMIT).await?;
        }
        browser.shows("#outgoing [data-position='1'][data-stuck=yes]", LIMIT).await?;
        browser.says("#outgoing [data-position='1']", "Telegram asks to wait", LIMIT).await?;
        browser.says("#budgets .rests", "rests", LIMIT).await?;
        browser.says("#standing", "The head of the queue is stuck", LIMIT).await?;
        browser.go("/messages").await?;
        browser.says("#instances [data-bot=queue_bot]", "queue 3", LIMIT).await?;
        for warning in ["stuck", "rest"] {
            browser.shows(&format!("[data-bot=queue_bot] .warning[data-warning={warning}]"), LIMIT).await?;
        }
        browser.go(&Self::path("")).await?;
        browser.click("#outgoing [data-position='1'] form button").await?;
        browser.says("#toasts", "taken out of the queue", LIMIT).await?;
        browser.says("#outgoing [data-position='1']", "the second to wait", LIMIT).await?;
        browser.click("#outgoing details.grave summary").await?;
        browser.click("#outgoing form[action$='/queue/clear'] button").await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#outgoing", "Everything is sent", LIMIT).await?;
        browser.go(&Self::path("/journal?status=failed")).await?;
        let until = Instant::now() + LIMIT;
        while browser.count("#letters .letter[data-status=failed]").await? != 3 {
            ensure!(Instant::now() < until, "three were taken out: {}", browser.words().await?);
            sleep(LIMIT / 50).await;
        }
        browser.says("#letters", "Taken out of the queue", LIMIT).await?;
        browser.says("#letters .letter[data-status=failed] .peer", "Anna", LIMIT).await?;
        world.remove_bot_fault(fault);
        Ok(())
    }

    /// The fault of a program's webhook is told with what waits for it, and is over when it takes updates.
    async fn webhook_that_fails_is_told_until_it_takes_updates(
        &self,
        browser: &Browser,
    ) -> anyhow::Result<()> {
        let hook = Hook::open().await?;
        browser.go(&Self::path("")).await?;
        browser.says("#updates", "No webhook is set", LIMIT).await?;
        let door = async |method: &str, body: Value| {
            let url = format!("{}/bot{}/{method}", self.api, self.token);
            reqwest::Client::new().post(url).json(&body).send().await?.error_for_status()
        };
        door("setWebhook", json!({"url": hook.url})).await?;
        let said = self.stage.stage.world().say(self.anna, self.bot, "for the webhook");
        said.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        browser.shows("#updates .webhook-fault[data-fault=now]", LIMIT).await?;
        let site = hook.url.trim_end_matches("/hook");
        for words in
            [site, "500 Internal Server Error", "Takes nothing since", "tried again in", "attempts", "wait"]
        {
            browser.says("#updates", words, LIMIT).await?;
        }
        browser.says("#standing [data-warning=webhook]", "does not take updates", LIMIT).await?;
        let shown = browser.text("#updates").await?.unwrap_or_default();
        ensure!(!shown.contains("/hook"), "more than the host is shown: {shown}");
        browser.go("/messages").await?;
        browser.shows("[data-bot=queue_bot] .warning[data-warning=webhook]", LIMIT).await?;
        browser.go(&Self::path("")).await?;
        hook.works();
        browser.shows("#updates .webhook-fault[data-fault=over]", LIMIT * 2).await?;
        browser.hides("#standing [data-warning=webhook]", LIMIT).await?;
        browser.says("#updates", "Last one taken", LIMIT).await?;
        browser.says("#updates .badge", "0", LIMIT).await?;
        door("deleteWebhook", json!({})).await?;
        browser.says("#updates", "No webhook is set", LIMIT).await?;
        Ok(())
    }

    /// By a click the webhook is tried at once, and what it never takes is skipped; since when it fails outlives the bot.
    async fn webhook_is_tried_and_its_update_skipped(
        &mut self,
        browser: &Browser,
        password: &str,
    ) -> anyhow::Result<()> {
        let mut receiver = Receiver::start().await?;
        let url = format!("{}/bot{}/setWebhook", self.api, self.token);
        let set = reqwest::Client::new().post(url).json(&json!({"url": receiver.url})).send().await?;
        set.error_for_status()?;
        let (world, anna, bot) = (self.stage.stage.world().clone(), self.anna, self.bot);
        let says =
            |text: &str| world.say(anna, bot, text).map(drop).map_err(|error| anyhow::anyhow!("{error:?}"));
        says("poison")?;
        browser.go(&Self::path("")).await?;
        browser.shows("#updates .webhook-fault[data-attempts='4']", LIMIT * 2).await?;
        browser.says("#updates .letter[data-stuck=yes]", "message", LIMIT).await?;
        // By itself it would be tried again 8 s after that.
        let refused = receiver.refused();
        browser.click("#updates form[action$='/updates/push'] button").await?;
        browser.says("#toasts", "The webhook is tried now", LIMIT).await?;
        receiver.refuses_again(refused, Duration::from_secs(4)).await?;
        self.fault_outlives_the_bot(browser).await?;

        receiver.refuses("poison").await?;
        says("behind it")?;
        browser.says("#updates .badge", "2", LIMIT).await?;
        let plain =
            self.stage.browser(Options { runs_scripts: false, ..Options::default() }, password).await?;
        looks::prefer(&plain, "ru").await?;
        plain.go(&Self::path("")).await?;
        let refused = receiver.refused();
        plain.click("#updates form[action$='/updates/push'] button").await?;
        plain.says(".notice", "Вебхук вызывается сейчас", LIMIT).await?;
        receiver.refuses_again(refused, Duration::from_secs(4)).await?;
        ensure!(receiver.took().is_empty(), "{:?}", receiver.took());
        browser.click("#updates form[action$='/skip'] button").await?;
        browser.says("dialog#confirm[open]", "programs do not get it", LIMIT).await?;
        browser.click("dialog#confirm[open] button[value=yes]").await?;
        browser.says("#toasts", "The update is skipped", LIMIT).await?;
        browser.shows("#updates .webhook-fault[data-fault=over]", LIMIT).await?;
        browser.says("#updates .badge", "0", LIMIT).await?;
        ensure!(browser.count("#updates form").await? == 0, "there is nothing to try or to skip");
        let took = receiver.took();
        ensure!(took.len() == 1 && took[0]["message"]["text"] == "behind it", "{took:?}");
        let url = format!("{}/bot{}/deleteWebhook", self.api, self.token);
        reqwest::Client::new().post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// The bot is killed while its webhook fails, and started again.
    async fn fault_outlives_the_bot(&mut self, browser: &Browser) -> anyhow::Result<()> {
        let fault = "#updates .webhook-fault[data-fault=now]";
        let since = browser.attribute(fault, "data-failing-since").await?.context("since when")?;
        self.stage.bot.take().context("the bot runs")?.kill().await?;
        sleep(Duration::from_secs(1)).await;
        self.stage.bot = Some(Kind::Bot.start(&self.stage.stage.installation).await?);
        let still = format!("{fault}[data-failing-since='{since}']");
        // While the bot is being opened nothing is known of its updates.
        let until = Instant::now() + LIMIT * 2;
        loop {
            browser.go(&Self::path("")).await?;
            if browser.count(&still).await? > 0 {
                break;
            }
            ensure!(Instant::now() < until, "not since {since}: {}", browser.words().await?);
            sleep(LIMIT / 20).await;
        }
        // The fifth was by the click; what is counted goes on, too.
        browser.shows(&format!("{still}:not([data-attempts='4'], [data-attempts='5'])"), LIMIT * 2).await?;
        Ok(())
    }

    /// What the bot's door answers to `getMe` with a token: 200, or 401.
    async fn door(&self, token: &str) -> anyhow::Result<u16> {
        let answer = reqwest::Client::new().get(format!("{}/bot{token}/getMe", self.api)).send().await?;
        Ok(answer.status().as_u16())
    }

    /// A token is made on the page, opens the bot's door, is seen to be used, and opens nothing once it is revoked; without
    /// scripts, too, and over the page's own API.
    async fn tokens_are_made_used_and_revoked(
        &self,
        browser: &Browser,
        password: &str,
    ) -> anyhow::Result<()> {
        browser.go("/bots").await?;
        browser.click(&format!("#bot-{BOT} a[href$='/messages/access']")).await?;
        let access = Self::path("/access");
        browser.arrives(LIMIT, |path| path == access).await?;
        browser.says("[data-token='1']", "last used", LIMIT).await?;
        browser.type_in("input[name=label]", "1C").await?;
        browser.click("form[action$='/access'] button.primary").await?;
        browser.says("[data-problem=label]", "There is a token with this name already", LIMIT).await?;
        browser.type_in("input[name=label]", NASTY).await?;
        browser.click("form[action$='/access'] button.primary").await?;
        browser.says("#made", "it will not be shown again", LIMIT).await?;
        let token = browser.text("#made .secret code").await?.context("a token")?;
        ensure!(self.door(&token).await? == 200, "the door does not know it");
        let sample = browser.text("#made .command:last-of-type code").await?.context("a sample")?;
        ensure!(sample == format!("curl {}/bot{token}/getMe", self.api), "{sample}");
        browser.go(&access).await?;
        browser.says("[data-token='2'] .what", NASTY, LIMIT).await?;
        browser.says("[data-token='2']", "last used", LIMIT).await?;
        ensure!(!browser.words().await?.contains(&token), "it is shown a second time");
        browser.click("[data-token='2'] details summary").await?;
        browser.click("[data-token='2'] form[action$='/revoke'] button").await?;
        browser.hides("[data-token='2']", LIMIT).await?;
        ensure!(self.door(&token).await? == 401, "it opens the door still");
        ensure!(self.door(&self.token).await? == 200, "the other one is dead, too");
        self.tokens_without_scripts(password).await?;
        self.tokens_for_programs(password).await
    }

    async fn tokens_without_scripts(&self, password: &str) -> anyhow::Result<()> {
        let options = Options { runs_scripts: false, ..Options::default() };
        let browser = self.stage.browser(options, password).await?;
        looks::prefer(&browser, "ru").await?;
        browser.go(&Self::path("/access")).await?;
        browser.type_in("input[name=label]", "Zabbix").await?;
        browser.click("form[action$='/access'] button.primary").await?;
        browser.says("#made", "больше он не будет показан", LIMIT).await?;
        let token = browser.text("#made .secret code").await?.context("a token")?;
        ensure!(self.door(&token).await? == 200, "the door does not know it");
        browser.click("[data-token='3'] details summary").await?;
        browser.click("[data-token='3'] form[action$='/revoke'] button").await?;
        browser.says(".notice:not(.bad)", "отозван", LIMIT).await?;
        ensure!(self.door(&token).await? == 401, "it opens the door still");
        Ok(())
    }

    async fn tokens_for_programs(&self, password: &str) -> anyhow::Result<()> {
        let (http, origin) = (reqwest::Client::new(), &self.stage.origin);
        let text = |answer: reqwest::Response| async { anyhow::Ok(answer.error_for_status()?.text().await?) };
        let login = http.post(format!("{origin}/api/v1/login")).json(&json!({"password": password}));
        let told: Value = serde_json::from_str(&text(login.send().await?).await?)?;
        let bearer = told["token"].as_str().context("a token of the page")?;
        let tokens = format!("{origin}/api/v1/bots/{BOT}/tokens");
        let wrong = http.post(&tokens).bearer_auth(bearer).json(&json!({"label": ""})).send().await?;
        ensure!(wrong.status() == 422, "a label that is empty: {}", wrong.status());
        let make = http.post(&tokens).bearer_auth(bearer).json(&json!({"label": "CRM"}));
        let made: Value = serde_json::from_str(&text(make.send().await?).await?)?;
        let token = made["token"].as_str().context("a token")?;
        ensure!(self.door(token).await? == 200, "the door does not know it");
        let all = text(http.get(&tokens).bearer_auth(bearer).send().await?).await?;
        ensure!(all.contains("\"label\":\"CRM\"") && !all.contains(token), "{all}");
        let one = format!("{tokens}/{}", made["number"]);
        text(http.delete(&one).bearer_auth(bearer).send().await?).await?;
        ensure!(self.door(token).await? == 401, "it opens the door still");
        let again = http.delete(&one).bearer_auth(bearer).send().await?;
        ensure!(again.status() == 502, "a token that is dead: {}", again.status());
        Ok(())
    }

    async fn nobody_does_anything_without_login_or_by_a_wrong_form(
        &self,
        browser: &Browser,
    ) -> anyhow::Result<()> {
        let stranger = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        for rest in ["", "/journal", "/journal.csv", "/files/1", "/chats/1", "/access"] {
            let answer = stranger.get(format!("{}{}", self.stage.origin, Self::path(rest))).send().await?;
            let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
            ensure!(answer.status() == 303 && to.starts_with("/login"), "{rest}: {}", answer.status());
        }
        let clear = Self::path("/queue/clear");
        for path in [clear.clone(), Self::path("/updates/push"), Self::path("/updates/1/skip")] {
            let answer = stranger.post(format!("{}{path}", self.stage.origin)).send().await?;
            ensure!(answer.status() == 303, "{path}: {}", answer.status());
        }
        // Who is logged in but does not show the page's own word does nothing either.
        let script = format!(
            "const asked = new XMLHttpRequest();
             asked.open('POST', '{clear}', false);
             asked.setRequestHeader('content-type', 'application/x-www-form-urlencoded');
             asked.send('csrf=wrong');
             return asked.status"
        );
        browser.go(&Self::path("")).await?;
        let status = browser.run(&script).await?;
        ensure!(status == 403, "a form without the page's word is answered {status}");
        let script = "const asked = new XMLHttpRequest();
             asked.open('GET', '/bots/nobody_bot/messages', false);
             asked.send();
             return asked.status";
        let status = browser.run(script).await?;
        ensure!(status == 404, "a bot that is not there is answered {status}");
        Ok(())
    }

    /// Both languages and themes: axe-core finds nothing.
    async fn looks(&self, browser: &Browser, password: &str) -> anyhow::Result<()> {
        let world = self.stage.stage.world();
        world.add_bot_fault(BotMatch::method("sendMessage"), BotAction::RetryAfter { seconds: 600 });
        self.send("something for the page");
        browser.go(&Self::path("")).await?;
        browser.shows("#outgoing [data-stuck=yes]", LIMIT).await?;
        let russian = self.stage.browser(Options::default(), password).await?;
        looks::prefer(&russian, "ru").await?;
        russian.go(&Self::path("")).await?;
        russian.says("#outgoing", "Голова очереди стоит", LIMIT).await?;
        russian.says("#outgoing", "Telegram просит подождать", LIMIT).await?;
        let pages = [
            ("messages-of-bot", "/messages".to_owned()),
            ("bot-queue", Self::path("")),
            ("bot-journal", Self::path("/journal")),
            ("bot-tokens", Self::path("/access")),
        ];
        tokio::try_join!(looks::of(browser, "en", &pages), looks::of(&russian, "ru", &pages))?;
        Ok(())
    }
}

/// Serves a file wherever it is asked for one.
async fn serve(contents: &'static str) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/price.txt", listener.local_addr()?);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: ";
    let answer = format!("{head}{}\r\n\r\n{contents}", contents.len());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                stream.write_all(answer.as_bytes()).await.ok();
            }
            stream.shutdown().await.ok();
        }
    });
    Ok(url)
}
