//! A message that shows how something goes on: it is edited until it shows what was said last.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock;
use crate::telegram::{Api, Failure, Keyboard};

/// How long one and the same word is tried.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type Shown = Option<(String, Keyboard)>;

/// A message sent by way of the bot.
pub(crate) struct Face {
    shown: watch::Sender<Shown>,
    task: Option<JoinHandle<()>>,
}

impl Face {
    /// Takes charge of a message; of none where it cannot be edited.
    pub(crate) fn new(api: Api, message: Option<String>) -> Self {
        let (shown, show) = watch::channel(None);
        Self { shown, task: message.map(|message| tokio::spawn(keep(api, message, show))) }
    }

    /// What it is to show from now on. What it was to show before and does not yet is left out.
    pub(crate) fn show(&self, text: String, keyboard: Keyboard) {
        self.shown.send_replace(Some((text, keyboard)));
    }

    /// Waits until it shows the last word, or never will.
    pub(crate) async fn finish(mut self) {
        let (last, _) = watch::channel(None);
        drop(std::mem::replace(&mut self.shown, last));
        if let Some(task) = &mut self.task {
            task.await.ok();
        }
    }
}

impl Drop for Face {
    /// Whoever lets it go has another word for the message.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn keep(api: Api, message: String, mut show: watch::Receiver<Shown>) {
    while show.changed().await.is_ok() {
        let (mut pause, begun) = (FIRST_PAUSE, clock::now());
        loop {
            let Some((text, keyboard)) = show.borrow_and_update().clone() else { break };
            let Err(failure) = api.edit(&message, &text, keyboard).await else { break };
            let Some(rest) = rest(&failure, &mut pause, begun) else {
                tracing::warn!(%failure, "a message is left as it is");
                break;
            };
            // A newer word is not worth a request that Telegram asked not to make.
            sleep(rest).await;
        }
    }
}

/// How long to wait before the next attempt, if there is one.
fn rest(failure: &Failure, pause: &mut Duration, begun: Instant) -> Option<Duration> {
    if !failure.passes() || clock::now().saturating_duration_since(begun) > PATIENCE {
        return None;
    }
    let now = *pause;
    *pause = (now * 2).min(LONGEST_PAUSE);
    Some(if let Failure::Flood { wait } = failure { *wait } else { now })
}
