//! T19 and T21: a disk that is full, takes no more files or turns read-only, and descriptors that run out. Calls go on, what
//! is written later is not lost, new calls are refused only where they cannot be had, the program says what it lacks, and all is
//! well again without a restart.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use super::preload::Preload;
use crate::clock::now;
use crate::database;
use crate::light_user::{Answering, Reason};
use crate::load::machine;
use crate::small_disk::SmallDisk;
use crate::torture::chance::Chance;
use crate::torture::rig::{Ground, LIMIT, Rig, by_address, phone_of};
use crate::torture::talks::{Balance, Talk, end_all};
use crate::torture::{Plan, Tally};

/// Calls that go on.
const CALLS: usize = 20;
const FEW_CALLS: usize = 4;
/// From so many seconds on it is a whole run.
const WHOLE_S: u64 = 30;
const DISK_MIB: u32 = 48;
const DISK_FILES: u32 = 400;
/// How soon the program says what it lacks, and that it lacks nothing any more.
const SOON: Duration = Duration::from_secs(15);
/// Rows that a disk would not take are tried again so often.
const OWED: Duration = Duration::from_secs(22);
/// Beyond what is open: the gateway keeps 64 for itself, and a call takes some.
const MORE_FILES: usize = 110;
/// After so long the gateway has counted its descriptors.
const COUNTED: Duration = Duration::from_millis(2_300);
const ENOUGH_FILES: usize = 4_096;
/// What takes all of a disk.
const ALL: &str = "all";
const CROWD: &str = "crowd";
const LOOK: Duration = Duration::from_millis(100);

const SOURCE: &str = include_str!("read_only.c");

/// Which of its resources a disk lacks.
#[derive(Debug, Clone, Copy)]
enum Lack {
    Room,
    Files,
    /// It lets nobody write, whatever is open.
    Writing,
}

