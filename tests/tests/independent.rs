//! Calls between programs that have nothing of ours: ntgcalls with Telethon at one end, baresip at the other. Each
//! direction in each version, tones both ways at once, hung up by each of the four ends. Needs root, for ntgcalls wants
//! an interface that is not loopback and gets a network namespace of its own.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_config::control::Direction;
use tgtrunk_tests::independent::{End, IndependentStage, Outcome, Plan};
use tokio::sync::Mutex;

const VERSIONS: [&str; 4] = ["13.0.0", "12.0.0", "9.0.0", "8.0.0"];
const TALK: Duration = Duration::from_secs(5);
const LEAST_PLAYED: Duration = Duration::from_millis(4800);

#[tokio::test(flavor = "multi_thread")]
async fn foreign_programs_hear_each_other_when_telegram_calls_the_phone() {
    in_every_version(Direction::TelegramToPbx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_programs_hear_each_other_when_the_phone_calls_telegram() {
    in_every_version(Direction::PbxToTelegram).await;
}

/// The capture sees every call of the machine, so one stage plays at a time.
static STAGE: Mutex<()> = Mutex::const_new(());

/// ntgcalls leaves out the key's leading zeros where it computes the emoji, so that one call in 256 shows others there: one of
/// each test's four may.
async fn in_every_version(direction: Direction) {
    let _alone = STAGE.lock().await;
    let mut stage = IndependentStage::open().await.unwrap();
    let mut odd = Vec::new();
    for (version, hangs_up) in VERSIONS.into_iter().zip([End::Telegram, End::Pbx].into_iter().cycle()) {
        let plan = Plan { direction, versions: &[version], talk: TALK, hangs_up };
        let outcome = stage.call(plan, |_| ()).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{direction:?} {version}: {error:#}"));
        println!("{direction:?} {version}: {outcome:?}");
        check(&outcome, version);
        if outcome.emoji.0 != outcome.emoji.1 {
            odd.push((version, outcome.emoji));
        }
    }
    assert!(odd.len() <= 1, "both ends see the same emoji: {odd:?}");
    stage.close().await.unwrap();
}

fn check(outcome: &Outcome, version: &str) {
    assert_eq!(outcome.versions, [version]);
    outcome.ways.check(LEAST_PLAYED).unwrap_or_else(|error| panic!("{version}: {error:#}: {outcome:?}"));
    let (span_ms, sounded_ms) = outcome.telegram_span_ms;
    assert!(sounded_ms * 100 >= span_ms * 99 && span_ms >= 5000, "{version}: {outcome:?}");
    assert_eq!(outcome.phone_lost, 0, "{version}: {outcome:?}");
    assert!(!outcome.emoji.0.is_empty());
}
