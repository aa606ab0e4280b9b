//! The script of the folder that needs no installation: one keeper for each program whatever races, nothing foreign is
//! touched, what was stopped by hand stays so, logs are bounded.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::folder::{Folder, PROGRAMS, end, told};

#[test]
fn each_program_has_one_keeper_whatever_races() -> anyhow::Result<()> {
    Folder::for_each_shell(|folder| {
        let mut former = Vec::new();
        for round in 0..4 {
            let begun: Vec<_> = ["start", "keep", "start", "keep", "start", "start"]
                .iter()
                .map(|word| folder.begin(word, "C"))
                .collect::<Result<_, _>>()?;
            for child in begun {
                let told = told(&child.wait_with_output()?);
                ensure!(told == (true, String::new()), "round {round}: {told:?}");
            }
            let settled = folder.settled()?;
            let programs: Vec<i32> = settled.iter().map(|(_, program)| *program).collect();
            ensure!(round == 0 || programs == former, "a keeper that was killed took its program along");
            former = programs;
            // A round later their claims are there still, and all want them.
            settled.iter().for_each(|(keeper, _)| end(*keeper));
        }
        let (well, told) = folder.attempt("status", "C")?;
        ensure!(well && told.matches("nothing starts it again").count() == 3, "{told}");
        folder.run("stop")?;
        ensure!(folder.processes().is_empty(), "stopped, but there are {:?}", folder.processes());
        Ok(())
    })
}

#[test]
fn what_ends_is_begun_again() -> anyhow::Result<()> {
    Folder::for_each_shell(|folder| {
        folder.run("start")?;
        let before = folder.settled()?;
        for (_, program) in &before {
            end(*program);
        }
        folder.comes_about(|| {
            PROGRAMS.iter().all(|name| folder.log(&format!("{name}.log")).lines().count() == 2)
        })?;
        let after = folder.settled()?;
        for ((keeper, program), (same, other)) in before.iter().zip(&after) {
            ensure!(keeper == same && program != other, "{before:?} became {after:?}");
        }
        let (well, told) = folder.attempt("status", "C")?;
        ensure!(well && told == "tgtrunk-gateway runs\ntgtrunk-client runs\ntgtrunk-bot runs\n", "{told}");
        folder.run("stop")?;
        ensure!(folder.processes().is_empty(), "stopped, but there are {:?}", folder.processes());
        Ok(())
    })
}

#[test]
fn a_process_that_got_a_keepers_number_is_none() -> anyhow::Result<()> {
    Folder::for_each_shell(|folder| {
        folder.run("start")?;
        for (keeper, program) in folder.settled()? {
            end(keeper);
            end(program);
        }
        let mut foreign = Command::new("sleep").arg("600").spawn()?;
        let outcome = numbers_are_given_again(folder, foreign.id());
        let lives = foreign.try_wait()?.is_none();
        foreign.kill()?;
        foreign.wait()?;
        outcome?;
        ensure!(lives, "`stop` ended a foreign process");
        Ok(())
    })
}

/// After a reboot the gateway's number is that of a foreign process, the client's too with the time of its beginning,
/// and in the bot's claim is what somebody wrote there.
fn numbers_are_given_again(folder: &Folder, foreign: u32) -> anyhow::Result<()> {
    let gateway = fs::read_link(folder.claim("gateway")?)?.to_string_lossy().into_owned();
    let (boot, born) = gateway
        .split_once(' ')
        .and_then(|(boot, rest)| Some((boot, rest.split_once(' ')?.1)))
        .context("a mark")?;
    let stat = fs::read_to_string(format!("/proc/{foreign}/stat"))?;
    let foreign_born =
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)).context("its beginning")?;
    ensure!(born.parse::<u64>().is_ok() && born != foreign_born, "{born}");
    let other_boot = boot.chars().rev().collect::<String>();
    let marks = [
        ("gateway", format!("{boot} {foreign} {born}")),
        ("client", format!("{other_boot} {foreign} {foreign_born}")),
        ("bot", foreign.to_string()),
    ];
    for (name, mark) in marks {
        let claim = folder.claim(name)?;
        fs::remove_file(&claim)?;
        symlink(mark, claim)?;
    }
    let (well, told) = folder.attempt("status", "C")?;
    ensure!(!well && told.matches("does not run: ./tgtrunk start").count() == 3, "{told}");
    folder.run("stop")?;
    folder.run("start")?;
    folder.settled()?;
    folder.run("stop")
}

#[test]
fn what_was_stopped_by_hand_cron_leaves_alone() -> anyhow::Result<()> {
    Folder::for_each_shell(|folder| {
        folder.run("keep")?;
        folder.settled()?;
        folder.run("stop")?;
        folder.run("keep")?;
        ensure!(folder.processes().is_empty(), "cron began {:?}", folder.processes());
        let (well, told) = folder.attempt("status", "C")?;
        ensure!(!well && told.matches("stopped by hand").count() == 3, "{told}");
        let (well, told) = folder.attempt("status", "ru_RU.UTF-8")?;
        ensure!(!well && told.matches("остановлена вручную").count() == 3, "{told}");
        folder.run("start")?;
        folder.settled()?;
        folder.run("keep")?;
        folder.run("restart")?;
        folder.settled()?;
        folder.run("stop")
    })
}

#[test]
fn logs_are_bounded_while_their_program_runs() -> anyhow::Result<()> {
    Folder::for_each_shell(|folder| {
        folder.run("start")?;
        let before = folder.settled()?;
        for at in 0..6 {
            folder.say("gateway", &format!("{at}").repeat(1_500))?;
        }
        folder.comes_about(|| {
            folder.log("gateway.log.1").contains("5555") && folder.log("gateway.log").is_empty()
        })?;
        folder.say("gateway", "and on it goes")?;
        folder.comes_about(|| folder.log("gateway.log") == "and on it goes\n")?;
        ensure!(folder.log("gateway.log.1").len() == 4_000, "{}", folder.log("gateway.log.1").len());
        ensure!(folder.log("client.log").starts_with("begun "), "a short log was made empty");
        let files = fs::read_dir(folder.path("data/log"))?.count();
        ensure!(files == 4, "{files} files of logs");
        ensure!(folder.settled()? == before, "something was begun again for it");
        folder.run("stop")
    })
}
