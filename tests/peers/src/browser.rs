//! Debian's Chromium, driven as a person drives it: W3C WebDriver, Level 2, spoken to its `chromedriver`, and axe-core as
//! the judge of what people with a screen reader or bad eyes meet.

mod driver;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use tgtrunk_test_telegram::venv;
use tokio::time::{Instant, sleep};

use driver::Driver;

/// What marks an element in an answer (W3C WebDriver, section 12.3).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long the browser may take for one step, such as loading a page.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How often a page is looked at that is to change.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The same once it took long: a look costs some milliseconds of a processor, and other browsers wait as well.
const LOOK_LATER: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(3);

/// How a person's browser is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Its language, which it tells every page.
    pub language: &'static str,
    /// Whether the device is set to dark.
    pub is_dark: bool,
    /// Width and height of what is seen, in CSS pixels.
    pub size: (u32, u32),
    /// Whether scripts run.
    pub runs_scripts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { language: "en", is_dark: false, size: (1280, 900), runs_scripts: true }
    }
}

/// A browser with one window. Dropped, it is gone with all it knew.
pub struct Browser {
    driver: Driver,
    session: String,
    origin: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser for the pages of one origin, as `http://127.0.0.1:8090`.
    ///
    /// # Errors
    /// When the Debian packages `chromium` and `chromium-driver` are missing, or the browser does not start.
    pub async fn open(origin: &str, options: Options) -> anyhow::Result<Self> {
        let driver = Driver::start().await?;
        let profile = TempDir::with_prefix("browser-")?;
        let flags = [
            // Where tests run, they often run as root.
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ];
        let mut arguments: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.push(format!("--lang={}", options.language));
        let scripts = if options.runs_scripts { 1 } else { 2 };
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "pageLoadStrategy": "normal",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {
                    "intl.accept_languages": options.language,
                    "profile.managed_default_content_settings.javascript": scripts,
                },
            },
        } } });
        let answer = driver.ask("POST", "/session", Some(&wanted), STEP_LIMIT * 2).await?;
        let session = answer["sessionId"].as_str().context("a session has a name")?.to_owned();
        let browser = Self { driver, session, origin: origin.to_owned(), _profile: profile };
        browser.resize(options.size).await?;
        browser.darken(options.is_dark).await?;
        Ok(browser)
    }

    /// Shows the page at a path, waiting until it is loaded.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn go(&self, path: &str) -> anyhow::Result<()> {
        self.post("/url", json!({ "url": format!("{}{path}", self.origin) })).await?;
        Ok(())
    }

    /// The path and the query of what is shown.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn path(&self) -> anyhow::Result<String> {
        let address = self.get("/url").await?;
        let address = address.as_str().context("an address")?;
        Ok(address.strip_prefix(&self.origin).unwrap_or(address).to_owned())
    }

    /// Waits until the path of what is shown is wanted.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn arrives(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            let path = self.path().await?;
            if wanted(&path) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the browser stays at {path}\n{}", self.words().await?);
            sleep(LOOK_EVERY).await;
        }
    }

    /// Makes what is seen this large, in CSS pixels; what is narrow is a phone, with fingers on it.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn resize(&self, (width, height): (u32, u32)) -> anyhow::Result<()> {
        let is_phone = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.develop("Emulation.setDeviceMetricsOverride", metrics).await?;
        self.develop("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_phone })).await?;
        Ok(())
    }

    /// Sets the device to dark, or to light.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn darken(&self, is_dark: bool) -> anyhow::Result<()> {
        let value = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.develop("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// Clicks on the first element of a CSS selector that can be seen, once it is there.
    ///
    /// # Errors
    /// When there is none, or it is covered.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        self.with(css, |element| (format!("/element/{element}/click"), json!({}))).await
    }

    /// Types into a field, in place of what stands there.
    ///
    /// # Errors
    /// When there is none.
    pub async fn type_in(&self, css: &str, text: &str) -> anyhow::Result<()> {
        self.with(css, |element| (format!("/element/{element}/clear"), json!({}))).await?;
        self.with(css, |element| (format!("/element/{element}/value"), json!({ "text": text }))).await
    }

    /// Presses keys where the focus is; special ones as in W3C WebDriver, section 17.4.2.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.post("/actions", actions).await?;
        Ok(())
    }

    /// The text that is seen of an element; None where there is none.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn text(&self, css: &str) -> anyhow::Result<Option<String>> {
        for _ in 0..5 {
            let Some(element) = self.find(css).await?.into_iter().next() else { return Ok(None) };
            match self.get(&format!("/element/{element}/text")).await {
                Ok(text) => return Ok(text.as_str().map(str::to_owned)),
                Err(error) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// An attribute of an element; None where either is missing.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn attribute(&self, css: &str, name: &str) -> anyhow::Result<Option<String>> {
        for _ in 0..5 {
            let Some(element) = self.find(css).await?.into_iter().next() else { return Ok(None) };
            match self.get(&format!("/element/{element}/attribute/{name}")).await {
                Ok(value) => return Ok(value.as_str().map(str::to_owned)),
                Err(error) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// How many elements there are of a CSS selector.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn count(&self, css: &str) -> anyhow::Result<usize> {
        Ok(self.find(css).await?.len())
    }

    /// Waits until there is an element of a CSS selector; tells how long it took.
    ///
    /// # Errors
    /// When it does not come in time; with the words on the page.
    pub async fn shows(&self, css: &str, limit: Duration) -> anyhow::Result<Duration> {
        self.until(&format!("{css} is not there"), limit, async || Ok(self.count(css).await? > 0)).await
    }

    /// Waits until there is none.
    ///
    /// # Errors
    /// As [`Browser::shows`].
    pub async fn hides(&self, css: &str, limit: Duration) -> anyhow::Result<Duration> {
        self.until(&format!("{css} is still there"), limit, async || Ok(self.count(css).await? == 0)).await
    }

    /// Waits until an element says something with these words in it.
    ///
    /// # Errors
    /// As [`Browser::shows`].
    pub async fn says(&self, css: &str, words: &str, limit: Duration) -> anyhow::Result<Duration> {
        self.until(&format!("{css} does not say {words:?}"), limit, async || {
            Ok(self.text(css).await?.is_some_and(|text| text.contains(words)))
        })
        .await
    }

    /// All words on the page.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn words(&self) -> anyhow::Result<String> {
        Ok(self.text("body").await?.unwrap_or_default())
    }

    /// Runs a script's body in the page and gives what it returns.
    ///
    /// # Errors
    /// With what it throws.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// What axe-core finds wrong with the page as it is: a line per rule and element, none for a good page.
    ///
    /// # Errors
    /// When axe-core cannot be had or does not end.
    pub async fn violations(&self) -> anyhow::Result<Vec<String>> {
        let axe = tokio::task::spawn_blocking(axe).await??;
        let script = format!(
            "{axe}\nconst done = arguments[arguments.length - 1];\n\
             window.axe.run(document, {{ resultTypes: ['violations'] }}).then(\n\
               found => done(found.violations.flatMap(rule => rule.nodes.map(node =>\n\
                 rule.id + ': ' + node.target.join(' ') + ': ' + node.failureSummary.replace(/\\s+/g, ' ')))),\n\
               error => done(['axe: ' + error]));"
        );
        let found = self.post("/execute/async", json!({ "script": script, "args": [] })).await?;
        let found = found.as_array().context("axe gives a list")?;
        Ok(found.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Draws the whole page into a file, in a window as wide as this and as high as it needs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn draw(&self, file: &Path, (width, height): (u32, u32)) -> anyhow::Result<()> {
        let tall = self.run("return document.documentElement.scrollHeight").await?.as_u64();
        let tall = tall.and_then(|tall| u32::try_from(tall).ok()).context("a height")?.max(height);
        self.resize((width, tall)).await?;
        let drawn = self.develop("Page.captureScreenshot", json!({ "format": "png" })).await?;
        self.resize((width, height)).await?;
        let bytes = BASE64.decode(drawn["data"].as_str().context("a picture")?)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, bytes).with_context(|| file.display().to_string())
    }

    /// What the page's own log holds of errors: scripts that threw, what the content policy refused, what did not load.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.post("/se/log", json!({ "type": "browser" })).await?;
        let entries = log.as_array().context("a log")?;
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    async fn until(
        &self,
        failing: &str,
        limit: Duration,
        mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        loop {
            if is_so().await? {
                return Ok(began.elapsed());
            }
            if began.elapsed() > limit {
                bail!("{failing} after {limit:?} at {}:\n{}", self.path().await?, self.words().await?);
            }
            sleep(if began.elapsed() < LONG { LOOK_EVERY } else { LOOK_LATER }).await;
        }
    }

    /// Does something with an element, once it is there; an element that was replaced meanwhile is looked for again.
    async fn with(&self, css: &str, step: impl Fn(&str) -> (String, Value)) -> anyhow::Result<()> {
        let until = Instant::now() + STEP_LIMIT;
        loop {
            let mut why = format!("there is no {css}");
            for element in self.find(css).await? {
                let (path, body) = step(&element);
                match self.post(&path, body).await {
                    Ok(_) => return Ok(()),
                    Err(error) => why = format!("{css}: {error:#}"),
                }
            }
            if Instant::now() > until {
                bail!("{why} at {}:\n{}", self.path().await?, self.words().await?);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn find(&self, css: &str) -> anyhow::Result<Vec<String>> {
        let wanted = json!({ "using": "css selector", "value": css });
        let mut found = self.post("/elements", wanted.clone()).await;
        for _ in 0..5 {
            if found.as_ref().is_err_and(is_stale) {
                found = self.post("/elements", wanted.clone()).await;
            }
        }
        let found = found?;
        let found = found.as_array().context("a list of elements")?;
        Ok(found.iter().filter_map(|one| one[ELEMENT].as_str().map(str::to_owned)).collect())
    }

    /// A command of the browser's own protocol for developers.
    async fn develop(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.driver.ask("POST", &format!("/session/{}{path}", self.session), Some(&body), STEP_LIMIT).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.driver.ask("GET", &format!("/session/{}{path}", self.session), None, STEP_LIMIT).await
    }
}

/// Whether the page changed while it was looked at, in each of the driver's wordings.
fn is_stale(error: &anyhow::Error) -> bool {
    let told = error.to_string();
    [
        "stale element reference",
        "does not belong to the document",
        "aborted by navigation",
        "no such execution context",
    ]
    .iter()
    .any(|words| told.contains(words))
}

/// The text of axe-core, from the package that carries it.
fn axe() -> anyhow::Result<String> {
    let python = venv::python()?;
    let packages = python.ancestors().nth(2).context("a virtual environment")?.join("lib");
    let version = std::fs::read_dir(&packages)?.next().context("a version of Python")??;
    let file: PathBuf = version.path().join("site-packages/axe_playwright_python/axe.min.js");
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}
