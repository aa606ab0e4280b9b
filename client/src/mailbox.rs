//! Reads the account's messages one by one and decides what each is: keys, a hope for an answer, a missed call.
//!
//! What is decided is on the disk before Telegram is told that the message was taken in.

use std::sync::Arc;

use tgtrunk_telegram::MessageNotice;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::clock;
use crate::desk::Desk;
use crate::store::Press;
use crate::telegram::News;
use crate::{answer, card, typed};

/// Reads until the account is closed.
pub(crate) async fn read(desk: Arc<Desk>, mut messages: mpsc::Receiver<MessageNotice>) {
    while let Some(notice) = messages.recv().await {
        if let Some(news) = News::of(&notice)
            && let Err(error) = take(&desk, news).await
        {
            // It is told again at the next start.
            warn!(%error, "a message could not be taken in");
            continue;
        }
        notice.taken();
    }
}

async fn take(desk: &Arc<Desk>, news: News) -> Result<(), sqlx::Error> {
    let (now_s, manner) = (clock::unix_s(), desk.manner());
    let (id, person) = (news.message.id, news.message.person);
    if let Some(telegram_call) = card::cause(&news, now_s) {
        if !manner.line.chat.card || desk.store.is_call_back(telegram_call).await? {
            return Ok(());
        }
        let row = card::row(&manner, id, person, now_s);
        let since_s = now_s - i64::try_from(manner.line.chat.card_every.as_secs()).unwrap_or(0);
        if desk.store.begin_card(&row, since_s).await? {
            tokio::spawn(card::send(Arc::clone(desk), row));
        } else {
            debug!("no business card: this call or this person had one");
        }
        return Ok(());
    }
    if manner.line.chat.typed_digits
        && let Some(keys) = typed::keys(&news.message, now_s)
    {
        if desk.store.is_press(id).await? {
            return Ok(());
        }
        if let Some(call) = desk.call_of(person) {
            if desk.store.begin_press(id, call, &keys, now_s).await?
                && !desk.presses.press(desk, call, id, keys)
            {
                warn!("typed digits were not pressed: too many wait");
                desk.store.press_came(id, Press::Done).await?;
            }
            return Ok(());
        }
    }
    if manner.line.chat.auto_answer
        && answer::hopes(&news, now_s)
        && desk.store.begin_answer(person, now_s, now_s - answer::ONCE_IN_S).await?
    {
        tokio::spawn(answer::send(Arc::clone(desk), person, news.writer.is_some()));
    }
    Ok(())
}
