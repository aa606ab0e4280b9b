//! What a line lets others know of itself.

use tgtrunk_config::control::Event as ControlEvent;
use tokio::runtime::Handle;

use super::Line;
use crate::{clock, metrics};

impl Line {
    /// Publishes the line's lamps; whoever looks without being told finds when they were last true.
    pub(super) fn show(&mut self) {
        let calls = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        if let Some(trunk) = &mut self.trunk {
            trunk.endpoint.set_availability(self.lamps.availability(self.stopping.is_some()));
            let counted = trunk.counted();
            metrics::counted(self.settings.sip_port, std::mem::replace(&mut trunk.told, counted), counted);
        }
        let mut changed = false;
        self.status.send_if_modified(|status| {
            changed = self.lamps.paint(status, &self.shared.pause, calls, clock::unix_ms());
            let strangers = Some(self.shared.strangers.budget());
            changed |= std::mem::replace(&mut status.strangers, strangers) != strangers;
            changed
        });
        metrics::line(self.settings.sip_port, &self.status.borrow());
        metrics::tasks(Handle::current().metrics().num_alive_tasks() + self.house.plane.tasks());
        if changed {
            self.house.events.send(ControlEvent::Line(self.status.borrow().clone())).ok();
        }
    }
}
