//! What `docs/torture.toml` may claim: each of the 28 tests is there once, with what was seen of it and the command that shows
//! it, or with the reason why not; and the page that is made of it and of the verdicts of SIP messages, `docs/torture.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::tree::Tree;

const LIST: &str = "docs/torture.toml";
/// What `make ordeal` wrote.
const RUN: &str = "docs/torture.json";
pub(crate) const TABLE: &str = "docs/torture.md";
const VERDICTS: &str = "gateway/sip/testdata/verdicts.txt";
const ROWS: [&str; 2] = ["tests/peers/src/torture.rs", "tests/peers/src/torture/soak.rs"];
/// By which variables `make` is told what to run.
const VARIABLES: [&str; 2] = ["TORTURE=", "SOAK="];
const COUNT: usize = 28;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    what: String,
    amount: String,
    expected: String,
    done: Option<String>,
    figure: Option<String>,
    command: Option<String>,
    open: Option<String>,
    less: Option<String>,
}

/// The one run of all.
#[derive(Default, Deserialize)]
struct Run {
    rows: Vec<Ran>,
}

#[derive(Deserialize)]
struct Ran {
    test: String,
    wanted: Option<u64>,
    amount: u64,
    unit: String,
    failures: u64,
    /// The first of them in words.
    #[serde(default)]
    told: Vec<String>,
    figure: String,
    seed: u64,
    seconds: f64,
}

impl Run {
    /// # Errors
    /// It cannot be read.
    fn read(tree: &Tree) -> Result<Self, String> {
        match tree.text(RUN) {
            "" => Ok(Self::default()),
            text => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    /// Rows of a test: T22 and T22w are both of T22.
    fn of(&self, test: &str) -> impl Iterator<Item = &Ran> {
        let is_of = move |ran: &&Ran| ran.test.trim_end_matches(char::is_alphabetic) == test;
        self.rows.iter().filter(is_of)
    }
}

type List = BTreeMap<String, Row>;

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let list = match read(tree) {
        Ok(list) => list,
        Err(error) => return vec![format!("{LIST}: {error}")],
    };
    let wanted: Vec<String> = (1..=COUNT).map(|number| format!("T{number}")).collect();
    let mut found: Vec<String> = wanted
        .iter()
        .filter(|test| !list.contains_key(*test))
        .map(|test| format!("{LIST}: {test} is missing"))
        .collect();
    for (test, row) in &list {
        if !wanted.contains(test) {
            found.push(format!("{LIST}: there is no test {test}"));
        }
        found.extend(one(tree, test, row).into_iter().map(|what| format!("{LIST}: {test}: {what}")));
    }
    match Run::read(tree) {
        Ok(run) if !run.rows.is_empty() => {
            let lacking = list.keys().filter(|test| run.of(test).next().is_none());
            found.extend(lacking.map(|test| format!("{RUN}: {test} is missing: make ordeal")));
        }
        Ok(_) => {}
        Err(error) => found.push(format!("{RUN}: {error}")),
    }
    for row in runnable(tree) {
        if list.get(row).is_some_and(|row| row.done.is_none()) {
            found.push(format!("{LIST}: {row}: it can be run: say what was seen"));
        }
    }
    if tree.text(TABLE) != page(tree, &list) {
        found.push(format!(
            "{TABLE} is not what {LIST} and {VERDICTS} say: WRITE_TABLES=1 cargo test -p tgtrunk-test-programs --test tidy torture"
        ));
    }
    found
}

/// The page as the list has it.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn made(tree: &Tree) -> Result<String, String> {
    read(tree).map(|list| page(tree, &list))
}

fn read(tree: &Tree) -> Result<List, String> {
    toml::from_str(tree.text(LIST)).map_err(|error| error.to_string())
}

fn one(tree: &Tree, test: &str, row: &Row) -> Vec<String> {
    let mut found = Vec::new();
    let texts = [&row.what, &row.amount, &row.expected].into_iter();
    let more = [&row.done, &row.figure, &row.command, &row.open, &row.less].into_iter().flatten();
    if texts.chain(more).any(|text| text.trim().is_empty() || text.contains(['|', '\n'])) {
        found.push("want words without | and in one line".to_owned());
    }
    let seen = [&row.done, &row.figure, &row.command].into_iter().flatten().count();
    match (seen, &row.open) {
        (3, None) | (0, Some(_)) => {}
        _ => found.push("want done, figure and command, or open with the reason".to_owned()),
    }
    let command = row.command.as_deref().unwrap_or_default();
    for (variable, rows) in VARIABLES.into_iter().zip(ROWS) {
        if !command.contains(variable) {
            continue;
        }
        if !command.contains(&format!("{variable}{test}")) {
            found.push(format!("command: {command:?} runs another one"));
        }
        if !rows_of(tree, rows).contains(&test) {
            found.push(format!("{rows} has no row {test}"));
        }
    }
    found
}

