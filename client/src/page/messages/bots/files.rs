//! What is taken away of a bot's journal: the table, and the files of messages.

use std::sync::Arc;

use axum::extract::{Path, State};
use tgtrunk_config::{BotName, Said};
use tgtrunk_messages::{Asked, Bookmark, Browse, Leaf, Told, green};

use super::{Answered, Here, known};
use crate::page::messages::table::Read;
use crate::page::messages::{browse, show, table, told};
use crate::page::model::Part;
use crate::page::office::Office;
use crate::page::programs::odd;
use crate::page::visit::Visit;

/// Messages that are asked for at once: as many as are answered.
const AT_ONCE: u32 = 100;

impl Office {
    async fn bot_leaf(&self, bot: &BotName, browse: Browse, before: Bookmark) -> Result<Leaf, Said> {
        let asked = Asked::Journal { browse, before, count: AT_ONCE, seen: None };
        match self.ask_instance(bot, &asked).await? {
            Told::Journal(leaf) => Ok(leaf),
            _ => Err(odd(Part::Bot)),
        }
    }
}

pub(crate) async fn csv(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    let (browse, _) = browse(&visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?);
    let first = office.bot_leaf(&bot, browse.clone(), Bookmark::NEWEST).await;
    let first = first.map_err(|said| visit.0.stop(&office, 503, said))?;
    let (asked, whose) = (Arc::clone(&office), bot.clone());
    let read = move |at| -> Read {
        let (office, bot, browse) = (Arc::clone(&asked), whose.clone(), browse.clone());
        Box::pin(async move {
            office.bot_leaf(&bot, browse, at).await.map_err(|said| std::io::Error::other(said.en))
        })
    };
    Ok(show::as_table(table::written(first, read, visit.0.language), &bot.folder()))
}

pub(crate) async fn file(
    State(office): Here,
    visit: Visit,
    Path((bot, key)): Path<(String, String)>,
) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    match office.ask_instance(&bot, &Asked::File { key }).await {
        Ok(Told::File(file)) => match green::hand_out(&file).await {
            Ok(response) => Ok(show::as_file(response)),
            Err(refused) => Err(visit.0.stop(&office, 502, told(&refused))),
        },
        Ok(Told::Fetching) => Ok(show::fetching(&office, &visit, &format!("/bots/{bot}/messages/journal"))),
        Ok(Told::NoFile) => Err(show::no_file(&office, &visit)),
        Ok(_) => Err(visit.0.stop(&office, 502, odd(Part::Bot))),
        Err(said) => Err(visit.0.stop(&office, 502, said)),
    }
}
