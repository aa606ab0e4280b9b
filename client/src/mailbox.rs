//! Reads the account's messages one by one and decides what each is: keys, a hope for an answer, a missed call.
//!
//! What is decided is on the disk before Telegram is told that the message was taken in, and so is the message itself,
//! for the programs that fetch it. Keypads do not wait for a disk that takes nothing for programs, nor the other way round.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::TextKey;
use tgtrunk_shell::caught::{caught, caught_at_once};
use tgtrunk_telegram::MessageNotice;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument as _, debug, error, warn};

use crate::backlog::Backlog;
use crate::clock;
use crate::correspondence::Correspondence;
use crate::desk::Desk;
use crate::store::Press;
use crate::telegram::News;
use crate::{answer, card, typed};

/// Pauses between attempts to write down what was decided.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For so long it is waited for what the gateway has to say: whether a missed call is one that the person asked for, and
/// which calls are up.
const HOLD: Duration = Duration::from_secs(1);
/// Messages that wait for keypads in memory. No more are read then, and Telegram keeps the rest.
const WAITING: usize = 4096;
/// Answers that are sent at once, and that may wait.
const ANSWERS: usize = 4;
const WAITING_ANSWERS: usize = 256;

/// What the messages set going. It ends with the reading.
struct Going {
    /// Missed calls that wait for what the gateway says of them.
    held: JoinSet<(Arc<MessageNotice>, News)>,
    cards: JoinSet<()>,
    answers: JoinSet<()>,
    turns: Arc<Semaphore>,
}

/// What keypads, cards and answers have to take in, in its order. While the disk does not take it, or it is not known
/// yet which calls are up, it waits here, and programs have their messages all the same.
struct Due {
    waiting: VecDeque<(Arc<MessageNotice>, News)>,
    pause: Duration,
    /// When it is tried again.
    again: Instant,
    /// Until when the first typed digits since the start wait for what the gateway says.
    patience: Option<Instant>,
}

impl Due {
    /// Returns when the first may be tried.
    async fn ripe(&self, desk: &Desk) {
        let is_patient = self.patience == Some(self.again);
        tokio::select! {
            () = sleep_until(self.again) => {}
            () = desk.until_told(), if is_patient => {}
        }
    }

    /// Takes in what can be taken in.
    async fn work(&mut self, desk: &Arc<Desk>, going: &mut Going) {
        while let Some((_, news)) = self.waiting.front() {
            // A client that was just started may not know yet who is on the phone.
            if is_typed(desk, news) && !desk.knows_calls() {
                let until = *self.patience.get_or_insert_with(|| Instant::now() + HOLD);
                if Instant::now() < until {
                    self.again = until;
                    return;
                }
            }
            // Telegram tells it again only to the next process, and everything after it as well.
            let taken = caught(take(desk, going, news)).await.unwrap_or_else(|broke| {
                error!(%broke, "a message sets nothing going");
                Ok(())
            });
            if let Err(problem) = taken {
                error!(again_ms = self.pause.as_millis(), "a message could not be taken in: {problem}");
                self.again = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                return;
            }
            self.pause = FIRST_PAUSE;
            if let Some((notice, _)) = self.waiting.pop_front() {
                settle(notice);
            }
        }
    }
}

/// Reads until the account is closed.
pub(crate) async fn read(
    desk: Arc<Desk>,
    correspondence: Correspondence,
    mut messages: mpsc::Receiver<MessageNotice>,
) {
    let mut going = Going {
        held: JoinSet::new(),
        cards: JoinSet::new(),
        answers: JoinSet::new(),
        turns: Arc::new(Semaphore::new(ANSWERS)),
    };
    let now = Instant::now();
    let mut due = Due { waiting: VecDeque::new(), pause: FIRST_PAUSE, again: now, patience: None };
    let mut backlog = Backlog::new(now);
    loop {
        tokio::select! {
            notice = messages.recv(), if backlog.has_room() && due.waiting.len() < WAITING => {
                let Some(notice) = notice else { return };
                let notice = Arc::new(notice);
                backlog.push(Arc::clone(&notice), correspondence.news(&notice));
                write_down(&mut backlog, &correspondence).await;
                let Ok(Some(news)) = caught_at_once(|| News::of(&notice)) else {
                    settle(notice);
                    continue;
                };
                if card::cause(&news, clock::unix_s()).is_some() && desk.may_have_asked(news.message.person) {
                    going.held.spawn(async move {
                        sleep(HOLD).await;
                        (notice, news)
                    });
                    continue;
                }
                due.waiting.push_back((notice, news));
                // Behind one that waits, it waits too.
                if due.waiting.len() > 1 {
                    continue;
                }
            }
            () = sleep_until(backlog.again()), if !backlog.is_empty() => {
                write_down(&mut backlog, &correspondence).await;
                continue;
            }
            () = due.ripe(&desk), if !due.waiting.is_empty() => {}
            Some(ripe) = going.held.join_next() => {
                let Ok(next) = ripe else { continue };
                due.waiting.push_back(next);
                if due.waiting.len() > 1 {
                    continue;
                }
            }
            Some(_) = going.cards.join_next() => continue,
            Some(_) = going.answers.join_next() => continue,
        }
        due.work(&desk, &mut going).await;
    }
}

/// Writes down for programs what waits for it.
async fn write_down(
    backlog: &mut Backlog<Arc<MessageNotice>, tgtrunk_messages::News>,
    correspondence: &Correspondence,
) {
    loop {
        while let Some(notice) = backlog.next_whole() {
            settle(notice);
        }
        let Some(news) = backlog.due(Instant::now()) else { return };
        if correspondence.keep(news).await {
            backlog.kept();
        } else {
            backlog.refused(Instant::now());
        }
    }
}

/// Programs or keypads have done with it. When both have, Telegram is not to tell it again.
fn settle(notice: Arc<MessageNotice>) {
    if let Some(notice) = Arc::into_inner(notice) {
        notice.taken();
    }
}

/// Whether a message is keys for a call.
fn is_typed(desk: &Desk, news: &News) -> bool {
    desk.manner().line.chat.typed_digits && typed::keys(&news.message, clock::unix_s()).is_some()
}

async fn take(desk: &Arc<Desk>, going: &mut Going, news: &News) -> Result<(), sqlx::Error> {
    let (now_s, manner) = (clock::unix_s(), desk.manner());
    let (id, person) = (news.message.id, news.message.person);
    if let Some(telegram_call) = card::cause(news, now_s) {
        if !manner.line.chat.card || desk.store.is_call_back(telegram_call).await? {
            return Ok(());
        }
        let row = card::row(&manner, id, person, now_s);
        let since_s = now_s - i64::try_from(manner.line.chat.card_every.as_secs()).unwrap_or(0);
        if desk.store.begin_card(&row, since_s).await? {
            going.cards.spawn(card::send(Arc::clone(desk), row).in_current_span());
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
        && answer::hopes(news, now_s)
        && going.answers.len() < WAITING_ANSWERS
        && desk.store.begin_answer(person, now_s, now_s - answer::ONCE_IN_S).await?
    {
        let (desk, turns, is_known) = (Arc::clone(desk), Arc::clone(&going.turns), news.writer.is_some());
        let answer = async move {
            if let Ok(_turn) = turns.acquire().await {
                answer::send(desk, person, is_known, TextKey::AutoAnswer).await;
            }
        };
        going.answers.spawn(answer.in_current_span());
    }
    Ok(())
}
