//! What breaks gateways, thrown at a real one: each row throws so much of it, and an oracle judges what is left of the gateway
//! afterwards. `docs/torture.toml` has the rows with what was seen of them.
//!
//! A row takes an amount and a seed: the same two throw the same again. T9 alone does not: its paths bring their own dice.

mod anomalies;
mod bad_path;
mod bleed;
mod chance;
mod client_hello;
mod dialogs;
mod digest;
mod flood;
mod fraud;
mod guesses;
mod lossy;
mod media_junk;
mod mouth;
mod mutations;
mod oracle;
mod report;
mod rig;
mod sip_messages;
mod soak;
mod talks;
mod thrower;
mod thrown;
mod walk;

use std::time::Duration;

use anyhow::anyhow;
use tgtrunk_shell::caught::{Broke, caught_at_once};
use tokio::time::timeout;

pub use self::report::{Report, Told, table};
pub use self::soak::SOAK;
pub use self::thrown::add as add_thrown;
use crate::clock::now;

/// Failures of a row that are told word for word, and those that are kept for whoever looks at their words.
const TOLD: usize = 20;
const KEPT: usize = 10_000;

/// A row that can be run.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As everybody calls it: T1 and so on.
    pub test: &'static str,
    /// What is thrown.
    pub what: &'static str,
    /// What is to come of it, beside what the oracle wants of every row.
    pub expected: &'static str,
    /// What the amount counts.
    pub unit: &'static str,
    /// The amount of a whole run, of one among other tests, and of the one run of all that `docs/torture.json` is of.
    pub whole: u64,
    pub short: u64,
    pub here: u64,
}

/// What takes minutes, in the order in which it runs.
pub const ROWS: [Row; 12] = [
    Row {
        test: "T1",
        what: "every message of RFC 4475 and RFC 5118, over UDP and TCP",
        expected: "each gets the answer that its verdict names",
        unit: "messages",
        whole: 122,
        short: 122,
        here: 122,
    },
    Row {
        test: "T2",
        what: "INVITEs with an anomaly in one place",
        expected: "0 crashes, 0 hangs over 100 ms, OPTIONS answered behind each",
        unit: "INVITEs",
        whole: 24_000,
        short: 1_000,
        here: 24_000,
    },
    Row {
        test: "T3",
        what: "mutated SIP to a line that knows its PBX and to one that listens to everybody",
        expected: "0 panics; an answer where there is a way back and none where there is none; before a proof at most 1.5 bytes for one",
        unit: "messages",
        whole: 1_000_000,
        short: 10_000,
        here: 1_000_000,
    },
    Row {
        test: "T5",
        what: "malformed media from the very ends of a call",
        expected: "dropped, a line of log a second at most, what bears a wrong seal counted, nothing lost in the call or beside it",
        unit: "packets of each kind",
        whole: 100_000,
        short: 1_500,
        here: 100_000,
    },
    Row {
        test: "T6",
        what: "sound of strangers at every open port, before, while and after it learns",
        expected: "none of it passed on, none answered, counted as refused, everybody heard",
        unit: "packets at each port",
        whole: 3_000,
        short: 150,
        here: 3_000,
    },
    Row {
        test: "T7",
        what: "sound with the right source and numbers from another address",
        expected: "none of it passed on, none answered",
        unit: "packets",
        whole: 10_000,
        short: 2_000,
        here: 10_000,
    },
    Row {
        test: "T8",
        what: "ClientHellos from addresses that ICE has not validated while calls are set up",
        expected: "every call comes about, none is torn down",
        unit: "calls",
        whole: 100,
        short: 10,
        here: 100,
    },
    Row {
        test: "T9",
        what: "calls on eight bad paths, on both legs, on the way to the gateway; the paths have dice of their own, which no seed throws again",
        expected: "what is lost on the way is lost, and nothing more; nothing twice, no time of another number, no call dropped",
        unit: "seconds",
        whole: 600,
        short: 6,
        here: 120,
    },
    Row {
        test: "T11",
        what: "calls on a path that loses three of ten packets: CANCEL crossing 200, glare, no ACK, BYE twice",
        expected: "one final answer for each request, no call left",
        unit: "calls",
        whole: 10_000,
        short: 100,
        here: 5_000,
    },
    Row {
        test: "T13",
        what: "guessed passwords, proofs brought twice, challenges in realms that nobody knows, in calls of either side",
        expected: "0 right, 10 answered for each address, wrong users and wrong passwords alike in time, nothing proven to others",
        unit: "guesses",
        whole: 600_000,
        short: 1_200,
        here: 300_000,
    },
    Row {
        test: "T14",
        what: "calls at somebody else's expense, by strangers and by a PBX that may not",
        expected: "Telegram is never asked; limits of calls at once, in a minute, in an hour and of minutes in a day hold to the call",
        unit: "variants",
        whole: 1_000,
        short: 300,
        here: 1_000,
    },
    Row {
        test: "T26",
        what: "the call's two legs, timers and failures, walked at random",
        expected: "no leg outlives its partner, no sound before an answer, every call ends once",
        unit: "steps",
        whole: 10_000_000,
        short: 100_000,
        here: 10_000_000,
    },
];

