//! What a test writes in a user's name: texts, files, places, contacts, polls, albums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grammers_tl_types as tl;
use serde::Deserialize;

use super::chats::Said;
use super::error::RpcError;
use super::files::geo;
use super::handle::World;
use super::messages::albums;
use super::messages::message::Draft;
use super::messages::send::TEXT_MAX;
use super::state::State;
use super::users::digits;

/// A message to be written in a user's name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Letter {
    /// The user or the group.
    pub to: i64,
    /// Text, or the caption of the first thing that hangs on it.
    pub text: String,
    /// A message of the writer's box, or of the channel's.
    pub reply_to: Option<i32>,
    /// Without a sound.
    pub silent: bool,
    /// What hangs on it; several make an album.
    pub media: Vec<Hung>,
}

impl Letter {
    /// Text alone.
    pub fn text(to: i64, text: impl Into<String>) -> Self {
        Self { to, text: text.into(), ..Self::default() }
    }
}

/// What hangs on a message. Contents are base64.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Hung {
    /// A PNG or JPEG.
    Photo {
        /// Contents.
        base64: String,
    },
    /// A file of any kind.
    Document {
        /// Contents.
        base64: String,
        /// Its name.
        name: String,
        /// Its kind: `application/pdf`.
        #[serde(default)]
        mime: String,
    },
    /// A voice message.
    Voice {
        /// Contents: Opus in Ogg.
        base64: String,
        /// Seconds.
        duration: i32,
    },
    /// A film.
    Video {
        /// Contents.
        base64: String,
        /// Seconds.
        duration: f64,
        /// In a circle.
        #[serde(default)]
        round: bool,
    },
    /// Music.
    Audio {
        /// Contents.
        base64: String,
        /// Seconds.
        duration: i32,
        /// Of the piece.
        #[serde(default)]
        title: String,
    },
    /// A sticker.
    Sticker {
        /// Contents: WebP.
        base64: String,
        /// The emoji that it stands for.
        emoji: String,
    },
    /// A place, with a title and an address a venue.
    Place {
        /// Degrees to the north.
        latitude: f64,
        /// Degrees to the east.
        longitude: f64,
        /// A venue's name.
        #[serde(default)]
        title: String,
        /// A venue's address.
        #[serde(default)]
        address: String,
    },
    /// A contact.
    Contact {
        /// As it is sent.
        phone: String,
        /// Shown first.
        first_name: String,
        /// Shown second.
        #[serde(default)]
        last_name: String,
        /// The card, whole.
        #[serde(default)]
        vcard: String,
    },
    /// A poll.
    Poll {
        /// What is asked.
        question: String,
        /// What may be answered.
        answers: Vec<String>,
        /// Several answers may be chosen.
        #[serde(default)]
        multiple: bool,
    },
}

