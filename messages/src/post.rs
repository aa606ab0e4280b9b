//! A POST to a webhook that a program has named, and what its answer means.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Url};

use crate::reach::Web;

/// Brings JSON to webhooks, as notifications of messages are brought. No redirection is followed: clients turn a POST into
/// a GET on the way, and what that gets says nothing of whether the JSON was taken (RFC 9110, 15.4).
#[derive(Clone, Debug)]
pub struct Poster {
    web: Web,
    limit: Duration,
}

impl Poster {
    /// One that waits so long for an answer, and asks this program itself, which has these ports, for nothing.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(limit: Duration, own_ports: &[u16]) -> Result<Self, PosterError> {
        Ok(Self { web: Web::new(None, own_ports).map_err(PosterError)?, limit })
    }

    /// Brings it once.
    ///
    /// # Errors
    /// Why it was not taken, without the address, which may hold a secret.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> Result<(), String> {
        post(&self.web, self.limit, url, headers, body).await.map_err(|missed| missed.sentence)
    }
}

/// Why there is no [`Poster`].
#[derive(Debug, thiserror::Error)]
#[error("nothing can be brought to webhooks: {0}")]
pub struct PosterError(reqwest::Error);

/// Why a webhook did not take something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The HTTP status, where it answered.
    pub(crate) status: Option<u16>,
    /// Without the address, which may hold a secret.
    pub(crate) sentence: String,
}

impl From<String> for Missed {
    fn from(sentence: String) -> Self {
        Self { status: None, sentence }
    }
}

/// Brings it once, within `limit`.
pub(crate) async fn post(
    web: &Web,
    limit: Duration,
    url: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<(), Missed> {
    let at = Url::parse(url).map_err(|error| error.to_string())?;
    let request = web.request(Method::POST, &at).await.map_err(|error| error.to_string())?;
    let mut request = request.timeout(limit).header(CONTENT_TYPE, "application/json").body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = answer.url().join(to).ok().and_then(|to| to.host_str().map(str::to_owned));
            let to = to.unwrap_or_else(|| "nowhere".to_owned());
            let status = answer.status();
            let sentence =
                format!("it answers {status}, which leads to {to}: name the address that takes it");
            Err(Missed { status: Some(status.as_u16()), sentence })
        }
        Ok(answer) => {
            let status = answer.status();
            Err(Missed { status: Some(status.as_u16()), sentence: format!("it answers {status}") })
        }
        // The address may hold a secret.
        Err(error) if error.is_timeout() => Err(format!("no answer within {} s", limit.as_secs()).into()),
        Err(error) => Err(sources(&error.without_url()).into()),
    }
}

/// An error and what is behind it.
pub(crate) fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
