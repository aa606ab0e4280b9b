//! Calls that go on while something is thrown: who talks in them, and what each side heard.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use super::Tally;
use super::rig::{LIMIT, Rig, phone_of};
use crate::clock::now;
use crate::light_user::{Answering, LightUser, Reason};
use crate::wire_pbx::{Message, WireCall};

/// What strangers' sound holds, and nobody else's does.
pub(super) const MARK: &[u8] = b"a stranger speaks";
/// How much of the time that passed has to be heard: a busy machine is late at times.
const HEARD_SHARE: f64 = 0.8;

/// So much may be under way.
const UNDER_WAY_MS: u64 = 180;

/// What was sent and heard in a call when it began to be counted.
pub(super) struct Balance([(u64, u64); 2]);

impl Balance {
    pub(super) fn of(talk: &Talk) -> Self {
        let (user, pbx) = (talk.user.heard(talk.call), talk.wire.heard());
        Self([(user.sent_ms, pbx.received_ms), (pbx.sent_ms, user.received_ms)])
    }

    /// How much more of what was sent since then did not arrive: to the PBX, to the person.
    pub(super) fn missing_ms(&self, talk: &Talk) -> [u64; 2] {
        let Self(after) = Self::of(talk);
        [0, 1].map(|way| {
            let ((sent, came), (before, came_before)) = (after[way], self.0[way]);
            (sent - before).saturating_sub(came - came_before)
        })
    }

    /// How much more came since then than was sent: to the PBX, to the person.
    fn excess_ms(&self, talk: &Talk) -> [u64; 2] {
        let Self(after) = Self::of(talk);
        [0, 1].map(|way| {
            let ((sent, came), (before, came_before)) = (after[way], self.0[way]);
            (came - came_before).saturating_sub(sent - before)
        })
    }

    /// Nothing came but what was sent since then or was under way. Far ends keep what they heard in their first 40 s alone;
    /// this looks at all of it.
    pub(super) fn judge_excess(&self, talk: &Talk, tally: &mut Tally, when: &str) {
        for (way, excess) in ["to the PBX", "to the person"].iter().zip(self.excess_ms(talk)) {
            tally.hold(excess <= UNDER_WAY_MS, || {
                format!("{when}: {excess} ms of sound {way} came from nobody in the call")
            });
        }
    }

    /// Nothing is missing but what is under way.
    pub(super) fn judge(&self, talk: &Talk, tally: &mut Tally, when: &str) {
        for (way, missing) in ["to the PBX", "to the person"].iter().zip(self.missing_ms(talk)) {
            tally.hold(missing <= UNDER_WAY_MS, || format!("{when}: {missing} ms of sound {way} were lost"));
        }
        tally.hold(!talk.wire.is_over(), || format!("{when}: the call was torn down"));
    }
}

/// A call with both its ends.
pub(super) struct Talk {
    pub(super) user: LightUser,
    pub(super) call: i64,
    pub(super) wire: WireCall,
    since: Instant,
    began: [u64; 2],
}

impl Talk {
    /// Sets one up, odd numbers from Telegram, others from the PBX; each number once in a rig.
    pub(super) async fn begin(rig: &Rig, post: usize, number: usize) -> anyhow::Result<Self> {
        let mut user = rig.person(number, Answering::After(Duration::ZERO))?;
        let pbx = &rig.posts[post].pbx;
        let (call, wire) = if number % 2 == 1 {
            let call = user.call(rig.posts[post].line.account).await?;
            let mut wire = pbx.incoming(LIMIT).await?;
            ensure!(wire.answer()?, "call {number} was withdrawn");
            user.connected(LIMIT).await?;
            (call, wire)
        } else {
            let mut wire = pbx.call(&phone_of(number)).await?;
            wire.answered(LIMIT).await?;
            return Self::of(user, wire).await;
        };
        Ok(Self { user, call, wire, since: now(), began: [0; 2] })
    }

    /// One of somebody who took a call of the PBX.
    pub(super) async fn of(mut user: LightUser, wire: WireCall) -> anyhow::Result<Self> {
        let call = user.connected(LIMIT).await?;
        Ok(Self { user, call, wire, since: now(), began: [0; 2] })
    }

    /// What each side heard so far, in milliseconds: the user, the PBX.
    pub(super) fn heard_ms(&self) -> [u64; 2] {
        [self.user.heard(self.call).received_ms, self.wire.heard().received_ms]
    }

    /// From now on it is counted what is heard.
    pub(super) fn listen(&mut self) {
        self.since = now();
        self.began = self.heard_ms();
    }

    /// Since then both sides heard each other, and nobody else at all.
    pub(super) fn judge(&self, tally: &mut Tally, when: &str) {
        let passed = (now() - self.since).as_millis() as f64;
        for (side, (heard, before)) in
            ["the user", "the PBX"].iter().zip(self.heard_ms().into_iter().zip(self.began))
        {
            let share = (heard - before) as f64 / passed;
            tally.hold(share >= HEARD_SHARE, || {
                format!("{when}: {side} heard {:.0} % of {passed} ms", share * 100.0)
            });
        }
        let payloads = [self.user.heard(self.call).payloads, self.wire.heard().payloads];
        let strange = payloads.iter().flatten().filter(|payload| has_mark(payload)).count();
        tally.hold(strange == 0, || format!("{when}: {strange} packets of strangers were passed on"));
        tally.hold(!self.wire.is_over(), || format!("{when}: the call was torn down"));
    }

    /// Where the gateway takes the PBX's sound.
    pub(super) fn sound_port(&mut self) -> Option<SocketAddr> {
        self.wire.seen().iter().find_map(Message::opus).map(|(address, _)| address)
    }

    /// All that either side heard was kept, so that none of a stranger's sound is overlooked.
    pub(super) fn is_kept_whole(&self) -> bool {
        let ends = [self.user.heard(self.call), self.wire.heard()];
        ends.iter().all(|heard| heard.packets == heard.payloads.len() as u64)
    }

    /// Hangs up.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        if self.wire.is_over() {
            return Ok(());
        }
        if self.call % 2 == 0 {
            self.wire.bye(&[]);
            self.user.discarded(LIMIT).await.context("BYE")?;
        } else {
            self.user.hang_up(self.call, Reason::Hangup).await;
            self.wire.request("BYE", LIMIT).await?;
        }
        Ok(())
    }
}

/// Whether a stranger made this.
pub(super) fn has_mark(payload: &[u8]) -> bool {
    payload.windows(MARK.len()).any(|piece| piece == MARK)
}

/// Ends all of them.
pub(super) async fn end_all(talks: Vec<Talk>) -> anyhow::Result<()> {
    for talk in talks {
        talk.end().await?;
    }
    sleep(Duration::from_millis(200)).await;
    Ok(())
}
