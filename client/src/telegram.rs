//! The methods of `messages.*` in plain words: one function per thing that the client does at Telegram. With the files
//! under it the only one that names the schema's types.

mod news;
mod photo;

use std::time::Duration;

use tgtrunk_config::CardContact;
use tgtrunk_telegram::{Account, InvokeError, Policy, Resolved, tl};

use crate::trouble::Trouble;

#[cfg(test)]
pub(crate) use news::Writer;
pub(crate) use news::{Content, Message, News};
pub(crate) use photo::upload;

/// How long Telegram may take for anything that somebody waits for.
const LIMIT: Duration = Duration::from_secs(6);
/// So many messages of a chat are looked through for one of ours.
const LOOKED_THROUGH: i32 = 50;

/// What a bot offers to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    query_id: i64,
    id: String,
}

/// An uploaded picture, ready to be sent once.
#[derive(Clone, Debug)]
pub(crate) struct Picture(tl::enums::InputFile);

/// What a user is beyond their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Neither a bot, nor Telegram's staff, nor deleted.
    pub(crate) is_person: bool,
    pub(crate) is_bot: bool,
    /// A bot that takes inline queries.
    pub(crate) is_inline: bool,
}

/// `messages.getInlineBotResults`: what the bot offers for a chat with `person`; none if it offers nothing.
pub(crate) async fn ask_bot(
    account: &Account,
    bot: &Resolved,
    person: Option<&Resolved>,
    query: &str,
    limit: Duration,
) -> Result<Option<Offer>, Trouble> {
    let request = tl::functions::messages::GetInlineBotResults {
        bot: bot.input_user(),
        peer: person.map_or(tl::enums::InputPeer::Empty, Resolved::input_peer),
        geo_point: None,
        query: query.to_owned(),
        offset: String::new(),
    };
    let answer = account.invoke(&request, Policy::call().within(limit)).await;
    let tl::enums::messages::BotResults::Results(results) = match answer {
        Ok(results) => results,
        // Telegram waits for the bot, and we for Telegram.
        Err(InvokeError::Timeout { .. }) => return Err(Trouble::BotSilent),
        Err(InvokeError::Rpc { name, .. }) if name.eq_ignore_ascii_case("TIMEOUT") => {
            return Err(Trouble::BotSilent);
        }
        Err(error) => return Err(error.into()),
    };
    let query_id = results.query_id;
    Ok(results.results.into_iter().next().map(|result| match result {
        tl::enums::BotInlineResult::Result(result) => Offer { query_id, id: result.id },
        tl::enums::BotInlineResult::BotInlineMediaResult(result) => Offer { query_id, id: result.id },
    }))
}

/// `messages.sendInlineBotResult`; gives the message's number where Telegram tells it.
pub(crate) async fn send_offer(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    offer: &Offer,
) -> Result<Option<i32>, Trouble> {
    let request = tl::functions::messages::SendInlineBotResult {
        silent: false,
        background: false,
        clear_draft: false,
        hide_via: false,
        peer: person.input_peer(),
        reply_to: None,
        random_id,
        query_id: offer.query_id,
        id: offer.id.clone(),
        schedule_date: None,
        send_as: None,
        quick_reply_shortcut: None,
        allow_paid_stars: None,
    };
    let updates = account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(message_id(&updates, random_id))
}

/// `messages.sendMessage` with plain text; gives the message's number where Telegram tells it.
pub(crate) async fn send_text(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    text: &str,
) -> Result<Option<i32>, Trouble> {
    let request = tl::functions::messages::SendMessage {
        no_webpage: true,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: person.input_peer(),
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    };
    let updates = account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(message_id(&updates, random_id))
}

/// `messages.sendMedia` with a contact and its vCard (RFC 6350).
pub(crate) async fn send_contact(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    contact: &CardContact,
) -> Result<(), Trouble> {
    let media = tl::types::InputMediaContact {
        phone_number: contact.phone.clone(),
        first_name: contact.first_name.clone(),
        last_name: contact.last_name.clone(),
        vcard: vcard(contact),
    };
    send_media(account, person, random_id, media.into()).await
}

/// `messages.sendMedia` with a picture.
pub(crate) async fn send_picture(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    picture: Picture,
) -> Result<(), Trouble> {
    let media = tl::types::InputMediaUploadedPhoto {
        spoiler: false,
        live_photo: false,
        file: picture.0,
        stickers: None,
        ttl_seconds: None,
        video: None,
    };
    send_media(account, person, random_id, media.into()).await
}

