//! People who answer at once, and the line from which SIPp calls them.

use std::time::Duration;

use tgtrunk_test_telegram::NewUser;

use crate::light_user::{self, LightUser};
use crate::player::circle;
use crate::ports;
use crate::sipp::{Outcome, Plan, Sipp};
use crate::stage::{self, Line, Stage};
use crate::wire_pbx::{self, WirePbx};

const LIMIT: Duration = Duration::from_secs(60);

/// They are there until it is dropped.
pub struct Callees {
    pub line: Line,
    /// Their phone numbers.
    pub people: Vec<String>,
    _pbx: WirePbx,
    _users: Vec<LightUser>,
}

impl Callees {
    /// So many people, and the line; the gateway is still to be run with it.
    ///
    /// # Errors
    /// When the stage has no room for them.
    pub async fn settle(stage: &Stage, count: usize) -> anyhow::Result<Self> {
        let line = stage.line("+79060009001")?;
        let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(440)?).await?;
        // How many a second there are is for whoever calls to say.
        stage.open(&line, pbx.sip, stage::draft(&line)?.set("max_new_calls_per_s", 1_000)).await?;
        let plays = circle(880, 60)?;
        let (mut people, mut users) = (Vec::new(), Vec::new());
        for number in 0..count {
            let phone = format!("+7916400{number:04}");
            let options = light_user::Options::playing(plays.clone()).muted();
            users.push(stage.person(NewUser::new(&phone, "Light"), options)?);
            people.push(phone);
        }
        Ok(Self { line, people, _pbx: pbx, _users: users })
    }

    /// Has SIPp call them, `per_second` and `at_once` at most, who hangs up after `talk`.
    ///
    /// # Errors
    /// When SIPp does not end in time.
    pub async fn call(
        &self,
        calls: u32,
        per_second: u32,
        at_once: u32,
        talk: Duration,
    ) -> anyhow::Result<Outcome> {
        let plan = Plan {
            scenario: "setups.xml",
            line: Some(self.line.sip),
            port: ports::free()?,
            calls,
            per_second,
            at_once,
            talk,
            people: self.people.clone(),
            limit: LIMIT,
        };
        Sipp::start(&plan)?.finished().await
    }
}
