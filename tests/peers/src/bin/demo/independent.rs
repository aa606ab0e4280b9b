//! The demo with foreign far ends: Telethon and ntgcalls as the Telegram user, baresip as the phone.

use std::time::Duration;

use tgtrunk_config::control::Direction as Way;
use tgtrunk_tests::independent::{End, IndependentStage, Plan};

use crate::report::{Direction, Report};
use crate::{COMPANY, conclude, stay, tell};

const TALK: Duration = Duration::from_secs(5);

pub(crate) async fn run() -> anyhow::Result<()> {
    tell(
        "A test Telegram starts in a network of its own. The company's account logs in to it, and so does Anna, who is \
         Telethon and ntgcalls.",
    );
    let mut stage = IndependentStage::open().await?;
    tell(format!("The gateway runs: line {COMPANY} at {}, and baresip is the phone.", stage.line.sip));
    let mut report = Report::begin()?;
    for (way, direction, hangs_up) in [
        (Way::TelegramToPbx, Direction::TelegramToPbx, End::Telegram),
        (Way::PbxToTelegram, Direction::PbxToTelegram, End::Pbx),
    ] {
        tell(match way {
            Way::TelegramToPbx => format!("\nAnna calls {COMPANY}."),
            Way::PbxToTelegram => "\nbaresip dials Anna's number.".to_owned(),
        });
        let outcome = stage
            .call(Plan { direction: way, versions: &[], talk: TALK, hangs_up }, |sentence: &str| {
                tell(sentence)
            })
            .await?;
        tell(format!(
            "{} hangs up; the other side knows it {} ms later. Both saw {} and spoke version {}.",
            match hangs_up {
                End::Telegram => "Anna",
                End::Pbx => "baresip",
            },
            outcome.end_seen.as_millis(),
            outcome.emoji.0,
            outcome.versions.join(", "),
        ));
        tell(report.add(direction, outcome.setup, outcome.ways));
    }
    let judged = conclude(&report);
    if judged.is_ok() {
        let phone = format!("127.0.0.1:{}", stage.phone_port);
        stay(&stage.stage, &stage.line.sip.to_string(), &phone).await?;
        stage.close().await?;
    }
    judged
}
