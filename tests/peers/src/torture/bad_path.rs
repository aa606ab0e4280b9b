//! T9: calls on bad paths, on both legs, on the way to the gateway: what is lost there is lost at the other end, and nothing
//! more; nothing comes twice, each packet has the time of its number, and no call ends.
//!
//! The far ends' paths bring their dice along, each its own: a seed says nothing here.

use std::time::Duration;

use tgtrunk_test_telegram::bad_path::Treatment;
use tokio::time::sleep;

use super::rig::{Rig, by_address};
use super::talks::{Talk, end_all};
use super::{Plan, Tally};

/// Calls on each path, in a whole run and in a short one.
const CALLS: usize = 20;
const FEW_CALLS: usize = 2;
/// Seconds from which on a run is a whole one.
const WHOLE_S: u64 = 60;
/// Which part of a run is talked before it, for the gateway to come to what it needs once.
const FIRST_SHARE: u64 = 10;
/// How much more or less may be lost than was on the way, as a share, and the milliseconds that are still on the way.
const SHARE: f64 = 0.0005;
const UNDER_WAY_MS: u64 = 180;

/// The paths, each by its name.
fn paths() -> [(&'static str, Treatment); 8] {
    let good = Treatment::default();
    [
        ("1 % lost", Treatment { loss: 0.01, ..good }),
        ("5 % lost", Treatment { loss: 0.05, ..good }),
        ("10 % lost", Treatment { loss: 0.1, ..good }),
        ("30 % lost", Treatment { loss: 0.3, ..good }),
        ("5 % twice", Treatment { duplicates: 0.05, ..good }),
        ("5 % overtaken", Treatment { reorder: 0.05, ..good }),
        ("300 ms late", Treatment { delay_ms: 300, ..good }),
        ("up to 60 ms late", Treatment { jitter_ms: 60, ..good }),
    ]
}

/// Talks for so many seconds on each path, all of them at once.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let mut tally = Tally::default();
    let each = if plan.amount >= WHOLE_S { CALLS } else { FEW_CALLS };
    // As many calls as later, for a while: what the gateway needs once for them, it has then.
    talk_on_each(&rig, 1, each, (plan.amount / FIRST_SHARE).max(1), &mut tally).await?;
    rig.warmed_without_calls().await?;
    let worst = talk_on_each(&rig, 1 + paths().len() * each, each, plan.amount, &mut tally).await?;
    tally.amount = plan.amount;
    tally.note(&format!(
        "{each} calls on each of {} paths; at most {:.3} % more or less lost than on the way",
        paths().len(),
        worst * 100.0
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// So many calls on each path, of people from this number on; gives the largest share that was lost more or less than on the way.
async fn talk_on_each(
    rig: &Rig,
    first: usize,
    each: usize,
    seconds: u64,
    tally: &mut Tally,
) -> anyhow::Result<f64> {
    let mut talks = Vec::new();
    for (kind, (_, treatment)) in paths().into_iter().enumerate() {
        for number in 0..each {
            let talk = Talk::begin(rig, 0, first + kind * each + number).await?;
            talks.push((kind, treatment, talk));
        }
    }
    sleep(Duration::from_millis(500)).await;
    let both = |talk: &Talk| [talk.wire.heard(), talk.user.heard(talk.call)];
    let before: Vec<_> = talks.iter().map(|(_, _, talk)| both(talk)).collect();
    for (_, treatment, talk) in &talks {
        talk.wire.treat(*treatment);
        talk.user.treat(talk.call, *treatment).await;
    }
    sleep(Duration::from_secs(seconds)).await;
    // What comes of silence has no numbers of sound.
    let numbers: Vec<_> = talks
        .iter()
        .map(|(_, _, talk)| {
            [talk.user.heard(talk.call), talk.wire.heard()].map(|heard| (heard.doubled, heard.misplaced))
        })
        .collect();
    // Nothing more is said, and what is on the way arrives.
    for (_, _, talk) in &talks {
        talk.wire.mute(true);
        talk.user.mute(true).await;
        talk.wire.treat(Treatment::default());
        talk.user.treat(talk.call, Treatment::default()).await;
    }
    sleep(Duration::from_secs(1)).await;
    let mut worst = 0.0_f64;
    for (((kind, _, talk), numbers), before) in talks.iter().zip(numbers).zip(before) {
        let name = paths()[*kind].0;
        tally.hold(!talk.wire.is_over(), || format!("{name}: the call was dropped"));
        let ends = both(talk);
        for (way, at) in [("to Telegram", 0), ("to the PBX", 1)] {
            let (from, to) = (&ends[at], &ends[1 - at]);
            let sent = from.sent_ms - before[at].sent_ms;
            let came = sent - (from.lost_ms - before[at].lost_ms);
            let went_on = to.received_ms - before[1 - at].received_ms;
            let off = came.abs_diff(went_on);
            worst = worst.max(off.saturating_sub(UNDER_WAY_MS) as f64 / sent.max(1) as f64);
            tally.hold(off <= UNDER_WAY_MS + (sent as f64 * SHARE) as u64, || {
                format!("{name}, {way}: {came} ms of {sent} came, and {went_on} ms went on")
            });
            let (doubled, misplaced) = numbers[at];
            tally.hold(doubled == 0, || format!("{name}, {way}: {doubled} packets came twice"));
            tally.hold(misplaced == 0, || format!("{name}, {way}: {misplaced} have times of others"));
        }
    }
    end_all(talks.into_iter().map(|(_, _, talk)| talk).collect()).await?;
    Ok(worst)
}
