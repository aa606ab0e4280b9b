//! A POST to a webhook that a program has named, and what its answer means.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Url};

use crate::reach;

/// Brings JSON to webhooks, as notifications of messages are brought. No redirection is followed: clients turn a POST into
/// a GET on the way, and what that gets says nothing of whether the JSON was taken (RFC 9110, 15.4).
#[derive(Clone, Debug)]
pub struct Poster {
    client: Client,
    limit: Duration,
    own_ports: Vec<u16>,
}

impl Poster {
    /// One that waits so long for an answer, and asks this program itself, which has these ports, for nothing.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(limit: Duration, own_ports: Vec<u16>) -> Result<Self, PosterError> {
        Ok(Self { client: reach::client(None).map_err(PosterError)?, limit, own_ports })
    }

    /// Brings it once.
    ///
    /// # Errors
    /// Why it was not taken, without the address, which may hold a secret.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> Result<(), String> {
        post(&self.client, self.limit, &self.own_ports, url, headers, body).await
    }
}

/// Why there is no [`Poster`].
#[derive(Debug, thiserror::Error)]
#[error("nothing can be brought to webhooks: {0}")]
pub struct PosterError(reqwest::Error);

/// Brings it once, within `limit`.
pub(crate) async fn post(
    client: &Client,
    limit: Duration,
    own_ports: &[u16],
    url: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<(), String> {
    let at = Url::parse(url).map_err(|error| error.to_string())?;
    reach::check(&at, own_ports).await.map_err(|error| error.to_string())?;
    let mut request = client.post(at).timeout(limit).header(CONTENT_TYPE, "application/json").body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = answer.url().join(to).ok().and_then(|to| to.host_str().map(str::to_owned));
            let to = to.unwrap_or_else(|| "nowhere".to_owned());
            Err(format!(
                "it answers {}, which leads to {to}: name the address that takes it",
                answer.status()
            ))
        }
        Ok(answer) => Err(format!("it answers {}", answer.status())),
        // The address may hold a secret.
        Err(error) if error.is_timeout() => Err(format!("no answer within {} s", limit.as_secs())),
        Err(error) => Err(sources(&error.without_url())),
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
