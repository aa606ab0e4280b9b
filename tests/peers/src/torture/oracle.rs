//! What holds after every row, whatever was thrown: the process is the same one and alive, nothing panicked, no planted secret
//! is to be read anywhere, a fresh call is heard both ways within five seconds, memory and descriptors are back where they
//! were, and each call ended once and has one record.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grammers_tl_types::functions::phone as f;
use tgtrunk_config::CallId;
use tgtrunk_config::control::CallRecord;
use tgtrunk_test_telegram::canary;
use tokio::time::sleep;

use super::Tally;
use super::rig::{LIMIT, Rig};
use crate::clock::now;
use crate::load::machine;
use crate::prometheus;
use crate::witness::{Seen, is_over, records};

/// How long memory, descriptors and calls may take to be back: transactions are kept for 32 s (RFC 3261 section 17).
const BACK_LIMIT: Duration = Duration::from_secs(60);
/// How much more than before is still the same.
const SHARE: f64 = 0.05;
/// The same where a row takes less than this, and what it threw is remembered for as long (RFC 3261 section 17): the gateway has
/// not come to the point yet where it forgets as much as it learns.
const SHORT: Duration = Duration::from_secs(64);
const SHORT_SHARE: f64 = 0.5;
/// So many descriptors are none too many: connections to Telegram come and go.
const DESCRIPTORS: usize = 3;
/// And so many kB: memory is had by pages, and threads that slept touch theirs.
const RESIDENT_KB: u64 = 2_048;
/// Calls whose agreement on a key is looked for in outputs, and how many bytes of it: a multiple of three, for base64.
const AGREEMENTS: usize = 20;
const AGREED_BYTES: usize = 12;
/// How often the oracle looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Footprint {
    pub(super) resident_kb: u64,
    pub(super) descriptors: usize,
}

impl Footprint {
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { resident_kb: machine::resident_kb(pid)?, descriptors: machine::descriptors(pid)? })
    }

    /// Whether this is as much as before, or less.
    pub(super) fn is_level(&self, before: &Self) -> bool {
        self.is_back(before, SHARE)
    }

    /// Whether this is as much as before and this share more, or less.
    fn is_back(&self, before: &Self, share: f64) -> bool {
        let memory = (before.resident_kb as f64 * share) as u64;
        let files = (before.descriptors as f64 * SHARE) as usize;
        self.resident_kb <= before.resident_kb + memory.max(RESIDENT_KB)
            && self.descriptors <= before.descriptors + files.max(DESCRIPTORS)
    }
}

impl Rig {
    /// Judges what is left of the gateway.
    pub(super) async fn judge(&mut self, tally: &mut Tally) {
        for (what, judged) in [
            ("alive", self.is_alive()),
            ("calls", self.calls_end().await),
            ("fresh call", self.fresh_calls(tally).await),
            ("footprint", self.footprint_is_back(tally, "memory").await),
            ("records", self.each_call_has_one_record(tally).await),
            ("output", self.outputs_are_clean().await),
        ] {
            if let Err(error) = judged {
                tally.fail(format!("{what}: {error:#}"));
            }
        }
    }

