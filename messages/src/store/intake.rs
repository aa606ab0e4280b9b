//! Messages that programs hand in at the same time go to the disk together: one commit for all of them, and each is answered
//! after it. A disk that takes long for a commit takes as many messages more.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{Mutex as Turn, oneshot};

use super::journal::{self, json};
use super::{Accept, Begun, Letters, Store, Taken, is_full, jobs};

/// Calls whose messages go to the disk together, at most.
const TOGETHER: usize = 256;

/// Where messages wait for the disk. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intake(Arc<Desk>);

#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Vec<Waiting>>,
    turn: Turn<()>,
}

/// The messages of one call, and who waits for what comes of them.
#[derive(Debug)]
struct Waiting {
    letters: Letters,
    accept: Accept,
    now_ms: i64,
    reply: oneshot::Sender<Result<Taken, sqlx::Error>>,
}

/// What became of a call.
#[derive(Debug)]
enum Verdict {
    In,
    Full,
    Known(Begun),
}

impl Intake {
    /// Whether nobody was there before.
    fn put(&self, waiting: Waiting) -> bool {
        let mut all = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(waiting);
        all.len() == 1
    }

    fn take(&self) -> Vec<Waiting> {
        let mut all = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.len().min(TOGETHER);
        all.drain(..count).collect()
    }
}

impl Store {
    /// Writes messages of one call and their places in the queue down, all or none, and gives them back with their numbers.
    pub(crate) async fn accept(
        &self,
        letters: Letters,
        accept: Accept,
        now_ms: i64,
    ) -> Result<Taken, sqlx::Error> {
        let (reply, told) = oneshot::channel();
        if self.intake.put(Waiting { letters, accept, now_ms, reply }) {
            // On its own, so that a program that hangs up takes nobody's messages along.
            let store = self.clone();
            tokio::spawn(async move { store.take_in().await });
        }
        match told.await {
            Ok(told) => told,
            Err(_) => Err(sqlx::Error::PoolClosed),
        }
    }

    /// Takes in what waits, until nothing does.
    async fn take_in(&self) {
        let _turn = self.intake.0.turn.lock().await;
        loop {
            let mut calls = self.intake.take();
            if calls.is_empty() {
                return;
            }
            let done = self.write_down(&mut calls).await;
            let mut done = done.map(Vec::into_iter);
            for Waiting { letters, reply, .. } in calls {
                let told = match &mut done {
                    Ok(done) => Ok(match done.next() {
                        Some(Verdict::In) => Taken::In(letters),
                        Some(Verdict::Known(begun)) => Taken::Known(begun),
                        Some(Verdict::Full) | None => Taken::Full,
                    }),
                    Err(error) => Err(again(error)),
                };
                // Whoever hung up does not hear of it.
                reply.send(told).ok();
            }
        }
    }

    /// What became of the messages of each call.
    async fn write_down(&self, calls: &mut [Waiting]) -> Result<Vec<Verdict>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mut taken = Vec::with_capacity(calls.len());
        let mut most = longest(&mut transaction).await?;
        for call in calls {
            let new = i64::try_from(call.letters.len()).unwrap_or(i64::MAX);
            let mut has_room = most.saturating_add(new) <= call.accept.limit;
            if !has_room {
                let row =
                    sqlx::query("SELECT COUNT(*) FROM ms_outgoing").fetch_one(&mut *transaction).await?;
                most = row.try_get(0)?;
                has_room = most.saturating_add(new) <= call.accept.limit;
            }
            if !has_room {
                taken.push(Verdict::Full);
                continue;
            }
            let begun = match &call.accept.job {
                Some(job) => {
                    let (now_ms, before_ms) = (call.now_ms, call.accept.keys_before_ms);
                    jobs::begin(&mut transaction, job, now_ms, before_ms).await?
                }
                None => Begun::New,
            };
            if begun != Begun::New {
                taken.push(Verdict::Known(begun));
                continue;
            }
            most += new;
            insert(&mut transaction, call).await?;
            taken.push(Verdict::In);
        }
        transaction.commit().await?;
        Ok(taken)
    }
}

/// An error for one more who waits for the same commit.
fn again(error: &sqlx::Error) -> sqlx::Error {
    if is_full(error) {
        return std::io::Error::new(std::io::ErrorKind::StorageFull, error.to_string()).into();
    }
    sqlx::Error::Protocol(error.to_string())
}

/// How long the queue is at most: its numbers have gaps, so that it is counted only where that may be too long.
async fn longest(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    // Two questions in one, each of which looks at one end alone.
    let row = sqlx::query(
        "SELECT COALESCE((SELECT MAX(seq) FROM ms_outgoing) - (SELECT MIN(seq) FROM ms_outgoing) + 1, 0)",
    );
    row.fetch_one(connection).await?.try_get(0)
}

async fn insert(connection: &mut SqliteConnection, call: &mut Waiting) -> Result<(), sqlx::Error> {
    for (number, (record, letter, random_id)) in call.letters.iter_mut().enumerate() {
        record.id = journal::next_id(connection, call.now_ms).await?;
        journal::insert(connection, record).await?;
        sqlx::query(
            "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                 parts_done, chat, due_ms) VALUES ($1, $2, $3, $4, $5, $6, $8, 0, 0, 0, $7, $8)",
        )
        .bind(record.id.get())
        .bind(call.accept.method)
        .bind(json("request", &call.accept.request)?)
        .bind(json("draft", letter)?)
        .bind(*random_id)
        .bind(call.now_ms)
        .bind(record.chat.map(|chat| chat.0))
        .bind(letter.manner.not_before_ms)
        .execute(&mut *connection)
        .await?;
        if let Some(job) = &call.accept.job {
            jobs::bind(connection, &job.id, number, record.id).await?;
        }
    }
    Ok(())
}