/// Names of the rows that can be run.
fn runnable(tree: &Tree) -> Vec<&str> {
    ROWS.iter().flat_map(|file| rows_of(tree, file)).collect()
}

fn rows_of<'tree>(tree: &'tree Tree, file: &str) -> Vec<&'tree str> {
    let lines = tree.text(file).lines().map(str::trim);
    lines.filter_map(|line| line.strip_prefix("test: \"")?.strip_suffix("\",")).collect()
}

fn page(tree: &Tree, list: &List) -> String {
    let mut page = format!(
        "# What tgtrunk is put through\n\n\
         {COUNT} tests, drawn from what broke others. After each the same has to hold: the process is alive and has not panicked, no\n\
         planted password or key is to be read in any output, a fresh call is heard both ways within 5 s, memory and descriptors are\n\
         within 5 % of what they were, and each call ended once and has one record.\n\n\
         `make torture` runs those that name it, `TORTURE=\"T3=20000 T7\"` some of them with another amount, `SEED=n` what an earlier\n\
         run threw; `make soak` does the same with `SOAK` for what takes longer. `make test SUITES=torture` runs a short form of most.\n\
         Less than is wanted was done where hours were not to be had on two processors; the same command with another amount does the\n\
         rest. A row that throws less than its amount fails. The first part of a row may have the gateway take memory that it needs\n\
         once, and no later one; what restarts the gateway is judged by what the last process used. This page is made of [torture.toml](torture.toml) and not\n\
         edited by hand: `WRITE_TABLES=1 cargo test -p tgtrunk-test-programs --test tidy torture`.\n\n"
    );
    let number = |test: &str| test.trim_start_matches('T').parse::<usize>().unwrap_or(usize::MAX);
    let mut rows: Vec<_> = list.iter().collect();
    rows.sort_by_key(|(test, _)| number(test));
    page.push_str(&ordeal(tree, &rows));
    page.push_str(
        "## Each by itself\n\n| test | what | at least | expected | done here | seen | command |\n|---|---|---|---|---|---|---|\n",
    );
    for (test, row) in rows {
        let Row { what, amount, expected, done, figure, command, open, .. } = row;
        let words = |text: &Option<String>| text.clone().unwrap_or_default();
        let seen = figure.clone().or_else(|| open.clone()).unwrap_or_default();
        let command = command.as_ref().map(|command| format!("`{command}`")).unwrap_or_default();
        writeln!(page, "| {test} | {what} | {amount} | {expected} | {} | {seen} | {command} |", words(done))
            .ok();
    }
    page.push_str(
        "\n## T1, message by message\n\nWhat a line says to its PBX. `call`: 100, and what becomes of whom it asks for; `-`: silence. The messages lie in\n\
         [gateway/sip/testdata](../gateway/sip/testdata).\n\n| message | UDP | TCP | why |\n|---|---|---|---|\n",
    );
    for line in tree.text(VERDICTS).lines().filter(|line| line.starts_with("rfc")) {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        if let [folder, name, udp, tcp, why] = words[..] {
            writeln!(page, "| {folder}/{name} | {udp} | {tcp} | {why} |").ok();
        }
    }
    page
}