    fn is_alive(&self) -> anyhow::Result<()> {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).context("the gateway is gone")?;
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| &rest[..1]);
        anyhow::ensure!(!["Z", "X", "T"].contains(&state), "the gateway's state is {state:?}");
        Ok(())
    }

    /// No call goes on.
    pub(super) async fn calls_end(&self) -> anyhow::Result<()> {
        let mut control = self.gateway.control().await?;
        let until = now() + BACK_LIMIT;
        loop {
            let calls = control.calls().await?;
            if calls.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(now() < until, "{} calls never end: {:?}", calls.len(), calls.first());
            sleep(LOOK).await;
        }
    }

    async fn fresh_calls(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let mut slowest = Duration::ZERO;
        for post in 0..self.posts.len() {
            slowest = slowest.max(self.calls_both_ways(post).await?);
        }
        tally.note(&format!("fresh call heard after {} ms", slowest.as_millis()));
        Ok(())
    }

    pub(super) async fn footprint_is_back(&self, tally: &mut Tally, whose: &str) -> anyhow::Result<()> {
        let until = now() + BACK_LIMIT;
        let share = if self.remembers && now() - self.began < SHORT { SHORT_SHARE } else { SHARE };
        loop {
            let after = Footprint::of(self.pid)?;
            if after.is_back(&self.before, share) {
                let share = after.resident_kb as f64 / self.before.resident_kb as f64 * 100.0 - 100.0;
                tally.note(&format!(
                    "{whose} {share:+.1} %, descriptors {} after {}",
                    after.descriptors, self.before.descriptors
                ));
                return Ok(());
            }
            anyhow::ensure!(now() < until, "before {:?}, after {after:?}", self.before);
            sleep(LOOK).await;
        }
    }

    /// Memory is what it was when the row was half done, though as much again was thrown since.
    pub(super) fn memory_is_level(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let after = Footprint { descriptors: 0, ..Footprint::of(self.pid)? };
        tally.hold(after.is_back(&self.before, SHARE), || {
            format!("memory: {} kB half way, {} kB now", self.before.resident_kb, after.resident_kb)
        });
        Ok(())
    }

    /// Each call that was heard of has ended once, and each has one record, which is an ended one.
    async fn each_call_has_one_record(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let missed = self.witness.seen().missed;
        if missed > 0 {
            tally.note(&format!("{missed} events came too fast: how often each call ended is not judged"));
        }
        let mut control = self.gateway.control().await?;
        let until = now() + LIMIT;
        loop {
            let told = records(&mut control).await?;
            match one_each(&self.witness.seen(), &told) {
                Ok(()) => return Ok(()),
                Err(error) if now() > until => return Err(error),
                Err(_) => {}
            }
            sleep(LOOK).await;
        }
    }

    /// The log tells of no panic, and no output of a planted secret.
    async fn outputs_are_clean(&self) -> anyhow::Result<()> {
        let log = std::fs::read(&self.stage.installation.log)?;
        let log = String::from_utf8_lossy(&log);
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            anyhow::bail!("a panic: {line}");
        }
        let mut outputs = vec![("the log".to_owned(), log.into_owned())];
        outputs.push(("the page of figures".to_owned(), prometheus::page(self.metrics).await?));
        for arguments in
            [&["status"][..], &["status", "--json"], &["calls"], &["calls", "--json"], &["check"]]
        {
            let (_, said, complained) = self.stage.installation.ask(arguments, LIMIT).await?;
            outputs.push((arguments.join(" "), said + &complained));
        }
        for file in ["environ", "cmdline"] {
            let path = format!("/proc/{}/{file}", self.pid);
            let words = std::fs::read(&path).with_context(|| path.clone())?;
            outputs.push((path, String::from_utf8_lossy(&words).replace('\0', "\n")));
        }
        let search = canary::Search::default();
        let agreements = self.agreements();
        anyhow::ensure!(!agreements.is_empty(), "no call agreed on a key: nothing to look for");
        for (what, output) in &outputs {
            if let Some(found) = search.all(output).first() {
                anyhow::bail!("{what} tells {}, {}", found.what, found.spelled);
            }
            if let Some((told, spelled)) = told_of(&agreements, output) {
                anyhow::bail!("{what} tells {told} of a call, {spelled}");
            }
        }
        Ok(())
    }

    /// What the gateway agreed on the keys of its last calls by.
    fn agreements(&self) -> Vec<(&'static str, Vec<u8>)> {
        let journal = self.stage.world().journal(0);
        let exchanged = journal.iter().rev().filter_map(|entry| {
            let confirmed = entry.request::<f::ConfirmCall>().map(|request| ("g_a", request.g_a));
            confirmed.or_else(|| Some(("g_b", entry.request::<f::AcceptCall>()?.g_b)))
        });
        exchanged.take(AGREEMENTS).collect()
    }
}