impl Row {
    /// The variable by which `make` is told to run it.
    fn command(self) -> &'static str {
        if SOAK.iter().any(|row| row.test == self.test) { "SOAK" } else { "TORTURE" }
    }
}

/// How much of a row is to be run, and by which dice.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub amount: u64,
    pub seed: u64,
}

/// What a row came to so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// How much was thrown, counted as the row's amount is.
    pub amount: u64,
    /// Mutated inputs that went over sockets.
    pub inputs: u64,
    /// What was measured, in words.
    pub figure: String,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    /// Notes what went wrong; of very many only the first are kept in words.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push(what.into());
        }
    }

    /// Notes what went wrong unless this holds.
    pub fn hold(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what());
        }
    }

    /// A row that threw less than it was to throw has failed, whatever became of that.
    fn reaches(&mut self, wanted: u64, unit: &str) {
        let amount = self.amount;
        self.hold(amount >= wanted, || format!("only {amount} of {wanted} {unit}"));
    }

    /// Adds something to the figure.
    pub fn note(&mut self, words: &str) {
        if !self.figure.is_empty() {
            self.figure.push_str("; ");
        }
        self.figure.push_str(words);
    }
}

/// A row that was run.
#[derive(Debug)]
pub struct Done {
    pub row: Row,
    pub plan: Plan,
    pub amount: u64,
    /// Mutated inputs that went over sockets.
    pub inputs: u64,
    pub figure: String,
    /// How much failed, and the first failures in words.
    pub failed: u64,
    pub failures: Vec<String>,
    pub took: Duration,
}

/// The row of this name.
pub fn row(test: &str) -> Option<Row> {
    ROWS.into_iter().chain(SOAK).find(|row| row.test == test)
}

/// Runs a row. What keeps it from being run is a failure too: an error, a panic, or more time than there is.
pub async fn run(row: Row, plan: Plan, limit: Option<Duration>) -> Done {
    let began = now();
    let mut tally = caught(thrown(row, plan), limit).await.unwrap_or_else(|error| {
        let mut tally = Tally::default();
        tally.fail(format!("could not be run to its end: {error:#}"));
        tally
    });
    tally.reaches(plan.amount, row.unit);
    let Tally { amount, inputs, figure, failed, mut failures } = tally;
    failures.truncate(TOLD);
    Done { row, plan, amount, inputs, figure, failed, failures, took: now() - began }
}

async fn thrown(row: Row, plan: Plan) -> anyhow::Result<Tally> {
    match row.test {
        "T1" => sip_messages::run(plan).await,
        "T2" => anomalies::run(plan).await,
        "T3" => mutations::run(plan).await,
        "T5" => media_junk::run(plan).await,
        "T6" => bleed::strangers(plan).await,
        "T7" => bleed::knowing(plan).await,
        "T8" => client_hello::run(plan).await,
        "T9" => bad_path::run(plan).await,
        "T11" => dialogs::run(plan).await,
        "T13" => guesses::run(plan).await,
        "T14" => fraud::run(plan).await,
        "T26" => walk::run(plan).await,
        _ => soak::run(row, plan).await,
    }
}

/// What comes of something that may panic, or take too long: other rows are run after it.
async fn caught<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    limit: Option<Duration>,
) -> anyhow::Result<T> {
    let panicked = |broke: Broke| anyhow!("a panic: {}", broke.words());
    let mut work = Box::pin(tgtrunk_shell::caught::caught(work));
    let done = match limit {
        Some(limit) => timeout(limit, work.as_mut()).await.map_err(|_| anyhow!("not within {limit:?}")),
        None => Ok(work.as_mut().await),
    };
    // What it holds may be judged where it is dropped.
    caught_at_once(|| drop(work)).map_err(panicked)?;
    done?.map_err(panicked)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_panics_or_takes_too_long_has_failed_and_no_more() {
        struct Judged;
        impl Drop for Judged {
            fn drop(&mut self) {
                assert!(std::thread::panicking(), "not judged");
            }
        }
        let told = async |work: std::pin::Pin<Box<dyn Future<Output = anyhow::Result<u8>>>>| {
            caught(work, Some(Duration::from_millis(50))).await.map_err(|error| error.to_string())
        };
        assert_eq!(told(Box::pin(async { Ok(1) })).await, Ok(1));
        assert_eq!(told(Box::pin(async { panic!("of {}", 2) })).await, Err("a panic: of 2".to_owned()));
        let endless = told(Box::pin(std::future::pending())).await;
        assert_eq!(endless, Err("not within 50ms".to_owned()));
        let judged = told(Box::pin(async {
            let _judged = Judged;
            std::future::pending().await
        }));
        assert_eq!(judged.await, Err("a panic: not judged".to_owned()));
    }

    #[test]
    fn who_throws_less_than_was_wanted_fails() {
        let mut tally = Tally { amount: 7, ..Tally::default() };
        tally.reaches(7, "kills");
        assert_eq!(tally.failed, 0);
        tally.reaches(8, "kills");
        assert_eq!(tally.failures, ["only 7 of 8 kills"]);
    }
}
