//! The methods of `messages.*` in plain words: one function per thing that the client does at Telegram. With the files
//! under it the only one that names the schema's types.

mod messenger;
mod news;
mod request;
mod upload;

use std::time::Duration;

use tgtrunk_config::CardContact;
use tgtrunk_telegram::{Account, InvokeError, Policy, Resolved, tl};

use crate::trouble::Trouble;

pub(crate) use messenger::Correspondent;
pub(crate) use messenger::in_russian;
#[cfg(test)]
pub(crate) use news::Writer;
pub(crate) use news::{Content, Message, News};
pub(crate) use upload::upload;

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
    Ok(request::message_id(&updates, random_id))
}

/// `messages.sendMessage` with plain text; gives the message's number where Telegram tells it.
pub(crate) async fn send_text(
    account: &Account,
    person: &Resolved,
    random_id: i64,
    text: &str,
) -> Result<Option<i32>, Trouble> {
    let request = request::send_text(person.input_peer(), random_id, text);
    let updates = account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(request::message_id(&updates, random_id))
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
        vcard: vcard(&contact.phone, &contact.first_name, &contact.last_name, ""),
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
    let request = request::edit(person.input_peer(), id, text);
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

/// `messages.getHistory`: the last messages of the chat with a person, the newest first.
pub(crate) async fn last_messages(account: &Account, person: &Resolved) -> Result<Vec<Message>, Trouble> {
    let request = request::history(person.input_peer(), 0, LOOKED_THROUGH);
    let found: request::Messages = account.invoke(&request, Policy::call().within(LIMIT)).await?.into();
    Ok(found.messages.into_iter().filter_map(news::message).collect())
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
    let request = request::send_media(person.input_peer(), random_id, media);
    account.invoke(&request, Policy::call().within(LIMIT)).await?;
    Ok(())
}

/// A contact as a vCard 3.0, which every phone reads (RFC 2426).
fn vcard(phone: &str, first_name: &str, last_name: &str, company: &str) -> String {
    let (first, last) = (escaped(first_name), escaped(last_name));
    let full = format!("{first} {last}");
    let company = match company {
        "" => String::new(),
        company => format!("ORG:{}\r\n", escaped(company)),
    };
    let phone = escaped(phone);
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{last};{first};;;\r\nFN:{}\r\n{company}TEL;TYPE=WORK,VOICE:{phone}\r\nEND:VCARD\r\n",
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
    fn a_contact_is_a_vcard_whose_text_cannot_break_out() {
        assert_eq!(
            vcard("+74951234567", "Acme, Ltd;\r\nTEL:1", "", ""),
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Acme\\, Ltd\\;TEL:1;;;\r\nFN:Acme\\, Ltd\\;TEL:1\r\nTEL;TYPE=WORK,VOICE:+74951234567\r\nEND:VCARD\r\n"
        );
    }
}
