//! The page where no script runs.

use anyhow::ensure;
use tgtrunk_tests::browser::Options;
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::page_stage::PageStage;

use crate::number::{Number, lamp};

/// Reads what there is and saves a name, one request at a time.
pub(crate) async fn works_without_scripts(
    stage: &PageStage,
    number: &Number,
    password: &str,
) -> anyhow::Result<()> {
    let options = Options { runs_scripts: false, ..Options::default() };
    let browser = stage.browser(options, password).await?;
    ensure!(browser.count("html[data-js]").await? == 0, "scripts run");
    browser.says("#lines .line", "connected", LIMIT).await?;
    browser.shows(&lamp("gateway", "green"), LIMIT).await?;
    browser.click("#lines .line h2 a").await?;
    browser.shows("#checks .check[data-found]", LIMIT).await?;
    for page in ["/login", "/texts", "/pbx", "/settings"] {
        browser.go(&number.path(page)).await?;
        let words = browser.words().await?;
        ensure!(words.len() > 300, "{page} says next to nothing: {words}");
    }
    browser.type_in("input[name=company]", "Acme Sales").await?;
    browser.click("form.settings .save button").await?;
    browser.shows(".notice:not(.bad)", LIMIT).await?;
    browser.says(".line-title .name", "Acme Sales", LIMIT).await?;
    browser.go("/calls").await?;
    browser.shows("#records tr[data-result]", LIMIT).await?;
    browser.click("header details.menu summary").await?;
    browser.click("header button[name=theme][value=dark]").await?;
    browser.shows("html[data-theme=dark]", LIMIT).await?;
    Ok(())
}