impl State {
    fn hang(&mut self, from: i64, hung: Hung) -> Result<tl::enums::MessageMedia, RpcError> {
        let dc = self.users.user(from).map_or(self.home_dc, |user| user.dc);
        match hung {
            Hung::Photo { base64 } => self.files.add_photo(dc, decoded(&base64)?),
            Hung::Document { base64, name, mime } => {
                let mime = if mime.is_empty() { "application/octet-stream".to_owned() } else { mime };
                self.files.add_document(dc, decoded(&base64)?, mime, vec![named(&name)])
            }
            Hung::Voice { base64, duration } => {
                let sound = sound(duration, true, None);
                self.files.add_document(dc, decoded(&base64)?, "audio/ogg".to_owned(), vec![sound])
            }
            Hung::Audio { base64, duration, title } => {
                let about = vec![sound(duration, false, Some(title.clone())), named(&title)];
                self.files.add_document(dc, decoded(&base64)?, "audio/mpeg".to_owned(), about)
            }
            Hung::Video { base64, duration, round } => {
                let film = tl::types::DocumentAttributeVideo {
                    round_message: round,
                    supports_streaming: true,
                    nosound: false,
                    duration,
                    w: 320,
                    h: 240,
                    preload_prefix_size: None,
                    video_start_ts: None,
                    video_codec: None,
                };
                let about = vec![film.into(), named("video.mp4")];
                self.files.add_document(dc, decoded(&base64)?, "video/mp4".to_owned(), about)
            }
            Hung::Sticker { base64, emoji } => {
                let sticker = tl::types::DocumentAttributeSticker {
                    mask: false,
                    alt: emoji,
                    stickerset: tl::enums::InputStickerSet::Empty,
                    mask_coords: None,
                };
                let size = tl::types::DocumentAttributeImageSize { w: 512, h: 512 };
                let about = vec![size.into(), sticker.into(), named("sticker.webp")];
                self.files.add_document(dc, decoded(&base64)?, "image/webp".to_owned(), about)
            }
            Hung::Place { latitude, longitude, title, address } => {
                let place = geo(latitude, longitude);
                let geo = place.ok_or_else(|| RpcError::bad_request("GEO_POINT_INVALID"))?;
                if title.is_empty() && address.is_empty() {
                    return Ok(tl::types::MessageMediaGeo { geo }.into());
                }
                let (provider, venue_id, venue_type) = (String::new(), String::new(), String::new());
                let venue =
                    tl::types::MessageMediaVenue { geo, title, address, provider, venue_id, venue_type };
                Ok(venue.into())
            }
            Hung::Contact { phone, first_name, last_name, vcard } => {
                let owner = digits(&phone).and_then(|phone| self.users.by_phone(&phone));
                Ok(tl::types::MessageMediaContact {
                    user_id: owner.map_or(0, |owner| owner.id),
                    phone_number: phone,
                    first_name,
                    last_name,
                    vcard,
                }
                .into())
            }
            Hung::Poll { question, answers, multiple } => {
                self.polls.add(from, poll(&question, &answers, multiple))
            }
        }
    }
}

fn decoded(base64: &str) -> Result<Vec<u8>, RpcError> {
    STANDARD.decode(base64).map_err(|_| RpcError::bad_request("FILE_CONTENT_BASE64_INVALID"))
}

fn named(name: &str) -> tl::enums::DocumentAttribute {
    tl::types::DocumentAttributeFilename { file_name: name.to_owned() }.into()
}

fn sound(duration: i32, voice: bool, title: Option<String>) -> tl::enums::DocumentAttribute {
    let (performer, waveform) = (None, None);
    tl::types::DocumentAttributeAudio { voice, duration, title, performer, waveform }.into()
}

fn poll(question: &str, answers: &[String], multiple: bool) -> tl::types::InputMediaPoll {
    let text =
        |text: &str| tl::types::TextWithEntities { text: text.to_owned(), entities: Vec::new() }.into();
    let answer = |(at, answer): (usize, &String)| {
        let option = vec![u8::try_from(at).unwrap_or(u8::MAX)];
        tl::types::PollAnswer { text: text(answer), option, media: None, added_by: None, date: None }.into()
    };
    let poll = tl::types::Poll {
        id: 0,
        closed: false,
        public_voters: false,
        multiple_choice: multiple,
        quiz: false,
        open_answers: false,
        revoting_disabled: false,
        shuffle_answers: false,
        hide_results_until_close: false,
        creator: false,
        subscribers_only: false,
        question: text(question),
        answers: answers.iter().enumerate().map(answer).collect(),
        close_period: None,
        close_date: None,
        countries_iso2: None,
        hash: 0,
    };
    tl::types::InputMediaPoll {
        poll: poll.into(),
        correct_answers: None,
        attached_media: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    }
}

