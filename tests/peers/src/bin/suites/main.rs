//! Runs the test programs of the workspace side by side where they wait, and alone where they measure: `suites [NAME…]`
//! runs those whose name holds one of the words, without one all of them. Each one's output is shown when it ends, whole.
//! What the first word `--beside=COMMAND` names runs meanwhile, when the programs leave a processor idle and none of them measures,
//! and counts as one.
//!
//! What a program needs of the machine is in `tests/suites.toml`.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

mod plan;
mod program;
mod running;
mod table;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::canary;
use tgtrunk_tests::clock::now;
use tgtrunk_tests::sandbox;

use self::plan::{Machine, Plan};
use self::program::Program;
use self::running::{Ended, Running};
use self::table::Table;

/// How often running programs are looked at.
const BEAT: Duration = Duration::from_millis(50);
/// A program that runs for longer than this hangs.
const LIMIT: Duration = Duration::from_secs(600);
/// What runs beside them may wait for them.
const LIMIT_BESIDE: Duration = Duration::from_secs(2400);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("suites: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all passed.
fn run() -> anyhow::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    let table = Table::read(&root.join("tests/suites.toml"))?;
    let all = program::build_all(root)?;
    table.check(all.iter().map(|program| program.name.as_str()))?;
    let mut words: Vec<String> = env::args().skip(1).collect();
    let line = words.first().and_then(|word| word.strip_prefix("--beside=")).map(str::to_owned);
    words.drain(..usize::from(line.is_some()));
    let chosen = |program: &Program| words.is_empty() || words.iter().any(|word| program.name.contains(word));
    let programs: Vec<Program> = all.into_iter().filter(chosen).collect();
    ensure!(!programs.is_empty(), "no test program is named so: {words:?}");
    let logs = root.join("target/suites");
    fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;

    // Only root may have mounts of its own; others test the programs as they are.
    let may_be_inside = nix::unistd::geteuid().is_root();
    if !may_be_inside {
        println!("NOT INSIDE: services run without what their units ask for, which only root can have");
    }
    let links = root.join("target/sandbox");
    sandbox::make_links(&env::current_exe()?.with_file_name("sandboxed"), &links)?;
    let all_inside = env::var_os("SANDBOX").is_some_and(|word| !word.is_empty());

    let machine = Machine::of(available_parallelism()?.get());
    let mut plan = Plan::new(machine, programs.iter().map(|program| table.needs(&program.name)).collect());
    let mut running: Vec<(usize, Running)> = Vec::new();
    let up_s = sandbox::uptime_s()?;
    let (began, mut ended, mut tried) = (now(), Vec::new(), BTreeSet::new());
    let mut beside = line.as_ref().map(|line| Running::start_beside(line, root, &logs, began)).transpose()?;
    let (mut is_held, mut leaks) = (false, Vec::new());
    while ended.len() < programs.len() + usize::from(line.is_some()) {
        for (number, one) in &running {
            plan.handle_aside(*number, one.aside(), now());
        }
        if let Some(number) = plan.poll_recall(now()) {
            running.iter().filter(|(other, _)| *other == number).try_for_each(|(_, one)| one.recall())?;
        }
        while let Some(number) = plan.poll_start(now()) {
            let program = &programs[number];
            let needs = table.needs(&program.name);
            let links = (may_be_inside && needs.inside.unwrap_or(all_inside)).then_some(links.as_path());
            running.push((number, Running::start(program, needs, &logs, links, now())?));
        }
        sleep(BEAT);
        let mut still = Vec::new();
        for (number, mut one) in running {
            match one.poll_end(now(), LIMIT)? {
                None => still.push((number, one)),
                Some(end) => {
                    leaks.extend(leaks_of(&programs[number].name, &show(&end, began)?));
                    let needs = table.needs(&programs[number].name);
                    let may_try_again = needs.measures || needs.waits;
                    if may_try_again && !end.passed() && tried.insert(number) {
                        plan.handle_failure(number);
                    } else {
                        plan.handle_end(number);
                        ended.push(end);
                    }
                }
            }
        }
        running = still;
        if let Some(one) = &beside
            && plan.is_measuring() != is_held
        {
            is_held = !is_held;
            one.hold(is_held)?;
        }
        if let Some(end) = beside.as_mut().map(|one| one.poll_end(now(), LIMIT_BESIDE)).transpose()?.flatten()
        {
            show(&end, began)?;
            ended.push(end);
            beside = None;
        }
    }
    let refused = sandbox::refusals(up_s).into_iter().map(|refused| format!("REFUSED: {refused}"));
    let told: Vec<String> = leaks.into_iter().chain(refused).collect();
    told.iter().for_each(|what| println!("{what}"));
    let twice: Vec<&str> = tried.iter().map(|number| programs[*number].name.as_str()).collect();
    Ok(sum_up(&ended, &twice, began) && told.is_empty())
}

/// One program's output, under a line that says what became of it.
fn show(end: &Ended, began: Instant) -> anyhow::Result<String> {
    let output = fs::read(&end.log).with_context(|| end.log.display().to_string())?;
    println!("===== {} s: {end}", (now() - began).as_secs());
    let output = String::from_utf8_lossy(&output).into_owned();
    println!("{}", output.trim_end());
    Ok(output)
}

/// What a program tells that nobody may read.
fn leaks_of(program: &str, output: &str) -> Vec<String> {
    let found = canary::Search::default().all(output);
    let told = |found: &canary::Found| {
        format!("SECRET: {program} prints {}, {}, in line {}", found.what, found.spelled, found.line)
    };
    found.iter().map(told).collect()
}

fn sum_up(ended: &[Ended], twice: &[&str], began: Instant) -> bool {
    let mut by_length: Vec<&Ended> = ended.iter().collect();
    by_length.sort_by_key(|end| std::cmp::Reverse(end.took));
    println!("===== {} test programs in {} s:", ended.len(), (now() - began).as_secs());
    for end in by_length.iter().filter(|end| end.took >= Duration::from_secs(1)) {
        println!("{end}");
    }
    let cpu: Duration = ended.iter().map(|end| end.cpu).sum();
    println!("{} s of processor time", cpu.as_secs());
    for name in twice {
        println!("TWICE: {name} failed the first time; what counts is the second, alone");
    }
    let failed: Vec<String> =
        ended.iter().filter(|end| !end.passed()).map(|end| format!("FAILED: {end}")).collect();
    println!("{}", if failed.is_empty() { "all passed".to_owned() } else { failed.join("\n") });
    failed.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_what_a_program_prints_is_told_with_its_line() {
        let output = format!("fine\nwith {}\n", canary::PASSWORD);
        let told = leaks_of("tests/chat", &output);
        assert_eq!(told, ["SECRET: tests/chat prints an account's password, as it is, in line 2"]);
        assert_eq!(leaks_of("tests/chat", "fine\n"), [""; 0]);
    }
}