/// The first of these values whose beginning is to be read, and how it is spelled.
fn told_of(values: &[(&'static str, Vec<u8>)], output: &str) -> Option<(&'static str, &'static str)> {
    values.iter().find_map(|(what, value)| {
        let start = value.get(..AGREED_BYTES)?;
        let numbers: Vec<String> = start.iter().map(u8::to_string).collect();
        let spelled = [
            ("in hexadecimal digits", hex::encode(start)),
            ("in upper hexadecimal digits", hex::encode_upper(start)),
            ("in base64", STANDARD.encode(start)),
            ("in decimal numbers", numbers.join(", ")),
        ];
        let found = spelled.iter().find(|(_, text)| output.contains(text.as_str()))?;
        Some((*what, found.0))
    })
}

fn one_each(seen: &Seen, told: &[CallRecord]) -> anyhow::Result<()> {
    let mut rows: BTreeMap<CallId, u32> = BTreeMap::new();
    for record in told {
        *rows.entry(record.call).or_default() += 1;
        anyhow::ensure!(is_over(record), "a record does not end: {record:?}");
    }
    if let Some((call, count)) = rows.iter().find(|(_, count)| **count != 1) {
        anyhow::bail!("{count} records of call {call}");
    }
    // Who hears only of a part of what is told knows a part of the ends.
    if seen.missed == 0 {
        if let Some((call, ends)) = seen.ends.iter().find(|(_, ends)| **ends != 1) {
            anyhow::bail!("call {call} ended {ends} times");
        }
        let is_told = |call: &&CallId| seen.ends.contains_key(call) || seen.earlier.contains(call);
        if let Some(call) = rows.keys().find(|call| !is_told(call)) {
            anyhow::bail!("a record of call {call}, of which nobody was told");
        }
    }
    if let Some(call) = seen.ends.keys().find(|call| !rows.contains_key(call)) {
        anyhow::bail!("no record of call {call}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(call: &str, over: bool) -> CallRecord {
        let mut record = serde_json::json!({
            "call": call, "line": "+79060000001", "direction": "pbx-to-telegram", "peer": {}, "started_ms": 1,
            "result": if over { "missed" } else { "running" },
        });
        if over {
            record["ended_ms"] = 2.into();
            record["end"] = serde_json::json!({ "by": "pbx", "cause": "given up" });
        }
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn a_call_that_ends_twice_or_never_or_has_no_record_or_two_is_seen() {
        let seen = |ends: &[(u64, u32)]| Seen {
            ends: ends.iter().map(|(call, ends)| (CallId(*call), *ends)).collect(),
            ..Seen::default()
        };
        let (one, two) = ("0000000000000001", "0000000000000002");
        one_each(&seen(&[(1, 1)]), &[record(one, true)]).unwrap();
        for (ends, told, words) in [
            (&[(1, 2)][..], vec![record(one, true)], "ended 2 times"),
            (&[(1, 0)], vec![record(one, true)], "ended 0 times"),
            (&[(1, 1)], vec![], "no record of call"),
            (&[(1, 1)], vec![record(one, true), record(one, true)], "2 records"),
            (&[(1, 1)], vec![record(one, false)], "does not end"),
            (&[(1, 1)], vec![record(one, true), record(two, true)], "nobody was told"),
        ] {
            let error = one_each(&seen(ends), &told).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn what_a_key_was_agreed_by_is_found_in_every_spelling() {
        let value: Vec<u8> = (100..=255).collect();
        let values = [("g_a", vec![7; 256]), ("g_b", value.clone())];
        for (output, spelled) in [
            (hex::encode(&value), "in hexadecimal digits"),
            (hex::encode_upper(&value), "in upper hexadecimal digits"),
            (STANDARD.encode(&value), "in base64"),
            (format!("{value:?}"), "in decimal numbers"),
        ] {
            assert_eq!(told_of(&values, &format!("a\nb {output}")), Some(("g_b", spelled)), "{output}");
        }
        assert_eq!(told_of(&values, "g_b of 256 bytes"), None);
    }

    #[test]
    fn what_a_process_keeps_is_seen() {
        let before = Footprint { resident_kb: 100_000, descriptors: 100 };
        assert!(Footprint { resident_kb: 105_000, descriptors: 105 }.is_back(&before, SHARE));
        assert!(!Footprint { resident_kb: 105_100, ..before }.is_back(&before, SHARE));
        assert!(!Footprint { descriptors: 106, ..before }.is_back(&before, SHARE));
    }
}
