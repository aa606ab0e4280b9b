//! A line's two lamps, lit by what was really checked.

use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{Refusal, RefusalCode};
use tgtrunk_config::{GatewayStatus, Lamp, Said, UserId};
use tgtrunk_sip::Availability;
use tgtrunk_telegram::{Account, Sentence, Status};
use tokio::sync::watch;

use super::pause::Pause;
use super::standing::Standing;
use crate::call;

/// What is known about both sides of a line.
pub(crate) struct Lamps {
    account: Account,
    status: watch::Receiver<Status>,
    /// How the line stands with its PBX.
    pub(super) pbx: Standing,
    /// There is no PBX to be reached.
    alone: bool,
    /// A proxy stands between us and Telegram.
    proxied: bool,
}

impl Lamps {
    pub(crate) fn new(account: &Account, pbx: Standing, alone: bool, proxied: bool) -> Self {
        Self { account: account.clone(), status: account.status(), pbx, alone, proxied }
    }

    /// Waits until the account's status changes.
    pub(crate) async fn changed(&mut self) {
        if self.status.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Notes what keeps the line from connecting to its PBX; none when it has connected.
    pub(crate) fn cannot_connect(&mut self, why: Option<Said>) {
        self.pbx.cannot_connect(why);
    }

    /// Whether the PBX does not even answer OPTIONS.
    pub(crate) fn peer_is_silent(&self) -> bool {
        self.pbx.peer() == Some(false)
    }

    /// What the PBX is told about the line.
    pub(crate) fn availability(&self, stopping: bool) -> Availability {
        let cause = match &*self.status.borrow() {
            Status::Green { .. } if !stopping => return Availability::Up,
            Status::Green { .. } => Cause::Stopping,
            Status::Red { .. } | Status::Orange { .. } => Cause::LineDown,
        };
        Availability::Down { retry_after_s: None, reason: Some(call::reason(cause)) }
    }

    /// Whether nothing but a login helps.
    pub(crate) fn is_red(&self) -> bool {
        matches!(&*self.status.borrow(), Status::Red { .. })
    }

    /// Why the account cannot be asked anything now.
    pub(crate) fn account_problem(&self) -> Option<Refusal> {
        let (code, reason) = match &*self.status.borrow() {
            Status::Green { .. } => return None,
            Status::Orange { reason } => (RefusalCode::Telegram, reason.to_string()),
            Status::Red { reason } => (RefusalCode::NotAuthorized, reason.to_string()),
        };
        Some(Refusal { code, message: reason })
    }

    /// Writes both lamps, the account, its pause and the number of calls; true when something changed for whoever looks.
    pub(crate) fn paint(&self, status: &mut GatewayStatus, pause: &Pause, calls: u32, now_ms: u64) -> bool {
        let (lamp, reason) = match &*self.status.borrow() {
            Status::Green { .. } => {
                (Lamp::Green, pause.sentence().unwrap_or_else(|| connected(self.proxied)))
            }
            Status::Orange { reason } => (Lamp::Orange, Sentence::from(reason).clause()),
            Status::Red { reason } => (Lamp::Red, Sentence::from(reason).clause()),
        };
        let (sip_lamp, sip_reason) = if self.alone {
            (Lamp::Off, Said::new("no PBX in this mode", "в этом режиме АТС нет"))
        } else {
            self.pbx.light()
        };
        let telegram = status.telegram.turn(lamp, reason, now_ms);
        let sip = status.sip.turn(sip_lamp, sip_reason, now_ms);
        let account = self.account.me().and_then(|me| UserId::new(me.id).ok());
        let known = (account, pause.told(), calls);
        let changed = (status.account, status.pause, status.calls) != known;
        (status.account, status.pause, status.calls) = known;
        status.written_ms = now_ms;
        telegram || sip || changed
    }
}

/// What a green lamp says.
fn connected(proxied: bool) -> Said {
    if proxied {
        Said::new(
            "connected through the proxy; audio goes by Telegram's TCP relays alone, direct UDP is off",
            "на связи через прокси; звук идёт только через TCP-серверы Telegram, прямой UDP выключен",
        )
    } else {
        Said::new("connected", "на связи")
    }
}
