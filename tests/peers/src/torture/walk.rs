//! T26: the call's two legs, timers and failures, walked at random: a model that knows nothing but who is there, who has spoken
//! and what the time is, beside the real state machine. The two may never disagree.

use std::time::{Duration, Instant};

use tgtrunk_bridge::{Action, Call, Cause, EarlyAnswer, Event, Leg, ParallelIncoming, Settings};

use super::chance::Chance;
use super::{Plan, Tally};
use crate::clock::now;

/// Steps of one call before somebody ends it.
const LONGEST: usize = 40;
/// How much time passes between two steps, at most.
const STEP_MS: usize = 8_000;
/// No leg may be left alone for longer.
const ALONE: Duration = Duration::from_secs(5);
/// How often a call that is ending may be reminded of the time until it is over.
const REMINDERS: usize = 4;

/// Walks so many steps.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    tokio::task::spawn_blocking(move || walk(plan))
        .await
        .map_err(|error| anyhow::anyhow!("the state machine panicked: {error}"))
}

fn walk(plan: Plan) -> Tally {
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let began = now();
    let (mut calls, mut joined, mut crossed) = (0_u64, 0_u64, 0_u64);
    while tally.amount < plan.amount {
        calls += 1;
        let seed = chance.next();
        let (steps, model) = one_call(seed);
        tally.amount += steps;
        joined += u64::from(model.joined);
        crossed += u64::from(model.hung_up.contains(&2));
        for complaint in model.complaints {
            tally.fail(format!("call of seed {seed}: {complaint}"));
        }
    }
    let rate = tally.amount as f64 / (now() - began).as_secs_f64().max(1e-9);
    tally.note(&format!("{calls} calls, {joined} of them talked, {crossed} answers crossed a hang-up; {rate:.0} steps a second"));
    // Where nobody ever talks, nothing was walked.
    tally.hold(joined * 20 > calls, || format!("{joined} of {calls} calls talked"));
    tally
}

/// One call from its beginning to its end: how many steps it took, and what its model says.
fn one_call(seed: u64) -> (u64, Model) {
    let mut chance = Chance::new(seed);
    let settings = settings(&mut chance);
    let mut at = now();
    let is_fetched = chance.one_in(3);
    let mut call = if is_fetched {
        Call::to_both(settings, at)
    } else {
        Call::new(*chance.pick(&Leg::BOTH), settings, at)
    };
    let mut model = Model::new(call.caller(), is_fetched);
    model.watch(&mut call, at);
    let mut steps = 0;
    for _ in 0..chance.below(LONGEST) {
        at += Duration::from_millis(chance.below(STEP_MS) as u64);
        let is_due = call.poll_timeout().is_some_and(|(due, _)| due <= at);
        if is_due || chance.one_in(4) {
            call.handle_timeout(at);
        } else {
            let event = event(&mut chance);
            if !model.may_hear(event) {
                continue;
            }
            model.hears(event, at);
            call.handle(at, event);
        }
        steps += 1;
        model.watch(&mut call, at);
    }
    if !call.is_ending() {
        call.handle(at, Event::Stop(Cause::Stopping));
        steps += 1;
        model.watch(&mut call, at);
    }
    for _ in 0..REMINDERS {
        let Some((due, _)) = call.poll_timeout() else { break };
        at = at.max(due);
        call.handle_timeout(at);
        steps += 1;
        model.watch(&mut call, at);
    }
    model.is_over(&call);
    (steps, model)
}

fn settings(chance: &mut Chance) -> Settings {
    Settings {
        parallel_incoming: *chance.pick(&[
            ParallelIncoming::Auto,
            ParallelIncoming::Always,
            ParallelIncoming::Off,
        ]),
        early_answer: *chance.pick(&[EarlyAnswer::Off, EarlyAnswer::EarlyMedia, EarlyAnswer::Ringing]),
        ..Settings::default()
    }
}

fn event(chance: &mut Chance) -> Event {
    let leg = *chance.pick(&Leg::BOTH);
    match chance.below(26) {
        0..4 => Event::Rings(leg),
        4..6 => Event::Proceeds(leg),
        6..11 => Event::Answers(leg),
        11..15 => Event::MediaUp(leg),
        15..17 => Event::MediaDown(leg),
        17..19 => Event::EarlyMedia(leg),
        19..21 => Event::HangsUp(leg, Cause::Normal),
        21 => Event::Fails(leg, Cause::MediaLost),
        22 => Event::Stop(Cause::Stopping),
        _ => Event::Released(leg),
    }
}

/// What must hold, as far as it can be told from outside.
#[derive(Debug)]
struct Model {
    caller: Leg,
    is_fetched: bool,
    dialled: [bool; 2],
    answered: [bool; 2],
    sounds: bool,
    plays_or_rings: bool,
    /// Whether its far end ended it before we did.
    gone: [bool; 2],
    hung_up: [u32; 2],
    crossed: [bool; 2],
    told_answer: bool,
    joined: bool,
    first_end: Option<Instant>,
    ends: u32,
    complaints: Vec<String>,
}

impl Model {
    fn new(caller: Leg, is_fetched: bool) -> Self {
        Self {
            caller,
            is_fetched,
            dialled: [false; 2],
            answered: [false; 2],
            sounds: false,
            plays_or_rings: false,
            gone: [false; 2],
            hung_up: [0; 2],
            crossed: [false; 2],
            told_answer: false,
            joined: false,
            first_end: None,
            ends: 0,
            complaints: Vec::new(),
        }
    }

