//! What a gateway has to live through: its own death, silence, far ends that go away, want of room. Rows as those beside them,
//! which take longer.

mod clocks;
mod cocktail;
mod curves;
mod databases;
mod drain;
mod kills;
mod kills_scene;
mod overload;
mod pbx_gone;
mod preload;
mod scarce;
mod silence;
mod steady;
mod telegram_gone;
mod week;
mod week_traffic;

use super::{Plan, Row, Tally};

/// All rows, in the order in which they run.
pub const SOAK: [Row; 13] = [
    Row {
        test: "T10",
        what: "one side falls silent for a while or for good, both do, a call is held, a device loses power",
        expected: "a while: nothing; the limit of silence ends both legs within a second; muted and held calls go on",
        unit: "seconds of the limit",
        whole: 30,
        short: 6,
        here: 30,
    },
    Row {
        test: "T12",
        what: "ten times the new calls that the gateway takes, also while it has all that it takes, and all the junk that a core sends",
        expected: "99 of 100 packets of those who talk within 20 ms, at most 0.1 % lost; the rest gets 503 within 100 ms",
        unit: "seconds",
        whole: 600,
        short: 4,
        here: 300,
    },
    Row {
        test: "T15",
        what: "Telegram resets, stalls and refuses connections, wants no calls, takes the key away, in the middle of calls",
        expected: "no sound is lost, the line calls again within 5 s, hang-ups meanwhile are told then, waits are kept",
        unit: "troubles",
        whole: 100,
        short: 4,
        here: 30,
    },
    Row {
        test: "T16",
        what: "the PBX starts anew in the middle of calls, is gone for long, moves to another address, would forget the line amid calls",
        expected: "people are released within a second of the limit of silence, the line is registered again within 5 s and before it is forgotten, no storm",
        unit: "troubles",
        whole: 50,
        short: 3,
        here: 8,
    },
    Row {
        test: "T17",
        what: "kill -9 at random amid calls that are set up, talk and end",
        expected: "ready within 3 s, both sides released within 5 s, one record for each call, the database whole",
        unit: "kills",
        whole: 1_000,
        short: 5,
        here: 400,
    },
    Row {
        test: "T18",
        what: "the disk kills, tears, forgets and refuses at the n-th write or fsync of the database, amid calls",
        expected: "the database whole, whatever was told of it there",
        unit: "points",
        whole: 500,
        short: 5,
        here: 60,
    },
    Row {
        test: "T19",
        what: "the disk of everything, its log too, is full, takes no more files, turns read-only, amid calls",
        expected: "calls go on and come about, the program says what it lacks, nothing is cut off, well again without a restart",
        unit: "seconds of each",
        whole: 1_800,
        short: 4,
        here: 30,
    },
    Row {
        test: "T20",
        what: "the clock steps by hours and days, leaps and drifts, the machine sleeps, amid calls",
        expected: "no call is dropped, no sound lost, calls both ways within 5 s of each step, no storm of messages",
        unit: "steps",
        whole: 11,
        short: 4,
        here: 11,
    },
    Row {
        test: "T21",
        what: "as many descriptors as chance leaves",
        expected: "new calls come about or get 503 or busy, running ones lose nothing",
        unit: "points",
        whole: 100,
        short: 3,
        here: 24,
    },
    Row {
        test: "T22",
        what: "calls come and go for long",
        expected: "memory, descriptors and threads flat, no call fails",
        unit: "minutes",
        whole: 30,
        short: 1,
        here: 3,
    },
    Row {
        test: "T22w",
        what: "a week of a busy line, whose clock runs ahead between its calls",
        expected: "memory, descriptors, threads, tasks and files flat, what is old is forgotten, no call fails",
        unit: "hours",
        whole: 168,
        short: 3,
        here: 168,
    },
    Row {
        test: "T27",
        what: "the gateway is started anew with live calls",
        expected: "new ones get 503, running ones end by themselves or with the grace, calls again within 2 s",
        unit: "restarts",
        whole: 50,
        short: 3,
        here: 50,
    },
    Row {
        test: "T28",
        what: "kills, bad paths, Telegram and the PBX away and crowds of calls, at random, amid others",
        expected: "every call between two troubles comes about, each call has its record",
        unit: "troubles",
        whole: 600,
        short: 4,
        here: 20,
    },
];

/// Runs a row.
pub(super) async fn run(row: Row, plan: Plan) -> anyhow::Result<Tally> {
    match row.test {
        "T10" => silence::run(plan).await,
        "T12" => overload::run(plan).await,
        "T15" => telegram_gone::run(plan).await,
        "T16" => pbx_gone::run(plan).await,
        "T17" => kills::run(plan).await,
        "T18" => databases::run(plan).await,
        "T19" => scarce::disk(plan).await,
        "T20" => clocks::run(plan).await,
        "T21" => scarce::descriptors(plan).await,
        "T22" => steady::run(plan).await,
        "T22w" => week::run(plan).await,
        "T27" => drain::run(plan).await,
        "T28" => cocktail::run(plan).await,
        other => Err(anyhow::anyhow!("nobody runs {other}")),
    }
}