pub(super) async fn disk(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let disk = SmallDisk::mount_for(DISK_MIB, DISK_FILES)?;
    let switch = Preload::build(SOURCE)?;
    let value = format!("{}:{}", disk.path().display(), switch.told.display());
    let environment = switch.environment("TGTRUNK_READ_ONLY", value);
    let ground = Ground { folder: Some(disk.path().to_owned()), environment, ..Ground::default() };
    let mut rig = Rig::open_upon(ground, &[by_address]).await?;
    let calls = if plan.amount >= WHOLE_S { CALLS } else { FEW_CALLS };
    let talks = begin(&rig, calls).await?;
    let balances: Vec<_> = talks.iter().map(Balance::of).collect();
    let lasts = Duration::from_secs(plan.amount);
    let mut slowest = [Duration::ZERO; 2];
    for lack in [Lack::Room, Lack::Files, Lack::Writing] {
        let lacked = lacks(&mut rig, (&disk, &switch), lack, lasts, &mut slowest).await;
        if let Err(error) = lacked {
            tally.fail(format!("no {lack:?}: {error:#}"));
            restore(&disk, &switch)?;
        }
        for (balance, talk) in balances.iter().zip(&talks) {
            balance.judge(talk, &mut tally, &format!("no {lack:?}"));
        }
    }
    end_all(talks).await?;
    sleep(OWED).await;
    tally.amount = plan.amount;
    tally.note(&format!(
        "{calls} calls go on, others come about meanwhile; said within {} ms, well again within {} ms",
        slowest[0].as_millis(),
        slowest[1].as_millis()
    ));
    rig.kill().await?;
    let file = rig.database();
    let said = database::integrity(&file)?;
    tally.hold(said == "ok", || format!("the database: {said}"));
    rig.start().await?;
    rig.watch().await?;
    rig.database_grew()?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

async fn begin(rig: &Rig, calls: usize) -> anyhow::Result<Vec<Talk>> {
    let mut talks = Vec::new();
    for number in 0..calls {
        talks.push(Talk::begin(rig, 0, number).await?);
    }
    sleep(Duration::from_millis(500)).await;
    Ok(talks)
}

/// Takes away what the disk has, for so long, and gives it back.
async fn lacks(
    rig: &mut Rig,
    (disk, switch): (&SmallDisk, &Preload),
    lack: Lack,
    lasts: Duration,
    slowest: &mut [Duration; 2],
) -> anyhow::Result<()> {
    let words = match lack {
        Lack::Room => {
            let mut file = File::create(disk.path().join(ALL))?;
            until_full(|| file.write_all(&[0; 4_096]))?;
            "the disk is full"
        }
        Lack::Files => {
            let folder = disk.path().join(CROWD);
            std::fs::create_dir(&folder)?;
            let mut number = 0;
            until_full(|| {
                number += 1;
                File::create(folder.join(number.to_string())).map(drop)
            })?;
            "the disk takes no more files"
        }
        Lack::Writing => {
            switch.tell(1)?;
            "the file system is read-only"
        }
    };
    let began = now();
    slowest[0] = slowest[0].max(told(rig, words, true).await?);
    while now() - began < lasts {
        rig.calls_both_ways(0).await.context("meanwhile")?;
        sleep(Duration::from_secs(1)).await;
    }
    restore(disk, switch)?;
    slowest[1] = slowest[1].max(told(rig, words, false).await?);
    rig.calls_both_ways(0).await.map(drop).context("afterwards")
}

fn until_full(mut take: impl FnMut() -> io::Result<()>) -> anyhow::Result<()> {
    loop {
        match take() {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn restore(disk: &SmallDisk, switch: &Preload) -> anyhow::Result<()> {
    std::fs::remove_file(disk.path().join(ALL)).ok();
    std::fs::remove_dir_all(disk.path().join(CROWD)).ok();
    switch.tell(0)
}

/// Waits until the gateway says this of itself, or does so no more.
async fn told(rig: &Rig, words: &str, wanted: bool) -> anyhow::Result<Duration> {
    let began = now();
    let mut control = rig.gateway.control().await?;
    loop {
        let problems = control.status().await?.problems;
        if problems.iter().any(|said| said.en.contains(words)) == wanted {
            return Ok(now() - began);
        }
        ensure!(now() - began < SOON, "{words:?} wanted {wanted}, and it says {problems:?}");
        sleep(LOOK).await;
    }
}

/// T21: as many descriptors as chance gives, again and again.
pub(super) async fn descriptors(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[by_address]).await?;
    let mut chance = Chance::new(plan.seed);
    let talks = begin(&rig, FEW_CALLS).await?;
    let balances: Vec<_> = talks.iter().map(Balance::of).collect();
    let (mut taken, mut refused) = (0, 0);
    for point in 0..plan.amount {
        let open = machine::descriptors(rig.pid)?;
        // The first one leaves none for calls, whatever chance says.
        let more = if point == 0 { 0 } else { chance.below(MORE_FILES) };
        machine::limit_descriptors(rig.pid, open + more)?;
        sleep(COUNTED).await;
        match attempts(&rig, 1_000 + point as usize * 2).await {
            Ok([took, sent_away]) => (taken, refused) = (taken + took, refused + sent_away),
            Err(error) => tally.fail(format!("{open} descriptors open, {more} more allowed: {error:#}")),
        }
        machine::limit_descriptors(rig.pid, ENOUGH_FILES)?;
        sleep(COUNTED).await;
        if let Err(error) = rig.calls_both_ways(0).await {
            tally.fail(format!("after {open} descriptors and {more}: {error:#}"));
        }
        for (balance, talk) in balances.iter().zip(&talks) {
            balance.judge(talk, &mut tally, &format!("{open} descriptors open, {more} more allowed"));
        }
        tally.amount += 1;
        if point == plan.amount / 2 {
            rig.warmed()?;
        }
    }
    end_all(talks).await?;
    tally.hold(refused > 0, || "nothing was ever refused".to_owned());
    tally.note(&format!("{taken} calls taken, {refused} refused with 503 or busy, {FEW_CALLS} go on"));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// One call from either side, which comes about or is refused: how many did, how many were.
async fn attempts(rig: &Rig, number: usize) -> anyhow::Result<[u64; 2]> {
    let post = &rig.posts[0];
    let mut came = [0, 0];
    let mut callee = rig.person(number, Answering::After(Duration::ZERO))?;
    let mut wire = post.pbx.call(&phone_of(number)).await?;
    let answer = wire.final_answer(LIMIT).await.context("the PBX's call")?;
    match answer.status() {
        Some(200) => {
            callee.connected(LIMIT).await?;
            wire.bye(&[]);
            callee.discarded(LIMIT).await?;
            came[0] += 1;
        }
        Some(503) => {
            let told = answer.header("Retry-After").is_some();
            ensure!(told, "503 without Retry-After");
            came[1] += 1;
        }
        _ => anyhow::bail!("the PBX was answered {}", answer.start),
    }
    let mut caller = rig.person(number + 1, Answering::After(Duration::ZERO))?;
    let call = caller.call(post.line.account).await?;
    match post.pbx.incoming(Duration::from_secs(2)).await {
        Ok(mut wire) => {
            ensure!(wire.answer()?, "the call was withdrawn");
            caller.connected(LIMIT).await?;
            caller.hang_up(call, Reason::Hangup).await;
            wire.request("BYE", LIMIT).await?;
            came[0] += 1;
        }
        Err(_) => {
            let (reason, _) = caller.discarded(LIMIT).await.context("a call from Telegram")?;
            ensure!(reason == Some(Reason::Busy), "the caller saw {reason:?}");
            came[1] += 1;
        }
    }
    Ok(came)
}
