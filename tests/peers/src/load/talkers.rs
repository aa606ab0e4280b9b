//! A line whose calls talk through ends of a generator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_test_telegram::NewUser;
use tokio::task::JoinSet;

use super::ends::Ends;
use crate::codec::Codec;
use crate::light_user::{self, Identity, LightUser, Reason};
use crate::pbx;
use crate::player::circle;
use crate::stage::{self, Line, Stage};

const LIMIT: Duration = Duration::from_secs(60);
/// Calls that are set up at once.
const TOGETHER: usize = 4;

/// They are there until it is dropped.
pub struct Talkers {
    pub line: Line,
    /// Of Telegram's ends, where OpenSSL agrees on their keys.
    openssl: Option<Arc<Identity>>,
    ends: Ends,
    /// With their calls.
    users: Vec<(LightUser, i64)>,
    _phone: pbx::Phone,
}

impl Talkers {
    /// The line with its PBX, and nobody who calls yet; the gateway is still to be run with it.
    ///
    /// # Errors
    /// When the stage has no room for them.
    pub async fn settle(
        stage: &Stage,
        phone: &str,
        ends: &Ends,
        codec: Codec,
        most: usize,
    ) -> anyhow::Result<Self> {
        let line = stage.line(phone)?;
        let options =
            pbx::Options { ends: Some(ends.clone()), codec, ..pbx::Options::playing(circle(440, 20)?) };
        let phone = pbx::Phone::switch_on(line.sip, options).await?;
        // They talk while they are measured, and are silent in between.
        let draft = stage::draft(&line)?.set("max_calls", most as i64).set("media_timeout_s", 3600);
        stage.open(&line, phone.sip, draft).await?;
        Ok(Self { line, openssl: None, ends: ends.clone(), users: Vec::new(), _phone: phone })
    }

    /// The same where OpenSSL agrees on keys.
    #[must_use]
    pub fn by(self, openssl: Option<Arc<Identity>>) -> Self {
        Self { openssl, ..self }
    }

    /// Adds calls until there are so many.
    ///
    /// # Errors
    /// When one is not connected in time.
    pub async fn grow(&mut self, stage: &Stage, calls: usize) -> anyhow::Result<()> {
        let plays = circle(880, 20)?;
        let mut under_way = JoinSet::new();
        while self.users.len() + under_way.len() < calls || !under_way.is_empty() {
            if under_way.len() < TOGETHER && self.users.len() + under_way.len() < calls {
                let number = self.users.len() + under_way.len();
                let options = light_user::Options {
                    ends: Some(self.ends.clone()),
                    openssl: self.openssl.clone(),
                    ..light_user::Options::playing(plays.clone())
                };
                // The line's last digits, and their own.
                let phone = format!("+7916{}{number:04}", &self.line.phone[self.line.phone.len() - 3..]);
                let mut user = stage.person(NewUser::new(&phone, "Caller"), options)?;
                let company = self.line.account;
                under_way.spawn(async move {
                    let call = user.call(company).await?;
                    user.connected(LIMIT).await?;
                    anyhow::Ok((user, call))
                });
            } else {
                self.users.push(under_way.join_next().await.context("a call under way")???);
            }
        }
        Ok(())
    }

    /// All of them hang up.
    pub async fn hang_up(&self) {
        for (user, call) in &self.users {
            user.hang_up(*call, Reason::Hangup).await;
        }
    }
}
