//! What one call does on its trunk leg: call the PBX, answer it, hang up.

use std::time::Instant;

use tgtrunk_bridge::{Cause, Event, Leg};
use tgtrunk_media::Side;

use super::{Said, State, Task};
use crate::call::trunk_leg::SipWord;

impl Task {
    pub(super) fn dial_trunk(&mut self, now: Instant) {
        self.progress(State::Unchanged);
        let audio = match self.trunk.open() {
            Ok(audio) => audio,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no RTP port");
                return self.bridge.handle(now, Event::Fails(Leg::Trunk, Cause::LineFull));
            }
        };
        match (self.to_invite.take(), audio) {
            (Some(mut invite), Some(audio)) => {
                invite.audio = audio;
                self.words.push(Said::Sip(SipWord::Invite(invite)));
            }
            // An echo answers at once.
            _ => self.bridge.handle(now, Event::Answers(Leg::Trunk)),
        }
    }

    pub(super) fn answer_trunk(&mut self, now: Instant) {
        match self.trunk.open() {
            Ok(Some(audio)) => {
                self.trunk.answered();
                self.words.push(Said::Sip(SipWord::Answer(audio)));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no RTP port");
                self.bridge.handle(now, Event::Fails(Leg::Trunk, Cause::LineFull));
            }
        }
        if let Some(remote) = self.trunk.remote().cloned() {
            self.set_trunk_audio(now, remote);
        }
    }

    /// Tells the PBX that it rings; where it has no tone of its own, with one of ours.
    pub(super) fn tell_trunk_ringing(&mut self, now: Instant) {
        let offer = self.trunk.remote().cloned().filter(|_| self.limits.early_media);
        match (offer, self.trunk.open()) {
            (Some(remote), Ok(Some(audio))) => {
                self.words.push(Said::Sip(SipWord::Progress(audio)));
                self.set_trunk_audio(now, remote);
                self.relay.play(now, Side::Trunk, self.limits.ringback);
                self.play(now);
            }
            _ => self.words.push(Said::Sip(SipWord::Ringing)),
        }
    }

    pub(super) fn hang_up_trunk(&mut self, now: Instant, cause: Cause) {
        self.words.extend(self.trunk.goodbye(cause).map(Said::Sip));
        self.end_transfer(cause);
        // The endpoint of the line says goodbye by itself, with all the repeats that it takes.
        self.bridge.handle(now, Event::Released(Leg::Trunk));
    }
}