/// `messages.deleteMessages`, for both sides.
pub(crate) async fn delete(account: &Account, ids: &[i32]) -> Result<(), Trouble> {
    let request = tl::functions::messages::DeleteMessages { revoke: true, id: ids.to_vec() };
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

/// `messages.editMessage`: another text, and no buttons.
pub(crate) async fn edit(account: &Account, person: &Resolved, id: i32, text: &str) -> Result<(), Trouble> {
    let request = tl::functions::messages::EditMessage {
        no_webpage: true,
        invert_media: false,
        peer: person.input_peer(),
        id,
        message: Some(text.to_owned()),
        media: None,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    };
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

/// `messages.getHistory`: the last messages of the chat with a person, the newest first.
pub(crate) async fn last_messages(account: &Account, person: &Resolved) -> Result<Vec<Message>, Trouble> {
    let request = tl::functions::messages::GetHistory {
        peer: person.input_peer(),
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: LOOKED_THROUGH,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let messages = match account.invoke(&request, Policy::call().within(LIMIT)).await? {
        tl::enums::messages::Messages::Messages(found) => found.messages,
        tl::enums::messages::Messages::Slice(found) => found.messages,
        tl::enums::messages::Messages::ChannelMessages(found) => found.messages,
        tl::enums::messages::Messages::NotModified(_) => Vec::new(),
    };
    Ok(messages.into_iter().filter_map(news::message).collect())
}

/// `users.getUsers`: what a user is.
pub(crate) async fn traits(account: &Account, user: &Resolved) -> Result<Traits, Trouble> {
    let request = tl::functions::users::GetUsers { id: vec![user.input_user()] };
    let users = account.invoke(&request, Policy::call().within(LIMIT)).await?;
    let found = users.iter().find_map(|found| match found {
        tl::enums::User::User(found) if found.id == user.id => Some(Traits {
            is_person: news::is_person(found),
            is_bot: found.bot,
            is_inline: found.bot_inline_placeholder.is_some(),
        }),
        _ => None,
    });
    found.ok_or(Trouble::Stranger)
}

/// `users.getFullUser`: whether the account has blocked a user.
pub(crate) async fn is_blocked(account: &Account, user: &Resolved) -> Result<bool, Trouble> {
    let request = tl::functions::users::GetFullUser { id: user.input_user() };
    let tl::enums::users::UserFull::Full(found) =
        account.invoke(&request, Policy::call().within(LIMIT)).await?;
    let tl::enums::UserFull::Full(full) = found.full_user;
    Ok(full.blocked)
}

/// `contacts.unblock`.
pub(crate) async fn unblock(account: &Account, user: &Resolved) -> Result<(), Trouble> {
    let request = tl::functions::contacts::Unblock { my_stories_from: false, id: user.input_peer() };
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

async fn send_media(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    media: tl::enums::InputMedia,
) -> Result<(), Trouble> {
    let request = tl::functions::messages::SendMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: person.input_peer(),
        reply_to: None,
        media,
        message: String::new(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    };
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

/// The number that a message sent with `random_id` got.
fn message_id(updates: &tl::enums::Updates, random_id: i64) -> Option<i32> {
    let list = match updates {
        tl::enums::Updates::UpdateShortSentMessage(sent) => return Some(sent.id),
        tl::enums::Updates::Updates(full) => &full.updates,
        tl::enums::Updates::Combined(full) => &full.updates,
        tl::enums::Updates::UpdateShort(short) => std::slice::from_ref(&short.update),
        _ => return None,
    };
    list.iter().find_map(|update| match update {
        tl::enums::Update::MessageId(told) if told.random_id == random_id => Some(told.id),
        _ => None,
    })
}

/// A contact as a vCard 3.0, which every phone reads (RFC 2426).
fn vcard(contact: &CardContact) -> String {
    let (first, last) = (escaped(&contact.first_name), escaped(&contact.last_name));
    let full = format!("{first} {last}");
    let phone = escaped(&contact.phone);
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{last};{first};;;\r\nFN:{}\r\nTEL;TYPE=WORK,VOICE:{phone}\r\nEND:VCARD\r\n",
        full.trim()
    )
}

/// RFC 2426 section 4: backslash, comma and semicolon are escaped in text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '\\' | ',' | ';') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_messages_number_is_found_in_every_answer() {
        let told = |random_id, id| tl::types::UpdateMessageId { id, random_id }.into();
        let full = tl::types::Updates {
            updates: vec![told(1, 10), told(2, 20)],
            users: vec![],
            chats: vec![],
            date: 0,
            seq: 0,
        };
        assert_eq!(message_id(&full.clone().into(), 2), Some(20));
        assert_eq!(message_id(&full.into(), 3), None);
        let short = tl::types::UpdateShort { update: told(7, 70), date: 0 };
        assert_eq!(message_id(&short.into(), 7), Some(70));
        assert_eq!(message_id(&tl::enums::Updates::TooLong, 7), None);
    }

    #[test]
    fn a_contact_is_a_vcard_whose_text_cannot_break_out() {
        let contact = CardContact {
            phone: "+74951234567".into(),
            first_name: "Acme, Ltd;\r\nTEL:1".into(),
            last_name: String::new(),
        };
        assert_eq!(
            vcard(&contact),
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Acme\\, Ltd\\;TEL:1;;;\r\nFN:Acme\\, Ltd\\;TEL:1\r\nTEL;TYPE=WORK,VOICE:+74951234567\r\nEND:VCARD\r\n"
        );
    }
}