    /// A leg that was never called neither answers nor ends.
    fn may_hear(&self, event: Event) -> bool {
        match event {
            Event::Answers(leg) | Event::HangsUp(leg, _) | Event::Released(leg) => self.is_there(leg),
            _ => true,
        }
    }

    fn is_there(&self, leg: Leg) -> bool {
        !self.is_fetched || self.dialled[leg as usize]
    }

    fn hears(&mut self, event: Event, at: Instant) {
        match event {
            Event::Answers(leg) => {
                let is_news = !std::mem::replace(&mut self.answered[leg as usize], true);
                let is_awaited = leg != self.caller || self.is_fetched;
                if is_news && is_awaited && self.hung_up[leg as usize] == 1 {
                    self.crossed[leg as usize] = true;
                }
            }
            Event::MediaUp(Leg::Telegram) => self.sounds = true,
            Event::EarlyMedia(Leg::Trunk) | Event::Rings(Leg::Trunk) => self.plays_or_rings = true,
            Event::HangsUp(leg, _) | Event::Released(leg) => {
                self.gone[leg as usize] = true;
                self.first_end.get_or_insert(at);
            }
            Event::Fails(..) | Event::Stop(_) => drop(self.first_end.get_or_insert(at)),
            Event::Proceeds(_)
            | Event::MediaUp(_)
            | Event::MediaDown(_)
            | Event::EarlyMedia(_)
            | Event::Rings(_) => {}
        }
    }

    fn hold(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.complaints.push(what.into());
        }
    }

    fn watch(&mut self, call: &mut Call, at: Instant) {
        while let Some(action) = call.poll_action() {
            self.hold(self.ends == 0, format!("{action:?} after the end"));
            self.does(&action, at);
        }
        if call.is_ending() {
            for leg in Leg::BOTH {
                let number = leg as usize;
                let is_let_go = self.gone[number] || self.hung_up[number] > 0 || !self.is_there(leg);
                let alone =
                    self.first_end.map_or(Duration::ZERO, |first| at.saturating_duration_since(first));
                self.hold(is_let_go, format!("{leg:?} outlives its partner by {alone:?}"));
            }
        } else {
            let is_left = self.first_end.is_some_and(|first| at > first + ALONE);
            self.hold(!is_left, "a call whose one leg ended goes on");
            self.hold(
                self.joined || call.poll_timeout().is_some(),
                "nothing ever ends a call that nobody answers",
            );
        }
    }

    fn does(&mut self, action: &Action, at: Instant) {
        let nobody_hung_up = self.hung_up == [0, 0];
        match action {
            Action::Dial(leg) => {
                let again = std::mem::replace(&mut self.dialled[*leg as usize], true);
                self.hold(!again, format!("{leg:?} dialled twice"));
                self.hold(nobody_hung_up, "dialled after a hang-up");
            }
            Action::Answer(leg) => {
                self.hold(
                    *leg == self.caller && !self.is_fetched,
                    format!("{leg:?} did not call and is answered"),
                );
                let is_due = match leg {
                    Leg::Trunk => self.sounds,
                    Leg::Telegram => self.answered[Leg::Trunk as usize] || self.plays_or_rings,
                };
                self.hold(is_due && nobody_hung_up, "answered without an answer");
                let again = std::mem::replace(&mut self.told_answer, true);
                self.hold(!again, "answered twice");
            }
            Action::TellRinging(leg) => {
                self.hold(*leg == self.caller && nobody_hung_up, "told of ringing too late");
            }
            Action::RingBack(leg) => {
                self.hold(self.answered[*leg as usize] && nobody_hung_up, "rung back to nobody")
            }
            Action::Join | Action::JoinEarly => {
                // Sound before somebody has answered would be heard by who has not agreed to be.
                let is_allowed = self.told_answer || (self.is_fetched && self.answered[self.caller as usize]);
                self.hold(is_allowed && nobody_hung_up, format!("{action:?} before an answer"));
                self.joined |= *action == Action::Join;
            }
            Action::HangUp { leg, .. } => {
                let number = *leg as usize;
                self.hung_up[number] += 1;
                self.first_end.get_or_insert(at);
                let is_once =
                    self.hung_up[number] == 1 || (self.hung_up[number] == 2 && self.crossed[number]);
                self.hold(is_once, format!("{leg:?} is hung up {} times", self.hung_up[number]));
                self.hold(!self.gone[number], format!("{leg:?} was gone and is hung up"));
            }
            Action::End(_) => {
                self.ends += 1;
                self.hold(self.ends == 1, "ended twice");
            }
        }
    }

    fn is_over(&mut self, call: &Call) {
        self.hold(self.ends == 1, format!("{} ends", self.ends));
        self.hold(
            call.stage() == "over" && call.poll_timeout().is_none(),
            format!("it stays {}", call.stage()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_steps_hold_and_come_again_with_their_seed() {
        let one = walk(Plan { amount: 10_000, seed: 4 });
        assert!(one.failures.is_empty(), "{:?}", one.failures);
        assert_eq!(walk(Plan { amount: 10_000, seed: 4 }).amount, one.amount);
    }

    #[test]
    fn sound_before_an_answer_and_a_leg_that_stays_are_seen() {
        let mut model = Model::new(Leg::Trunk, false);
        model.does(&Action::Join, now());
        assert!(model.complaints[0].contains("before an answer"), "{model:?}");
        let mut call = Call::new(Leg::Trunk, Settings::default(), now());
        call.handle(now(), Event::Stop(Cause::Stopping));
        while call.poll_action().is_some() {}
        let mut model = Model::new(Leg::Trunk, false);
        model.watch(&mut call, now());
        assert!(model.complaints.iter().any(|what| what.contains("outlives")), "{model:?}");
    }
}
