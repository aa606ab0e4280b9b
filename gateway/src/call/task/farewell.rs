//! The end of one call: what its task says last, and waits for.

use std::time::Duration;

use tgtrunk_bridge::Record;
use tokio::time::timeout_at;

use super::{LegEvent, Said, Task, TrunkLeg};
use crate::call::quality;
use crate::clock;

/// How long the end of a call waits to be told for the id of one that was being requested; a line that ends has 2 s.
const ID_LIMIT: Duration = Duration::from_secs(1);

impl Task {
    /// Says what is left to be said, and waits until that is heard or given up.
    pub(super) async fn finish(mut self: Box<Self>, record: Record) {
        if let Some(recording) = self.tape.end() {
            self.said.send((self.key, Said::Recorded(recording))).await.ok();
        }
        let heard = self.quality();
        let report = self.relay.report();
        tracing::info!(
            cause = ?record.cause,
            by = ?record.ended_by,
            talked_ms = record.talked.as_millis(),
            lasted_ms = record.lasted.as_millis(),
            emoji = self.telegram.emoji().unwrap_or("-"),
            to_trunk_ms = report.to_trunk.audio.as_millis(),
            to_telegram_ms = report.to_telegram.audio.as_millis(),
            telegram = quality::sentence(&heard.telegram),
            pbx = quality::sentence(&heard.pbx),
            "call ended"
        );
        self.say_bye(clock::now());
        let until = (clock::now() + ID_LIMIT).into();
        while self.telegram.awaits_id() {
            let Ok(Some(step)) = timeout_at(until, self.telegram.any_step()).await else { break };
            self.telegram.handle_step(clock::now(), step);
            self.say_last().await;
        }
        self.said.send((self.key, Said::Ended(record, Box::new(heard)))).await.ok();
        self.telegram.close_media();
        drop(std::mem::replace(&mut self.trunk, TrunkLeg::Echo));
        // What is still on its way to Telegram gets there, or is given up in time.
        while !self.telegram.is_settled() {
            if let Some(step) = self.telegram.any_step().await {
                self.telegram.handle_step(clock::now(), step);
            }
            self.say_last().await;
        }
    }

    /// Tells what is worth knowing of a Telegram leg though its call is over.
    async fn say_last(&mut self) {
        while let Some(event) = self.telegram.poll_event() {
            let word = match event {
                LegEvent::Known(call) => Said::Known(call),
                LegEvent::Doubtful(callee) => Said::Doubtful(callee),
                LegEvent::Peer(_)
                | LegEvent::Ringing
                | LegEvent::Accepted
                | LegEvent::Connected
                | LegEvent::Lost
                | LegEvent::Muted(_)
                | LegEvent::Over(_)
                | LegEvent::Released => continue,
            };
            self.said.send((self.key, word)).await.ok();
        }
    }
}
