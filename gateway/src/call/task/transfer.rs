//! What one call does while the PBX sends it on: it has a second trunk leg, and the Telegram user hears the one that has
//! most to say. The sound towards Telegram runs on under its own numbers whichever leg it comes from.

use std::time::Instant;

use tgtrunk_bridge::{Cause, Event, Leg};
use tgtrunk_media::Side;
use tgtrunk_media::dtmf::info::Form;
use tgtrunk_sip::RemoteAudio;

use super::{Said, State, Task};
use crate::call::trunk_leg::{OtherLeg, SipWord, TransferWord, TrunkLeg};

/// A call's second trunk leg.
pub(super) struct Transfer {
    /// The one that is not heard.
    leg: TrunkLeg,
    stage: Stage,
    /// The new one rings: the old one is not heard any more.
    rings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The new leg is called, or is to be answered.
    Coming,
    /// It is heard already, though nobody answered there.
    Early,
    /// The PBX has ended the old one, and the new one is not answered.
    Alone,
    /// It is answered, and the old one is the PBX's to end.
    Done,
}

impl Task {
    /// The PBX wants somebody else called for this call.
    pub(super) fn refer(&mut self, now: Instant) {
        let is_free = self.transfer.as_ref().is_none_or(|transfer| transfer.stage == Stage::Done);
        let leg = self.trunk.beside(None).filter(|_| self.is_up() && is_free && !self.bridge.is_ending());
        let opened = leg.map(|mut leg| leg.open().map(|audio| (leg, audio)));
        match opened {
            Some(Ok((leg, Some(audio)))) => {
                self.relay.excuse(now, Side::Trunk, true);
                self.transfer = Some(Transfer { leg, stage: Stage::Coming, rings: false });
                self.say_transfer(TransferWord::Place(audio));
            }
            Some(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "no RTP port for a transfer");
                self.say_transfer(TransferWord::Refuse);
            }
            Some(Ok((_, None))) | None => self.say_transfer(TransferWord::Refuse),
        }
    }

    /// A call of the PBX is to take the place of its leg.
    pub(super) fn replace(&mut self, offer: Option<RemoteAudio>) {
        let is_free = self.transfer.as_ref().is_none_or(|transfer| transfer.stage == Stage::Done);
        let leg = self.trunk.beside(offer).filter(|_| is_free && !self.bridge.is_ending());
        match leg.map(|mut leg| leg.open().map(|audio| (leg, audio))) {
            Some(Ok((leg, Some(audio)))) => {
                self.transfer = Some(Transfer { leg, stage: Stage::Coming, rings: false });
                self.say_transfer(TransferWord::TakeOver(audio));
            }
            Some(Ok((_, None)) | Err(_)) | None => self.say_transfer(TransferWord::End(Cause::LineFull)),
        }
    }

    /// Whether a leg that is not answered yet keeps the call up: nothing is to be heard of it for a while.
    pub(super) fn awaits_leg(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.stage != Stage::Done)
    }

    /// Whether the PBX's phone was ever answered, or answered.
    fn is_up(&self) -> bool {
        self.joined || self.trunk_listens
    }

    /// Whether what comes on the trunk leg is not to be heard: somebody else rings for the Telegram user.
    pub(super) fn is_left(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.rings && transfer.stage != Stage::Early)
    }

    /// News of the second leg.
    pub(super) fn handle_other(&mut self, now: Instant, word: OtherLeg) {
        let Some(transfer) = &mut self.transfer else { return };
        match word {
            OtherLeg::Ringing => {
                if !transfer.rings && transfer.stage != Stage::Done {
                    transfer.rings = true;
                    self.relay.play(now, Side::Telegram, self.limits.ringback);
                    self.play(now);
                }
            }
            OtherLeg::EarlyMedia(remote) => match transfer.stage {
                Stage::Coming => {
                    transfer.stage = Stage::Early;
                    self.change_legs();
                    self.set_trunk_audio(now, *remote);
                    self.relay.excuse(now, Side::Trunk, true);
                }
                Stage::Early | Stage::Alone => self.set_trunk_audio(now, *remote),
                Stage::Done => {}
            },
            OtherLeg::Answered(remote) => self.take_over(now, remote.map(|remote| *remote)),
            OtherLeg::MediaChanged(remote) => transfer.leg.set_remote(now, *remote),
            OtherLeg::Ended(cause) => self.other_ended(now, cause),
        }
    }

    /// The other leg is heard from now on.
    fn change_legs(&mut self) {
        if let Some(transfer) = &mut self.transfer {
            std::mem::swap(&mut self.trunk, &mut transfer.leg);
            self.relay.replace(Side::Trunk);
        }
    }

    fn take_over(&mut self, now: Instant, remote: Option<RemoteAudio>) {
        let Some(transfer) = &mut self.transfer else { return };
        let stage = std::mem::replace(&mut transfer.stage, Stage::Done);
        transfer.rings = false;
        if stage == Stage::Coming {
            self.change_legs();
        }
        self.trunk.answered();
        self.info = (Form::Relay, None);
        self.relay.play(now, Side::Telegram, None);
        if let Some(remote) = remote {
            self.set_trunk_audio(now, remote);
        }
        self.trunk_listens = true;
        tracing::info!("the call goes on with another leg of the PBX");
        // Where nobody had answered before, this is the answer.
        self.bridge.handle(now, Event::Answers(Leg::Trunk));
        self.progress(State::Unchanged);
        self.warn_of_recording(now);
    }

    fn other_ended(&mut self, now: Instant, cause: Cause) {
        let Some(Transfer { mut leg, stage, .. }) = self.transfer.take() else { return };
        match stage {
            Stage::Done => {}
            Stage::Alone => {
                self.trunk.ended();
                self.bridge.handle(now, Event::HangsUp(Leg::Trunk, cause));
            }
            Stage::Coming | Stage::Early => {
                if stage == Stage::Early {
                    std::mem::swap(&mut self.trunk, &mut leg);
                    self.relay.replace(Side::Trunk);
                }
                tracing::info!(?cause, "the transfer did not come about, the call goes on as before");
                self.relay.play(now, Side::Telegram, None);
                self.relay.excuse(now, Side::Trunk, false);
                if let Some(remote) = self.trunk.remote().cloned() {
                    self.set_trunk_audio(now, remote);
                }
            }
        }
    }

    /// The PBX changed the session of its first leg.
    pub(super) fn first_changed(&mut self, now: Instant, remote: RemoteAudio) {
        match &mut self.transfer {
            Some(transfer) if transfer.stage == Stage::Early => transfer.leg.set_remote(now, remote),
            Some(transfer) if transfer.stage == Stage::Coming => {
                self.set_trunk_audio(now, remote);
                self.relay.excuse(now, Side::Trunk, true);
            }
            Some(_) | None => self.set_trunk_audio(now, remote),
        }
    }

    /// The PBX ended its first leg. One who transfers may do so before the new leg is answered.
    pub(super) fn first_ended(&mut self, now: Instant, cause: Cause) {
        let is_up = self.is_up();
        match &mut self.transfer {
            Some(transfer) if matches!(transfer.stage, Stage::Coming | Stage::Early) && is_up => {
                let stage = std::mem::replace(&mut transfer.stage, Stage::Alone);
                transfer.rings = false;
                if stage == Stage::Coming {
                    self.change_legs();
                }
                if let Some(transfer) = &mut self.transfer {
                    transfer.leg.ended();
                }
            }
            Some(_) | None => {
                self.trunk.ended();
                self.bridge.handle(now, Event::HangsUp(Leg::Trunk, cause));
            }
        }
    }

    /// Ends the second leg with the call.
    pub(super) fn end_transfer(&mut self, cause: Cause) {
        if let Some(transfer) = &mut self.transfer {
            // Which of both is whose is the line's to know; one that is gone is ended in vain.
            if transfer.stage != Stage::Done {
                self.words.push(Said::Sip(SipWord::HangUp(cause)));
            }
            self.say_transfer(TransferWord::End(cause));
        }
    }

    fn say_transfer(&mut self, word: TransferWord) {
        self.words.push(Said::Sip(SipWord::Transfer(word)));
    }
}
