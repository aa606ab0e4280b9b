//! The demo with the built-in far ends: light Telegram users and a small PBX phone.

use std::time::Duration;

use tgtrunk_config::control::CallState;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::light_user::{self, LightUser, Reason};
use tgtrunk_tests::measure::{Tones, talk};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::{Line, Stage};
use tokio::time::Instant;

use crate::report::{Direction, Report};
use crate::{COMPANY, conclude, stay, tell};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(15);
/// What Telegram's apps put into a packet, and what phones do.
const APP_PACKET_MS: usize = 60;
const PHONE_PACKET_MS: usize = 20;
const TALK: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(1);
const TONES: Tones = Tones::USUAL;

pub(crate) async fn run() -> anyhow::Result<()> {
    tell("A test Telegram starts on this machine, and the company's account logs in to it.");
    let stage = Stage::on_loopback().await?;
    let line = stage.line(COMPANY)?;
    let phone = pbx::Options::playing(circle(TONES.pbx_hz, PHONE_PACKET_MS)?).muted();
    let mut phone = stage.desk(&line, phone.answering(pbx::Answering::After(PAUSE))).await?;
    let app = light_user::Options::playing(circle(TONES.telegram_hz, APP_PACKET_MS)?).muted();
    let app = app.answering(light_user::Answering::After(PAUSE));
    let mut anna = stage.person(NewUser::new("+79161111111", "Anna").username("anna"), app.clone())?;
    let mut boris = stage.person(NewUser::new("+79162222222", "Boris"), app)?;

    let gateway = stage.run(&[&line]).await?;
    let mut control = gateway.control().await?;
    control.subscribe().await?;
    tell(format!(
        "The gateway runs: line {COMPANY} at {}, a PBX phone at {}. Both lamps are green.",
        line.sip, phone.sip
    ));

    let mut report = Report::begin()?;
    telegram_calls(&mut report, &mut control, &line, &mut anna, &mut phone).await?;
    pbx_calls(&mut report, &mut control, &mut phone, "+79162222222", "Boris", &mut boris).await?;
    pbx_calls(&mut report, &mut control, &mut phone, "tg#anna", "Anna", &mut anna).await?;
    let judged = conclude(&report);
    if judged.is_ok() {
        crate::keypad::run().await?;
        stay(&stage, &line.sip.to_string(), &phone.sip.to_string()).await?;
        gateway.stop().await?;
        stage.done();
    }
    judged
}

async fn telegram_calls(
    report: &mut Report,
    control: &mut Control,
    line: &Line,
    anna: &mut LightUser,
    phone: &mut Phone,
) -> anyhow::Result<()> {
    tell(format!("\nAnna opens Telegram and calls {COMPANY}."));
    let began = Instant::now();
    let call = anna.call(line.account).await?;
    let incoming = phone.incoming(LIMIT).await?;
    let id = incoming.header("X-TG-ID").unwrap_or("unknown");
    tell(format!(
        "The phone rings: \"{}\" <{}>, Telegram id {id}. It is taken after a second.",
        incoming.from_display, incoming.from_user
    ));
    anna.connected(LIMIT).await?;
    phone.answered(LIMIT).await?;
    control.call_state(CallState::Answered, LIMIT).await?;
    let setup = began.elapsed().saturating_sub(PAUSE);
    tell("They talk: 880 Hz from Telegram and 440 Hz from the phone, both at once.");
    let ways = talk(anna, call, phone, incoming.call, TONES, TALK).await?;
    let ended = Instant::now();
    anna.hang_up(call, Reason::Hangup).await;
    phone.ended(LIMIT).await?;
    tell(format!("Anna hangs up; the phone knows it {} ms later.", ended.elapsed().as_millis()));
    tell(report.add(Direction::TelegramToPbx, setup, ways));
    Ok(())
}

async fn pbx_calls(
    report: &mut Report,
    control: &mut Control,
    phone: &mut Phone,
    dialled: &str,
    name: &str,
    user: &mut LightUser,
) -> anyhow::Result<()> {
    tell(format!("\nThe phone dials {dialled}."));
    let began = Instant::now();
    let pbx_call = phone.call(dialled).await?;
    phone.ringing(LIMIT).await?;
    tell(format!(
        "{name}'s Telegram rings, and the phone hears it ring after {} ms.",
        began.elapsed().as_millis()
    ));
    let call = user.connected(LIMIT).await?;
    phone.answered(LIMIT).await?;
    control.call_state(CallState::Answered, LIMIT).await?;
    let setup = began.elapsed().saturating_sub(PAUSE);
    tell(format!("{name} takes the call after a second, and they talk."));
    let ways = talk(user, call, phone, pbx_call, TONES, TALK).await?;
    let ended = Instant::now();
    phone.hang_up(pbx_call).await?;
    user.discarded(LIMIT).await?;
    tell(format!("The phone hangs up; {name}'s Telegram knows it {} ms later.", ended.elapsed().as_millis()));
    tell(report.add(Direction::PbxToTelegram, setup, ways));
    Ok(())
}
