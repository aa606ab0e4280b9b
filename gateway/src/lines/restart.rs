//! `restart_line`: a line is closed and opened again, whatever holds it up.

use std::time::Duration;

use tgtrunk_config::Phone;
use tgtrunk_config::control::{Answer, Refusal, RefusalCode};
use tokio::time::timeout;

use super::keeper::Condition;
use super::{Done, Lines, Reply, TRY, unknown};

impl Lines {
    /// Closes a line and opens it again; its calls end. The answer comes when it is known whether it opens.
    pub(super) fn restart(&mut self, phone: &Phone, reply: Reply) {
        let Some(kept) = self.kept.remove(phone) else {
            let refusal = match self.off.get(phone) {
                Some(_) => Refusal {
                    code: RefusalCode::BadRequest,
                    message: format!("the line {phone} is switched off: set enabled = true in its line.toml"),
                },
                None => unknown(phone),
            };
            reply.send(Err(refusal)).ok();
            return;
        };
        let settings = kept.shown.settings.clone();
        self.work.spawn(async move {
            kept.close(Duration::ZERO).await;
            Done::Told
        });
        // Its keeper waits at the door until the former one is gone.
        let mut shown = self.begin(settings);
        self.work.spawn(async move {
            let settled = timeout(TRY, shown.settled()).await.unwrap_or(Condition::Opening);
            let answer = match settled {
                Condition::Open | Condition::Opening => Ok(Answer::Done),
                Condition::Failed(problem) => {
                    Err(Refusal { code: RefusalCode::Internal, message: problem.en })
                }
            };
            reply.send(answer).ok();
            Done::Told
        });
    }
}
