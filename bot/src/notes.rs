//! What is written down after the fact, many notes at a time: nobody waits for it.

use tgtrunk_messages::Ages;
use tokio::sync::mpsc;

use crate::clock;
use crate::store::{REPEATED_MS, Store};
use crate::telegram::Person;

/// Something worth keeping.
#[derive(Debug)]
pub(crate) enum Note {
    /// What this update asked for is done, or written to be done.
    Taken(u32),
    /// Telegram told a person's language.
    Person(Person),
}

/// Notes that are written at once.
const MOST: usize = 256;

/// Writes notes until nobody makes any.
pub(crate) async fn keep(store: Store, mut notes: mpsc::Receiver<Note>) {
    let ages = Ages::new();
    // Learned before the first of them: nothing is older because the clock is set.
    ages.before_ms(REPEATED_MS);
    let mut many = Vec::with_capacity(MOST);
    while notes.recv_many(&mut many, MOST).await > 0 {
        let (mut taken, mut people) = (Vec::new(), Vec::new());
        for note in many.drain(..) {
            match note {
                Note::Taken(update) => taken.push(update),
                Note::Person(person) => people.push(person),
            }
        }
        let now_ms = clock::unix_ms();
        let mut written = Ok(());
        if !taken.is_empty() {
            written = store.take(&taken, now_ms, ages.before_ms(REPEATED_MS)).await;
        }
        if !people.is_empty() {
            written = written.and(store.see(&people, false, now_ms).await);
        }
        if let Err(error) = written {
            tracing::error!(%error, "notes are lost");
        }
    }
}
