//! The elements of the place "Messages". Nobody tells of what changes there: the instances say whether something may have.

use std::sync::Arc;

use super::{Memory, Piece, Place, piece};
use crate::api::Owned;
use crate::page::fields::Fields;
use crate::page::messages::{Absent, browse, of_chat, way};
use crate::page::model::Frame;
use crate::page::model::messages::{InstanceCard, JournalPage};
use crate::page::office::Office;
use crate::page::view::messages as view;
use tgtrunk_config::BotName;
use tgtrunk_messages::{Browse, ChatId};

/// Puts the elements of a page behind the others. None where its instance is no more.
pub(super) async fn of<'a>(
    office: &'a Arc<Office>,
    place: &'a Place,
    frame: &'a Frame,
    memory: &mut Memory,
    pieces: &mut Vec<Piece<'a>>,
) -> Option<()> {
    if let Place::BotInstance(bot, _) | Place::BotJournal(bot, _) | Place::BotChat(bot, ..) = place {
        return of_bot(office, place, bot, frame, memory, pieces).await;
    }
    let of = match place {
        Place::Instance(id, _)
        | Place::Journal(id, _)
        | Place::Chat(id, ..)
        | Place::Signin(id, _)
        | Place::OfInstance(id) => Some(*id),
        _ => None,
    };
    let owned = match of.map(|id| office.owned(id)).transpose() {
        Ok(owned) => owned,
        Err(Absent::Nothing) => return None,
        Err(Absent::Unable(_)) => return Some(()),
    };
    let is_login = matches!(place, Place::Signin(..));
    let mut revision = office.messages_revision(of);
    if matches!(place, Place::Messages) {
        revision.extend(office.bots_revision(None).await);
    }
    if !memory.is_other(revision) && !is_login {
        return Some(());
    }
    match (place, owned) {
        (Place::Messages, _) => {
            let page = office.messages_page().await;
            let key = format!("{page:?}");
            pieces.push(piece("instances", &key, move || view::list(frame, &page).into_string()));
        }
        (Place::Instance(_, number), Some(owned)) => {
            let page = office.instance_page(&owned, *number).await;
            let key = format!("{page:?}");
            for (id, markup) in view::instance::parts(frame, &page) {
                pieces.push(piece(id, &key, move || markup.clone().into_string()));
            }
        }
        (Place::Journal(_, asked), Some(owned)) => {
            let (browse, before) = browse(asked);
            standing(office, frame, &owned, pieces).await;
            // Older pages stay as they are: nothing new comes there.
            if before.is_none() {
                letters(office, frame, &owned, browse, false, memory, pieces).await;
            }
        }
        (Place::Chat(_, chat, asked), Some(owned)) => {
            standing(office, frame, &owned, pieces).await;
            if browse(asked).1.is_none() {
                letters(office, frame, &owned, of_chat(ChatId(*chat)), true, memory, pieces).await;
            }
        }
        (Place::Signin(_, asked), Some(owned)) => sign_in(office, frame, &owned, asked, pieces).await,
        (_, Some(owned)) => standing(office, frame, &owned, pieces).await,
        (_, None) => {}
    }
    Some(())
}

/// The elements of a bot's pages.
async fn of_bot<'a>(
    office: &'a Arc<Office>,
    place: &'a Place,
    bot: &'a BotName,
    frame: &'a Frame,
    memory: &mut Memory,
    pieces: &mut Vec<Piece<'a>>,
) -> Option<()> {
    if !office.has_bot(bot) {
        return None;
    }
    if !memory.is_other(office.bots_revision(Some(bot)).await) {
        return Some(());
    }
    let (browse, before, is_of_chat) = match place {
        Place::BotInstance(_, number) => {
            let page = office.bot_page(bot, *number).await;
            let key = format!("{page:?}");
            for (id, markup) in view::instance::parts(frame, &page) {
                pieces.push(piece(id, &key, move || markup.clone().into_string()));
            }
            return Some(());
        }
        Place::BotChat(_, chat, asked) => (of_chat(ChatId(*chat)), browse(asked).1, true),
        Place::BotJournal(_, asked) => {
            let (browse, before) = browse(asked);
            (browse, before, false)
        }
        _ => return Some(()),
    };
    if before.is_some() {
        card(frame, office.bot_card(bot).await, pieces);
        return Some(());
    }
    let from = memory.letters(&browse);
    let page = office.bot_journal_page(bot, browse, from.clone(), is_of_chat).await;
    memory.shows_letters(&from, page.seen.clone());
    card(frame, page.card.clone(), pieces);
    shown_letters(frame, page, pieces);
    Some(())
}

async fn standing<'a>(office: &'a Office, frame: &'a Frame, owned: &Owned, pieces: &mut Vec<Piece<'a>>) {
    card(frame, office.instance_card(owned).await, pieces);
}

fn card<'a>(frame: &'a Frame, card: InstanceCard, pieces: &mut Vec<Piece<'a>>) {
    let key = format!("{card:?}");
    pieces.push(piece("standing", &key, move || view::instance::standing(frame, &card).into_string()));
}

async fn letters<'a>(
    office: &'a Office,
    frame: &'a Frame,
    owned: &Owned,
    browse: Browse,
    is_of_chat: bool,
    memory: &mut Memory,
    pieces: &mut Vec<Piece<'a>>,
) {
    let from = memory.letters(&browse);
    let page = office.journal_page(owned, browse, from.clone(), is_of_chat).await;
    memory.shows_letters(&from, page.seen.clone());
    shown_letters(frame, page, pieces);
}

fn shown_letters<'a>(frame: &'a Frame, page: JournalPage, pieces: &mut Vec<Piece<'a>>) {
    let key = format!("{:?}{:?}{:?}", page.letters, page.older, page.problem);
    pieces.push(piece("letters", &key, move || view::journal::letters(frame, &page).into_string()));
}

/// A QR code is renewed; what is being typed stays.
async fn sign_in<'a>(
    office: &'a Office,
    frame: &'a Frame,
    owned: &Owned,
    asked: &Fields,
    pieces: &mut Vec<Piece<'a>>,
) {
    let way = way(asked.line("way"));
    let page = office.signin_page(owned, way).await;
    let card = page.card.clone();
    let key = format!("{card:?}");
    pieces.push(piece("standing", &key, move || view::instance::standing(frame, &card).into_string()));
    if way == Some(crate::page::model::messages::Way::Qr) {
        let key = format!("{:?}{:?}", page.step, page.card.standing);
        pieces.push(piece("signin", &key, move || view::signin::step(frame, &page).into_string()));
    }
}