/// All of them in one run; nothing where there was none.
fn ordeal(tree: &Tree, rows: &[(&String, &Row)]) -> String {
    let run = Run::read(tree).unwrap_or_default();
    if run.rows.is_empty() {
        return String::new();
    }
    // One command may have told several rows.
    let mut seconds: Vec<f64> = run.rows.iter().map(|ran| ran.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.dedup();
    let minutes = seconds.iter().sum::<f64>() / 60.0;
    let mut text = format!(
        "## All in one run\n\n`make ordeal` runs all of them, one after the other, on two processors; here it took {minutes:.0} minutes. This table is\n\
         what it wrote, [torture.json](torture.json).\n\n\
         | test | at least | done | failures | seen | minutes | again alone | why less |\n|---|---|---|---|---|---|---|---|\n"
    );
    for (test, row) in rows {
        let less = row.less.as_deref().unwrap_or_default();
        let mut is_there = false;
        for Ran { test, wanted, amount, unit, failures, told, figure, seed, seconds } in run.of(test) {
            is_there = true;
            let wanted = wanted.unwrap_or(*amount);
            let places = VARIABLES.into_iter().zip(ROWS);
            let variable = places.filter(|(_, file)| rows_of(tree, file).contains(&test.as_str()));
            let again = variable.map(|(variable, _)| {
                format!(
                    "`make {} {variable}{test}={wanted} SEED={seed}`",
                    variable.trim_end_matches('=').to_lowercase()
                )
            });
            let (again, mut figure) = (again.collect::<String>(), figure.replace('|', "/"));
            if let Some(first) = told.first() {
                write!(figure, " **Failed:** {}", first.replace(['|', '\n'], "/")).ok();
            }
            let minutes = seconds / 60.0;
            writeln!(
                text,
                "| {test} | {} | {amount} {unit} | {failures} | {figure} | {minutes:.1} | {again} | {less} |",
                row.amount
            )
            .ok();
        }
        if !is_there {
            writeln!(text, "| {test} | {} | | | | | | {less} |", row.amount).ok();
        }
    }
    text.push('\n');
    text
}

#[test]
fn each_rule_of_torture_can_fail() {
    let list = "[T1]\nwhat = \"x\"\namount = \"x\"\nexpected = \"x\"\nopen = \"not yet\"\n\
                [T2]\nwhat = \"a | b\"\namount = \"x\"\nexpected = \"x\"\nopen = \"not yet\"\ndone = \"x\"\n\
                [T3]\nwhat = \"x\"\namount = \"x\"\nexpected = \"x\"\ndone = \"x\"\nfigure = \"x\"\ncommand = \"make torture TORTURE=T4\"\n\
                [T4]\nwhat = \"x\"\namount = \"x\"\nexpected = \"x\"\ndone = \"x\"\nfigure = \"x\"\ncommand = \"make torture TORTURE=T4\"\n\
                [T10]\nwhat = \"x\"\namount = \"x\"\nexpected = \"x\"\ndone = \"x\"\nfigure = \"x\"\ncommand = \"make soak SOAK=T10\"\n\
                [T29]\nwhat = \"x\"\namount = \"x\"\nexpected = \"x\"\nopen = \"not yet\"\n";
    let rows = "    Row {\n        test: \"T1\",\n    Row {\n        test: \"T4\",\n";
    let verdicts = "# A\nrfc4475 wsinv 481 - why\n";
    let soak = "    Row {\n        test: \"T12\",\n";
    let ran = |test: &str, amount: u64| {
        format!(
            r#"{{"test":"{test}","amount":{amount},"unit":"messages","failures":1,"told":["x|y"],"wanted":130,"figure":"a | b","seed":7,"seconds":90.0}}"#
        )
    };
    let run = format!(r#"{{"rows":[{},{}]}}"#, ran("T1", 122), ran("T4w", 5));
    let files = [(LIST, list), (ROWS[0], rows), (ROWS[1], soak), (VERDICTS, verdicts), (TABLE, "old")];
    let tree = Tree::of(&[&files[..], &[(RUN, run.as_str())]].concat());
    let told = complaints(&tree).join("\n");
    for wanted in [
        "T5 is missing",
        "there is no test T29",
        "T1: it can be run: say what was seen",
        "T10: tests/peers/src/torture/soak.rs has no row T10",
        "T2: want words without |",
        "T2: want done, figure and command, or open",
        "T3: command: \"make torture TORTURE=T4\" runs another",
        "tests/peers/src/torture.rs has no row T3",
        "docs/torture.json: T10 is missing",
        "docs/torture.md is not what",
    ] {
        assert!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
    assert!(!told.contains("T4:"), "{told}");
    let made = made(&tree).unwrap();
    assert!(made.contains("| rfc4475/wsinv | 481 | - | why |"));
    assert!(
        made.contains(
            "| T1 | x | 122 messages | 1 | a / b **Failed:** x/y | 1.5 | `make torture TORTURE=T1=130 SEED=7` |  |"
        ),
        "{made}"
    );
    assert!(!super::torture::made(&Tree::of(&files)).unwrap().contains("All in one run"));
}
