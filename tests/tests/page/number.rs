//! A number on the page: added, and brought to green lamps.

use std::time::Duration;

use anyhow::ensure;
use tgtrunk_tests::browser::Browser;
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;
use tgtrunk_tests::ports;
use tgtrunk_tests::stage::username;

use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::NewBot;

/// An account at Telegram that is to be a line.
pub(crate) struct Number {
    pub(crate) phone: String,
    pub(crate) account: i64,
    /// Where the PBX is to reach it.
    pub(crate) sip: String,
}

impl Number {
    /// An account that nobody has logged in to.
    pub(crate) fn new(stage: &PageStage, user: NewUser) -> anyhow::Result<Self> {
        let phone = user.phone.clone();
        let account = stage.stage.user(user.username(username(&phone)))?;
        Ok(Self { phone, account, sip: format!("127.0.0.1:{}", ports::free()?) })
    }

    /// The address of one of its pages.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/lines/{}{rest}", self.phone)
    }

    /// Adds it by the form and waits for the first step of its login.
    pub(crate) async fn add(&self, stage: &PageStage, browser: &Browser, name: &str) -> anyhow::Result<()> {
        browser.go("/").await?;
        browser.click("a.primary[href='/lines/new']").await?;
        browser.type_in("input[name=phone]", &self.phone).await?;
        browser.type_in("input[name=company]", name).await?;
        browser.type_in("input[name=pbx]", &stage.pbx.to_string()).await?;
        browser.type_in("input[name=sip_port]", self.sip.rsplit(':').next().unwrap_or_default()).await?;
        browser.click("form[action='/lines/new'] button.primary").await?;
        let login = self.path("/login/gateway");
        browser.arrives(LIMIT, |path| path == login).await?;
        browser.shows("#steps[data-stage=start]", LIMIT).await?;
        Ok(())
    }

    /// Gives it a bot by the bot's token, on the page of its logins.
    pub(crate) async fn give_bot(
        &self,
        stage: &PageStage,
        browser: &Browser,
        bot: &str,
    ) -> anyhow::Result<()> {
        let info = stage.stage.world().add_bot(NewBot::new(bot, "Acme"))?;
        browser.go(&self.path("/login/bot")).await?;
        browser.type_in("#token input[name=token]", "123456:no-such-token").await?;
        browser.click("#token button[value=check]").await?;
        browser.shows("#token .wrong .problem", LIMIT).await?;
        browser.type_in("#token input[name=token]", &info.token).await?;
        browser.click("#token button[value=check]").await?;
        browser.says("#token .found", &format!("@{bot}"), LIMIT).await?;
        let found = browser.text("#token .found").await?.unwrap_or_default();
        ensure!(found.contains("Acme") && found.contains(&info.id.to_string()), "{found}");
        browser.type_in("#token input[name=token]", &info.token).await?;
        browser.click("#token button[value=save]").await?;
        browser.says("#toasts", &format!("@{bot}"), LIMIT).await?;
        browser.shows("#parts .lamp[data-part=bot][data-lamp=green]", LIMIT).await?;
        Ok(())
    }
}

/// The selector of a program's lamp on a page that shows one line.
pub(crate) fn lamp(part: &str, colour: &str) -> String {
    format!("main .lamp[data-part={part}][data-lamp={colour}]")
}

/// Waits until all three lamps of the only line are green.
pub(crate) async fn all_green(browser: &Browser, limit: Duration) -> anyhow::Result<()> {
    for part in ["gateway", "client", "bot"] {
        browser.shows(&lamp(part, "green"), limit).await?;
    }
    Ok(())
}

/// Writes down from now on which colours the lamps of the page take, in turn, also over reloads of it.
pub(crate) async fn watch_lamps(browser: &Browser) -> anyhow::Result<()> {
    let script = "\
        const seen = JSON.parse(sessionStorage.getItem('colours') || '{}');
        const look = () => {
          for (const lamp of document.querySelectorAll('main .lamp[data-part]')) {
            const list = seen[lamp.dataset.part] ||= [];
            if (list.at(-1) !== lamp.dataset.lamp) list.push(lamp.dataset.lamp);
          }
          sessionStorage.setItem('colours', JSON.stringify(seen));
        };
        look();
        new MutationObserver(look).observe(document.body,
          { subtree: true, childList: true, attributes: true, attributeFilter: ['data-lamp'] });";
    browser.run(script).await?;
    Ok(())
}

/// The colours that a lamp took, as `red orange green`.
pub(crate) async fn colours(browser: &Browser, part: &str) -> anyhow::Result<String> {
    let script =
        format!("return (JSON.parse(sessionStorage.getItem('colours') || '{{}}')['{part}'] || []).join(' ')");
    Ok(browser.run(&script).await?.as_str().unwrap_or_default().to_owned())
}
