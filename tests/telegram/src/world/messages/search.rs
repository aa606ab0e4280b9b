//! `messages.search` and `messages.searchGlobal`: by words, by kind, by sender, by time.

use grammers_tl_types as tl;

use super::history::{PAGE_MAX, Page, listed};
use super::mailbox::Filed;
use super::post::box_of;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;

/// `messages.search`: in one chat, or in all but supergroups and channels where none is named.
pub(crate) fn search(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::Search,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let everywhere = matches!(request.peer, tl::enums::InputPeer::Empty);
    let chat = if everywhere { 0 } else { ctx.state.input_peer(ctx.user, &request.peer)? };
    if !everywhere {
        ctx.state.may_look_into(ctx.user, chat)?;
    }
    let by = request.from_id.as_ref().map(|from| ctx.state.input_peer(ctx.user, from)).transpose()?;
    let page = Page {
        offset_id: request.offset_id,
        offset_date: 0,
        add_offset: request.add_offset,
        limit: request.limit,
        max_id: request.max_id,
        min_id: request.min_id,
    };
    let mailbox = ctx.state.mailbox(box_of(ctx.user, chat));
    let mailbox = mailbox.ok_or_else(|| RpcError::bad_request("PEER_ID_INVALID"))?;
    let wanted = Wanted {
        words: &request.q,
        filter: &request.filter,
        by,
        from_date: request.min_date,
        to_date: request.max_date,
    };
    let seen = mailbox.all().rev().filter(|(_, filed)| !filed.deleted && (everywhere || filed.peer == chat));
    let (found, count) = page.of(seen.filter(|(_, filed)| wanted.fits(filed)));
    let messages = found.into_iter().map(|filed| ctx.state.shown(ctx.user, filed)).collect();
    Ok(listed(ctx, chat, messages, Some(count)))
}

/// `messages.searchGlobal`: in every chat, newest first.
pub(crate) fn search_global(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SearchGlobal,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let (words, filter) = (&request.q, &request.filter);
    let wanted = Wanted { words, filter, by: None, from_date: request.min_date, to_date: request.max_date };
    let owners = [ctx.user].into_iter().chain(ctx.state.groups.channels_of(ctx.user).map(|(id, _)| id));
    let mailboxes = owners.filter_map(|owner| ctx.state.mailbox(owner));
    let mut found: Vec<&Filed> = mailboxes
        .flat_map(|mailbox| mailbox.all().rev().map(|(_, filed)| filed))
        .filter(|filed| !filed.deleted && wanted.fits(filed))
        .collect();
    found.sort_by_key(|filed| std::cmp::Reverse(filed.date()));
    let count = found.len();
    found.truncate(usize::try_from(request.limit).unwrap_or(0).min(PAGE_MAX));
    let messages = found.into_iter().map(|filed| ctx.state.shown(ctx.user, filed)).collect();
    Ok(listed(ctx, 0, messages, Some(count)))
}

struct Wanted<'a> {
    words: &'a str,
    filter: &'a tl::enums::MessagesFilter,
    by: Option<i64>,
    /// Unix times; 0 is no bound.
    from_date: i32,
    to_date: i32,
}

impl Wanted<'_> {
    fn fits(&self, filed: &Filed) -> bool {
        let text = match &filed.message {
            tl::enums::Message::Message(message) => message.message.to_lowercase(),
            tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => String::new(),
        };
        self.words.to_lowercase().split_whitespace().all(|word| text.contains(word))
            && self.by.is_none_or(|by| filed.author == by)
            && (self.from_date == 0 || filed.date() > self.from_date)
            && (self.to_date == 0 || filed.date() < self.to_date)
            && kind_fits(self.filter, &filed.message)
    }
}

fn kind_fits(filter: &tl::enums::MessagesFilter, message: &tl::enums::Message) -> bool {
    use tl::enums::MessagesFilter as F;
    let (media, text, pinned) = match message {
        tl::enums::Message::Message(message) => {
            (message.media.as_ref(), message.message.as_str(), message.pinned)
        }
        tl::enums::Message::Service(message) => {
            return match filter {
                F::InputMessagesFilterEmpty => true,
                F::InputMessagesFilterPhoneCalls(_) => {
                    matches!(message.action, tl::enums::MessageAction::PhoneCall(_))
                }
                F::InputMessagesFilterChatPhotos => {
                    matches!(message.action, tl::enums::MessageAction::ChatEditPhoto(_))
                }
                _ => false,
            };
        }
        tl::enums::Message::Empty(_) => return false,
    };
    let photo = matches!(media, Some(tl::enums::MessageMedia::Photo(_)));
    let document = match media {
        Some(tl::enums::MessageMedia::Document(document)) => Some(document),
        _ => None,
    };
    match filter {
        F::InputMessagesFilterEmpty => true,
        F::InputMessagesFilterPhotos => photo,
        F::InputMessagesFilterVideo => document.is_some_and(|document| document.video),
        F::InputMessagesFilterPhotoVideo => photo || document.is_some_and(|document| document.video),
        F::InputMessagesFilterDocument => document.is_some_and(|it| !(it.video || it.voice || it.round)),
        F::InputMessagesFilterUrl => text.contains("://"),
        F::InputMessagesFilterVoice => document.is_some_and(|document| document.voice),
        F::InputMessagesFilterRoundVideo => document.is_some_and(|document| document.round),
        F::InputMessagesFilterRoundVoice => document.is_some_and(|it| it.voice || it.round),
        F::InputMessagesFilterGeo => {
            matches!(media, Some(tl::enums::MessageMedia::Geo(_) | tl::enums::MessageMedia::Venue(_)))
        }
        F::InputMessagesFilterContacts => matches!(media, Some(tl::enums::MessageMedia::Contact(_))),
        F::InputMessagesFilterPoll => matches!(media, Some(tl::enums::MessageMedia::Poll(_))),
        F::InputMessagesFilterPinned => pinned,
        F::InputMessagesFilterGif
        | F::InputMessagesFilterMusic
        | F::InputMessagesFilterChatPhotos
        | F::InputMessagesFilterPhoneCalls(_)
        | F::InputMessagesFilterMyMentions => false,
    }
}
