//! Previews of web pages: this Telegram knows the pages that a test told it of, and fetches none.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;

/// A page about which previews are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebPage {
    /// As it stands in texts: `https://example.org/`.
    pub url: String,
    /// Shown first.
    #[serde(default)]
    pub site_name: String,
    /// Shown second.
    pub title: String,
    /// Shown last.
    #[serde(default)]
    pub description: String,
}

/// The pages known, by address.
#[derive(Debug, Default)]
pub(crate) struct WebPages(BTreeMap<String, WebPage>);

impl WebPages {
    pub(crate) fn add(&mut self, page: WebPage) {
        self.0.insert(page.url.clone(), page);
    }

    /// What is shown below a text: the first page named in it, if it is known.
    pub(crate) fn preview(
        &self,
        text: &str,
        entities: &[tl::enums::MessageEntity],
    ) -> Option<tl::enums::MessageMedia> {
        let linked = entities.iter().filter_map(|entity| match entity {
            tl::enums::MessageEntity::TextUrl(link) => Some(link.url.as_str()),
            _ => None,
        });
        let plain = text.split_whitespace().filter(|word| word.contains("://"));
        let page = plain.chain(linked).find_map(|url| self.0.get(url))?;
        Some(media(page))
    }
}

fn media(page: &WebPage) -> tl::enums::MessageMedia {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let address = page.url.split_once("://").map_or(page.url.as_str(), |(_, rest)| rest);
    let webpage = tl::types::WebPage {
        has_large_media: false,
        video_cover_photo: false,
        id: number(&page.url),
        url: page.url.clone(),
        display_url: address.trim_end_matches('/').to_owned(),
        hash: 1,
        r#type: Some("article".to_owned()),
        site_name: some(&page.site_name),
        title: some(&page.title),
        description: some(&page.description),
        photo: None,
        embed_url: None,
        embed_type: None,
        embed_width: None,
        embed_height: None,
        duration: None,
        author: None,
        document: None,
        cached_page: None,
        attributes: None,
    };
    tl::types::MessageMediaWebPage {
        force_large_media: false,
        force_small_media: false,
        manual: false,
        safe: false,
        webpage: webpage.into(),
    }
    .into()
}

/// FNV-1a of the address: the same page has the same number.
fn number(url: &str) -> i64 {
    let hash = url.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// `messages.getWebPagePreview`.
pub(crate) fn get_web_page_preview(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetWebPagePreview,
) -> Result<tl::enums::messages::WebPagePreview, RpcError> {
    if request.message.is_empty() {
        return Err(RpcError::bad_request("MESSAGE_EMPTY"));
    }
    let entities = request.entities.unwrap_or_default();
    let media = ctx.state.web_pages.preview(&request.message, &entities);
    let media = media.unwrap_or(tl::enums::MessageMedia::Empty);
    Ok(tl::types::messages::WebPagePreview { media, chats: Vec::new(), users: Vec::new() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_of_the_first_known_page_that_a_text_names() {
        let mut pages = WebPages::default();
        let page = |url: &str| WebPage {
            url: url.to_owned(),
            site_name: String::new(),
            title: "A page".to_owned(),
            description: String::new(),
        };
        pages.add(page("https://example.org/a"));
        assert!(pages.preview("see https://example.org/b and https://example.org/a", &[]).is_some());
        assert!(pages.preview("see example.org", &[]).is_none());
        let url = "https://example.org/a".to_owned();
        let link = tl::types::MessageEntityTextUrl { offset: 0, length: 3, url }.into();
        assert!(pages.preview("see", &[link]).is_some());
    }
}