impl World {
    /// A user writes; all devices in the chat are told. An album gives its messages' numbers in order.
    ///
    /// # Errors
    /// What `messages.sendMessage`, `sendMedia` and `sendMultiMedia` refuse with.
    pub fn write(&self, from: i64, letter: Letter) -> Result<Vec<Said>, RpcError> {
        if letter.text.trim().is_empty() && letter.media.is_empty() {
            return Err(RpcError::bad_request("MESSAGE_EMPTY"));
        }
        if letter.text.chars().count() > TEXT_MAX {
            return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
        }
        if letter.media.len() > albums::ALBUM_MAX {
            return Err(RpcError::bad_request("MULTI_MEDIA_TOO_LONG"));
        }
        let mut state = self.lock();
        state.may_write(from, letter.to)?;
        let grouped_id = (letter.media.len() > 1).then(albums::number);
        let mut drafts = Vec::new();
        let blank = Draft {
            reply_to: letter.reply_to,
            silent: letter.silent,
            grouped_id,
            ..Draft::text(letter.text)
        };
        if letter.media.is_empty() {
            drafts.push(blank.clone());
        }
        for hung in letter.media {
            let text = if drafts.is_empty() { blank.text.clone() } else { String::new() };
            let media = Some(state.hang(from, hung)?);
            drafts.push(Draft { media, text, ..blank.clone() });
        }
        let mut said = Vec::new();
        for draft in drafts {
            state.may_post(from, letter.to, &draft)?;
            let posted = state.post(from, letter.to, draft, None);
            said.push(Said { id: posted.id, twin: posted.twin.map(|(_, id)| id) });
        }
        Ok(said)
    }

    /// A user forwards a message that they see.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, and what `messages.sendMessage` refuses with.
    pub fn forward(&self, user: i64, from: i64, id: i32, to: i64) -> Result<Said, RpcError> {
        let mut state = self.lock();
        let draft = super::messages::send::forwarded_draft(&state, user, from, to, id)?;
        state.may_post(user, to, &draft)?;
        let posted = state.post(user, to, draft, None);
        Ok(Said { id: posted.id, twin: posted.twin.map(|(_, id)| id) })
    }

    /// A user reacts to a message that they see, with one emoji or with none.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, `REACTION_INVALID`.
    pub fn react(&self, user: i64, chat: i64, id: i32, emoji: Option<&str>) -> Result<(), RpcError> {
        let emojis: Vec<String> = emoji.map(str::to_owned).into_iter().collect();
        self.lock().react(user, chat, id, &emojis, false, None).map(|_| ())
    }

    /// A user votes in a poll that they see, by the numbers of the answers.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, `OPTION_INVALID`, `OPTIONS_TOO_MUCH`, `MESSAGE_POLL_CLOSED`.
    pub fn vote(&self, user: i64, chat: i64, id: i32, answers: &[u8]) -> Result<(), RpcError> {
        let mut state = self.lock();
        let options = state.poll_options(user, chat, id)?;
        let chosen: Option<Vec<Vec<u8>>> =
            answers.iter().map(|at| options.get(usize::from(*at)).cloned()).collect();
        let chosen = chosen.ok_or_else(|| RpcError::bad_request("OPTION_INVALID"))?;
        state.vote(user, chat, id, chosen, None).map(|_| ())
    }

    /// A user puts a chat into the archive, or takes it out. False if it was there already.
    pub fn archive(&self, user: i64, chat: i64, archived: bool) -> bool {
        self.lock().archive(user, chat, i32::from(archived), None)
    }

    /// Sends at once all that a user has scheduled, and says how many messages that were.
    pub fn send_scheduled(&self, user: i64) -> usize {
        self.lock().hurry(user)
    }

    /// Tells this Telegram of a web page, of which it shows previews.
    pub fn add_web_page(&self, page: super::WebPage) {
        self.lock().web_pages.add(page);
    }

    /// Contacts alone may bring this user into groups, or everybody again.
    pub fn set_uninvitable(&self, user: i64, uninvitable: bool) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.uninvitable = uninvitable;
        }
    }
}
