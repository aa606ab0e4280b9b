//! What is told about the lines: their lamps, and what is wrong with those that do not run.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tgtrunk_config::control::{LineInfo, StatusReport};
use tgtrunk_config::{GatewayStatus, Lamp, Line as LineSettings, Said};
use tokio::sync::watch;
use tokio::time::timeout;

use super::keeper::Condition;
use crate::clock;

/// A line as others see it.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) settings: LineSettings,
    pub(super) status: watch::Receiver<GatewayStatus>,
    pub(super) condition: watch::Receiver<Condition>,
}

impl Shown {
    /// Waits until it is known whether the line opens.
    pub(super) async fn settled(&mut self) -> Condition {
        let settled = self.condition.wait_for(|condition| *condition != Condition::Opening).await;
        settled.map_or(Condition::Open, |condition| condition.clone())
    }

    /// Why the line does not run.
    fn problem(&self) -> Option<Said> {
        let Condition::Failed(problem) = &*self.condition.borrow() else { return None };
        let phone = self.settings.phone.as_str();
        Some(if problem.en.contains(phone) {
            problem.clone()
        } else {
            problem.within(|en| format!("line {phone}: {en}"), |ru| format!("линия {phone}: {ru}"))
        })
    }

    pub(super) fn info(&self, bind: IpAddr) -> LineInfo {
        info(&self.settings, self.status.borrow().clone(), bind)
    }
}

/// A line that its owner switched off.
pub(super) fn off(settings: &LineSettings) -> GatewayStatus {
    let now_ms = clock::unix_ms();
    let mut status = GatewayStatus::waiting(settings.phone.clone(), std::process::id(), now_ms);
    let reason = Said::new("switched off", "выключена");
    status.telegram.turn(Lamp::Off, reason.clone(), now_ms);
    status.sip.turn(Lamp::Off, reason, now_ms);
    status
}

pub(super) fn info(settings: &LineSettings, status: GatewayStatus, bind: IpAddr) -> LineInfo {
    LineInfo {
        sip: SocketAddr::new(bind, settings.sip_port).to_string(),
        pbx: settings.pbx.to_string(),
        status,
    }
}

/// Adds lines to a report that has those that are switched off and the mistakes in files. Lines that are being opened
/// are waited for, but not longer than the limit.
pub(super) async fn complete(
    mut report: StatusReport,
    mut lines: Vec<Shown>,
    bind: IpAddr,
    limit: Duration,
) -> StatusReport {
    let all = async {
        for line in &mut lines {
            line.settled().await;
        }
    };
    timeout(limit, all).await.ok();
    report.lines.extend(lines.iter().map(|line| line.info(bind)));
    report.lines.sort_by(|one, other| one.status.line.cmp(&other.status.line));
    report.problems.extend(lines.iter().filter_map(Shown::problem));
    report
}
