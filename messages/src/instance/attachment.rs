//! Files behind links, to be sent.

use super::{Instance, Refused, StoredFile};
use crate::content::{Attachment, starts_with};
use crate::files::{kind_of, mime_of};

impl Instance {
    /// A file behind a link: one of the store's own, or one that is fetched before it is sent. One of the web whose host is
    /// not there is refused at once. It is called `name`, or as the link says.
    ///
    /// # Errors
    /// [`Refused::Bad`].
    pub(crate) async fn attachment(&self, url: &str, name: Option<String>) -> Result<Attachment, Refused> {
        let name = name.or_else(|| name_in(url));
        if let Some(stored) = self.own(url).await {
            return Ok(kept(stored, name));
        }
        self.reaches(url).await?;
        let name = name.unwrap_or_else(|| "file".to_owned());
        let mime = mime_of(&name);
        Ok(Attachment {
            kind: kind_of(&mime),
            is_plain: false,
            name,
            mime,
            size: 0,
            stored: None,
            url: Some(url.to_owned()),
            remote: None,
            thumbnail: None,
        })
    }

    /// The file behind a link that the store gave.
    async fn own(&self, url: &str) -> Option<StoredFile> {
        let (_, rest) = url.split_once("/files/")?;
        let stored = self.stored(rest.split('/').next()?).await.ok()?;
        (stored.url == url).then_some(stored)
    }
}

/// Whether a text is a link to something that may be fetched.
pub(crate) fn is_link(text: &str) -> bool {
    ["http://", "https://"].iter().any(|start| starts_with(text, start))
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
}

/// A file of the store as it is sent, under another name perhaps.
pub(crate) fn kept(stored: StoredFile, name: Option<String>) -> Attachment {
    let is_untold = stored.mime == mime_of("");
    let mime = name.as_deref().filter(|_| is_untold).map_or(stored.mime, mime_of);
    Attachment {
        kind: kind_of(&mime),
        is_plain: false,
        name: name.unwrap_or(stored.name),
        mime,
        size: stored.size,
        stored: Some(stored.key),
        url: None,
        remote: None,
        thumbnail: None,
    }
}

/// A file's name at the end of a link.
pub(crate) fn name_in(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (host, name) = path.rsplit_once('/')?;
    let name = crate::green::decoded(name);
    (host.contains("//") && !host.ends_with('/') && name.contains('.')).then_some(name)
}

/// A title that has no extension gets the link's, so that devices know what the file is.
pub(crate) fn with_end_of(title: String, url: &str) -> String {
    let told = name_in(url).unwrap_or_default();
    match told.rsplit_once('.') {
        Some((_, end)) if mime_of(&title) == mime_of("") && mime_of(&told) != mime_of("") => {
            format!("{title}.{end}")
        }
        _ => title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::FileKind;

    #[test]
    fn a_link_tells_its_files_name() {
        for (url, name) in [
            ("https://example.org/a/price%20list.pdf?x=1#y", Some("price list.pdf")),
            ("https://example.org/a/download", None),
            ("https://example.org", None),
            ("https://example.org/", None),
        ] {
            assert_eq!(name_in(url).as_deref(), name, "{url}");
        }
        assert_eq!(with_end_of("Прайс 1.2".to_owned(), "https://example.org/p.pdf"), "Прайс 1.2.pdf");
        assert_eq!(with_end_of("a.png".to_owned(), "https://example.org/p.pdf"), "a.png");
    }

    #[test]
    fn a_new_name_tells_the_type_that_nobody_told() {
        let stored = |mime: &str| StoredFile {
            key: "1".to_owned(),
            name: "x".to_owned(),
            mime: mime.to_owned(),
            size: 5,
            url: "https://example.org/files/1/x".to_owned(),
        };
        let sent = kept(stored("application/octet-stream"), Some("a.jpg".to_owned()));
        assert_eq!(
            (sent.kind, sent.mime.as_str(), sent.name.as_str()),
            (FileKind::Image, "image/jpeg", "a.jpg")
        );
        let sent = kept(stored("video/mp4"), Some("a.jpg".to_owned()));
        assert_eq!((sent.kind, sent.mime.as_str()), (FileKind::Video, "video/mp4"));
        assert_eq!(kept(stored("text/plain"), None).name, "x");
    }
}
