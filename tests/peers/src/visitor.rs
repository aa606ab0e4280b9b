//! An operator before the page without a screen: what a browser sends and is answered, over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tgtrunk_config::Language;
use tokio::time::{Instant, sleep};

/// How long the page may take to be there, and to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub page: SocketAddr,
    /// What the browser sends to be known, as `name=value`.
    pub cookie: String,
    password: String,
    http: Client,
}

impl Visitor {
    /// Logs in with the password that the client told at its first start; `log` gives what it has logged so far.
    ///
    /// # Errors
    /// When no page is told of, or it lets nobody in.
    pub async fn let_in(log: impl Fn() -> String) -> anyhow::Result<Self> {
        let until = Instant::now() + LIMIT;
        let (page, file) = loop {
            if let Some(told) = told(&log()) {
                break told;
            }
            ensure!(Instant::now() < until, "no page is told of:\n{}", log());
            sleep(Duration::from_millis(50)).await;
        };
        let password = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        Self::log_in(page, password.trim().to_owned()).await
    }

    /// Logs in once more, from another browser.
    ///
    /// # Errors
    /// When nobody is let in.
    pub async fn again(&self) -> anyhow::Result<Self> {
        Self::log_in(self.page, self.password.clone()).await
    }

    async fn log_in(page: SocketAddr, password: String) -> anyhow::Result<Self> {
        let http = Client::builder().redirect(Policy::none()).no_proxy().timeout(LIMIT).build()?;
        let form = [("password", &password)];
        let answer = http.post(format!("http://{page}/login")).form(&form).send().await?;
        let status = answer.status();
        let mut cookies =
            answer.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let session = cookies.find(|cookie| cookie.starts_with("tgtrunk=")).map(ToOwned::to_owned);
        let words = answer.text().await?;
        let session = session.filter(|_| status == StatusCode::SEE_OTHER);
        let session = session.with_context(|| format!("nobody is let in: {status} {words}"))?;
        let cookie = session.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { page, cookie, password, http })
    }

    /// A page as it is read: its text without tags, in a language.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn reads(&self, path: &str, language: Language) -> anyhow::Result<String> {
        let cookies = format!("{}; language={}", self.cookie, language.as_str());
        let answer =
            self.http.get(format!("http://{}{path}", self.page)).header(COOKIE, cookies).send().await?;
        let status = answer.status();
        let words = answer.text().await?;
        ensure!(status == StatusCode::OK, "{path} is answered with {status}: {words}");
        Ok(text(&words))
    }
}

/// The address in a client's log, and where its first password is.
fn told(log: &str) -> Option<(SocketAddr, PathBuf)> {
    let (_, told) = log.lines().find_map(|line| line.split_once("page: http://"))?;
    let (page, file) = told.split_once("/ (its first password is in ")?;
    Some((page.parse().ok()?, file.strip_suffix(')')?.into()))
}

/// What stands between the tags.
fn text(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, words)| words));
    }
    let letters = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")];
    letters.iter().fold(text, |text, (name, letter)| text.replace(name, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_without_its_tags() {
        let html = "<!DOCTYPE html><p class=\"a\">want &quot;1&quot; &amp; <b>2</b></p>";
        assert_eq!(text(html), "want \"1\" & 2");
    }

    #[test]
    fn the_address_and_the_file_of_the_password_are_found_in_the_log() {
        let told =
            told("x\npage: http://127.0.0.1:8090/ (its first password is in /state/page)\ny\n").unwrap();
        assert_eq!(told, ("127.0.0.1:8090".parse().unwrap(), "/state/page".into()));
        assert_eq!(super::told("page: http://127.0.0.1:8090/"), None);
    }
}
