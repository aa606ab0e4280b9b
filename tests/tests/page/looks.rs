//! How every page looks: drawn in both languages and themes, on a desk and on a phone, and judged by axe-core.

use std::time::Duration;

use anyhow::ensure;
use tgtrunk_tests::browser::{Browser, Options};
use tgtrunk_tests::page_stage::PageStage;
use tokio::time::sleep;
use tokio::try_join;

use crate::number::Number;

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

/// Most that a page may weigh with all that it loads, uncompressed, in bytes.
const WEIGHT_MAX: u64 = 150_000;
/// What a meter shows, and a little more.
const METER: Duration = Duration::from_millis(3_500);

/// Darkness and size.
const WAYS: [(bool, (u32, u32)); 4] = [(false, DESK), (true, DESK), (true, PHONE), (false, PHONE)];

/// Draws and judges what an installation without lines shows.
pub(crate) async fn of_the_first_steps(stage: &PageStage, password: &str) -> anyhow::Result<()> {
    let door = [("door", "/login".to_owned())];
    let pages = [("welcome", "/".to_owned()), ("new-number", "/lines/new".to_owned())];
    let (stranger, browser) = try_join!(
        Browser::open(&stage.origin, Options::default()),
        stage.browser(Options::default(), password)
    )?;
    try_join!(of(&stranger, "en", &door), of(&browser, "en", &pages))?;
    try_join!(of(&stranger, "ru", &door), of(&browser, "ru", &pages))?;
    able_to_fail(&stranger).await
}

/// Draws and judges all pages of an installation with a line that works and one that is being logged in to.
pub(crate) async fn of_every_page(
    stage: &PageStage,
    works: &Number,
    waits: &Number,
    password: &str,
) -> anyhow::Result<()> {
    let pages = [
        ("lines", "/".to_owned()),
        ("line", works.path("")),
        ("logins", works.path("/login")),
        ("login-done", works.path("/login/gateway")),
        ("login-qr", waits.path("/login/gateway")),
        ("login-code", waits.path("/login/client")),
        ("login-bot", works.path("/login/bot")),
        ("texts", works.path("/texts")),
        ("pbx", works.path("/pbx")),
        ("settings", works.path("/settings")),
        ("calls", "/calls".to_owned()),
        ("bots", "/bots".to_owned()),
        ("system", "/system".to_owned()),
        ("log", "/system/log".to_owned()),
        ("not-there", "/no-such-page".to_owned()),
    ];
    let each = async |language| {
        let browser = stage.browser(Options::default(), password).await?;
        of(&browser, language, &pages).await?;
        postcards(&browser, language, waits).await
    };
    try_join!(each("en"), each("ru"))?;
    Ok(())
}

/// Draws and judges pages in one language.
pub(crate) async fn of(browser: &Browser, language: &str, pages: &[(&str, String)]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    prefer(browser, language).await?;
    for (is_dark, size) in WAYS {
        browser.resize(size).await?;
        browser.darken(is_dark).await?;
        let theme = if is_dark { "dark" } else { "light" };
        for (name, path) in pages {
            browser.go(path).await?;
            let file = format!("{name}-{language}-{theme}-{}.png", size.0);
            browser.draw(&PageStage::pictures().join(&file), size).await?;
            wrong.extend(overflow(browser, size.0).await?.map(|what| format!("{file}: {what}")));
            wrong.extend(weight(browser).await?.map(|what| format!("{file}: {what}")));
            // Each language, theme and size is judged with each of the others on some of the four.
            if (language == "en") == (is_dark == (size == PHONE)) {
                wrong.extend(browser.violations().await?.into_iter().map(|one| format!("{file}: {one}")));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// The pictures in README.md, of an operator's desk and phone, with meters that have heard enough.
async fn postcards(browser: &Browser, language: &str, waits: &Number) -> anyhow::Result<()> {
    let cards = [
        ("lines", "/".to_owned(), (1180, 600)),
        ("login", waits.path("/login/client"), (860, 640)),
        ("phone", "/".to_owned(), (390, 780)),
    ];
    browser.darken(false).await?;
    for (name, path, size) in cards {
        browser.resize(size).await?;
        browser.go(&path).await?;
        if browser.count("canvas.levels").await? > 0 {
            sleep(METER).await;
        }
        browser.draw(&PageStage::pictures().join(format!("postcard-{name}-{language}.png")), size).await?;
    }
    Ok(())
}

/// The judge sees what is wrong: a page without its language, a picture without words.
async fn able_to_fail(browser: &Browser) -> anyhow::Result<()> {
    let spoil = "document.documentElement.removeAttribute('lang'); document.body.append(new Image())";
    browser.run(spoil).await?;
    let found = browser.violations().await?;
    for rule in ["html-has-lang", "image-alt"] {
        ensure!(found.iter().any(|one| one.starts_with(rule)), "{rule} is not among {found:?}");
    }
    Ok(())
}

/// Chooses a language as a person does.
pub(crate) async fn prefer(browser: &Browser, language: &str) -> anyhow::Result<()> {
    let limit = Duration::from_secs(5);
    browser.go("/").await?;
    if browser.count(&format!("html[lang={language}]")).await? == 0 {
        if browser.count("header details.menu").await? > 0 {
            browser.click("header details.menu summary").await?;
        }
        browser.click(&format!("button[name=language][value={language}]")).await?;
        browser.shows(&format!("html[lang={language}]"), limit).await?;
    }
    Ok(())
}

/// A page that is too much for a slow way to it.
async fn weight(browser: &Browser) -> anyhow::Result<Option<String>> {
    let script = "\
        const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
        return loaded.filter(({ name }) => !name.includes('/events')).reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)";
    let bytes = browser.run(script).await?.as_u64().unwrap_or(u64::MAX);
    Ok((bytes == 0 || bytes > WEIGHT_MAX)
        .then(|| format!("{bytes} bytes to load, want at most {WEIGHT_MAX}")))
}

/// A page that has to be moved sideways to be read.
pub(crate) async fn overflow(browser: &Browser, width: u32) -> anyhow::Result<Option<String>> {
    let wide = browser.run("return document.documentElement.scrollWidth").await?;
    let is_wide = wide.as_u64().is_some_and(|wide| wide > u64::from(width));
    Ok(is_wide.then(|| format!("{wide} pixels wide, want {width}")))
}
