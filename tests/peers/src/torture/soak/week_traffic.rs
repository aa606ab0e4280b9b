//! A busy line's calls for a while: people who call and are called, who talk, do not answer, decline, or are not there.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::clock::now;
use crate::light_user::{Answering, Event, LightUser, Reason};
use crate::torture::chance::Chance;
use crate::torture::rig::{LIMIT, NOBODY, Rig, phone_of};
use crate::wire_pbx::WireCall;
use crate::wire_stage::Post;

/// Callers at each line and from each side.
const CALLERS: usize = 8;
/// How long they talk, and pause before the next call, at most.
const TALK_MS: usize = 600;
const PAUSE_MS: usize = 150;
const LOOK: Duration = Duration::from_millis(20);

/// All who call.
pub(super) struct Crowd {
    callers: Vec<Caller>,
    answering: Vec<JoinHandle<()>>,
}

/// Somebody at Telegram: calls the company, or is called by its PBX.
struct Caller {
    post: Post,
    /// What to dial; nothing of those who call themselves.
    dialled: Option<[String; 3]>,
    user: LightUser,
    /// Whom nobody answers for, and who declines, whose device has nothing to tell.
    others: Vec<LightUser>,
    chance: Chance,
}

/// Calls that were begun, and what went wrong.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) calls: u64,
    pub(super) failed: Vec<String>,
}

impl Crowd {
    pub(super) fn gather(rig: &Rig, chance: &mut Chance) -> anyhow::Result<Self> {
        let (mut callers, mut answering) = (Vec::new(), Vec::new());
        let mut number = 0;
        let takes = Answering::After(Duration::ZERO);
        for post in &rig.posts {
            for _ in 0..CALLERS {
                let people = [takes, Answering::Rings, Answering::Declines].map(|answering| {
                    number += 1;
                    (number, rig.person(number, answering))
                });
                let dialled = Some(people.each_ref().map(|(number, _)| phone_of(*number)));
                let mut people = people.into_iter().map(|(_, person)| person);
                let user = people.next().context("one who answers")??;
                let others = people.collect::<anyhow::Result<_>>()?;
                let chance = Chance::new(chance.next());
                callers.push(Caller { post: post.clone(), dialled, user, others, chance });
            }
            for _ in 0..CALLERS {
                number += 1;
                let user = rig.person(number, takes)?;
                let chance = Chance::new(chance.next());
                callers.push(Caller { post: post.clone(), dialled: None, user, others: Vec::new(), chance });
            }
            answering.push(tokio::spawn(answer(post.clone(), Chance::new(chance.next()))));
        }
        Ok(Self { callers, answering })
    }

    /// They call until then; all calls are over afterwards.
    pub(super) async fn call(&mut self, until: Instant) -> anyhow::Result<Counted> {
        let mut under_way = JoinSet::new();
        for mut caller in self.callers.drain(..) {
            under_way.spawn(async move {
                let counted = caller.calls(until).await;
                (caller, counted)
            });
        }
        let mut all = Counted::default();
        while let Some(done) = under_way.join_next().await {
            let (caller, counted) = done?;
            self.callers.push(caller);
            all.calls += counted.calls;
            all.failed.extend(counted.failed);
        }
        Ok(all)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.answering.iter().for_each(JoinHandle::abort);
    }
}

impl Caller {
    async fn calls(&mut self, until: Instant) -> Counted {
        let mut counted = Counted::default();
        loop {
            sleep(Duration::from_millis(self.chance.below(PAUSE_MS) as u64)).await;
            if now() >= until {
                return counted;
            }
            counted.calls += 1;
            let called = match self.dialled.clone() {
                Some(dialled) => self.is_called(&dialled).await,
                None => self.calls_in().await,
            };
            if let Err(error) = called {
                counted.failed.push(format!("{error:#}"));
            }
        }
    }

    fn talk(&mut self) -> Duration {
        Duration::from_millis(50 + self.chance.below(TALK_MS) as u64)
    }

    /// The PBX calls one of those.
    async fn is_called(&mut self, [takes, rings, declines]: &[String; 3]) -> anyhow::Result<()> {
        let talks = self.talk();
        match self.chance.below(10) {
            0 => {
                let mut wire = self.post.pbx.call(rings).await?;
                wire.rings(LIMIT).await?;
                sleep(talks / 4).await;
                wire.cancel(&[]);
                ends_with(&mut wire, 487).await?;
                over(&mut self.others[0]).await.map(drop)
            }
            1 => {
                let mut wire = self.post.pbx.call(declines).await?;
                ends_with(&mut wire, 486).await
            }
            2 => ends_with(&mut self.post.pbx.call(NOBODY).await?, 404).await,
            _ => {
                let mut wire = self.post.pbx.call(takes).await?;
                wire.answered(LIMIT).await?;
                self.user.connected(LIMIT).await?;
                sleep(talks).await;
                wire.bye(&[]);
                over(&mut self.user).await.map(drop)
            }
        }
    }

    /// The person calls the company, which takes the call or declines.
    async fn calls_in(&mut self) -> anyhow::Result<()> {
        let talks = self.talk();
        let own = self.user.call(self.post.line.account).await?;
        let taken = self.user.wait_for("answer", LIMIT, |event| match event {
            Event::Connected { call } if *call == own => Some(None),
            Event::Discarded { call, reason, .. } if *call == own => Some(Some(*reason)),
            _ => None,
        });
        let taken = taken.await;
        if taken.is_err() {
            // Whoever waited for too long goes, lest the call be taken with nobody there.
            self.user.hang_up(own, Reason::Hangup).await;
        }
        match taken? {
            None => {
                sleep(talks).await;
                self.user.hang_up(own, Reason::Hangup).await;
                Ok(())
            }
            Some(reason) => {
                ensure!(reason == Some(Reason::Busy), "a caller was told {reason:?}");
                Ok(())
            }
        }
    }
}

async fn ends_with(wire: &mut WireCall, status: u16) -> anyhow::Result<()> {
    let answer = wire.final_answer(LIMIT).await?;
    ensure!(answer.status() == Some(status), "want {status}, got {}", answer.start);
    Ok(())
}

async fn over(user: &mut LightUser) -> anyhow::Result<(Option<Reason>, i32)> {
    user.discarded(LIMIT).await.context("at Telegram")
}

/// A PBX takes calls, or is busy.
async fn answer(post: Post, mut chance: Chance) {
    while let Ok(call) = post.pbx.incoming(Duration::from_secs(86_400)).await {
        let takes = !chance.one_in(8);
        tokio::spawn(take(call, takes));
    }
}

async fn take(mut call: WireCall, takes: bool) {
    call.respond(180, "Ringing", &[]);
    sleep(LOOK).await;
    if !takes {
        return call.respond(486, "Busy Here", &[]);
    }
    if call.answer().unwrap_or(false) {
        while call.request("ACK", Duration::from_millis(500)).await.is_err() && !call.is_over() {
            if call.answer_again().is_err() {
                break;
            }
        }
    }
    while !call.is_over() {
        sleep(LOOK).await;
    }
}
