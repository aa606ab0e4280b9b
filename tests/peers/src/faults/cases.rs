//! Which messages a call has, learnt from calls without a fault, and one call for each of them and each fault.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::task::JoinSet;

use super::scene::{CLEAN_LIMIT, Post, Scene};
use super::sip_path::Plan;
use super::{Case, DELAY_MS, End, Fault, Place, SIGNALING, Sender, Story};

/// What faults are put at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SIP messages; calls on a line may run beside each other, so many at once.
    Sip { at_once: usize },
    /// Pushes of Telegram and pieces of its stream, which are a line's: one call at a time on each.
    Telegram,
}

/// Pushes that a call has.
const PUSHES: [&str; 6] = [
    "phoneCallRequested",
    "phoneCallWaiting",
    "phoneCallAccepted",
    "phoneCall",
    "phoneCallDiscarded",
    SIGNALING,
];
const MESSAGE_FAULTS: [Fault; 4] = [Fault::Drop, Fault::Delay, Fault::Duplicate, Fault::Reorder];
const STREAM_FAULTS: [Fault; 2] = [Fault::Delay, Fault::Cut];

/// Pieces of a stream of which each way of a call has its share of cases, spread evenly, unless the variable `TGTRUNK_FAULTS` says
/// `all`: neighbours mostly hold parts of one answer.
const MOST_PIECES: u32 = 8;

/// What one case came to.
struct Row {
    number: usize,
    case: Case,
    outcome: String,
    failure: Option<String>,
    setup_ms: Option<u128>,
    is_met: bool,
}

/// What a story's call is made of.
struct Learnt {
    story: Story,
    places: Vec<Place>,
}

/// Runs every case on the scene: the table of all, and what failed.
///
/// # Errors
/// When a call without a fault does not come about at the beginning.
pub async fn run(scene: Scene, kind: Kind) -> anyhow::Result<(String, Vec<String>)> {
    let mut learnt = Vec::new();
    for caller in End::BOTH {
        for hangs_up in End::BOTH {
            let story = Story { caller, hangs_up };
            let places =
                learn(&scene, kind, story).await.with_context(|| format!("{story}, without a fault"))?;
            learnt.push(Learnt { story, places });
        }
    }
    let cases = match kind {
        Kind::Sip { .. } => each(&learnt),
        Kind::Telegram => shared(&learnt),
    };
    let scene = Arc::new(scene);
    let waiting = Arc::new(Mutex::new(in_turn(cases)));
    let at_once = match kind {
        Kind::Sip { at_once } => at_once,
        Kind::Telegram => 1,
    };
    let mut lanes = JoinSet::new();
    for lane in 0..scene.posts.len() * at_once {
        lanes.spawn(work(Arc::clone(&scene), lane % scene.posts.len(), Arc::clone(&waiting)));
    }
    let mut rows = Vec::new();
    while let Some(done) = lanes.join_next().await {
        rows.extend(done?);
    }
    rows.sort_by_key(|row| row.number);
    let mut failures: Vec<String> = rows
        .iter()
        .filter_map(|row| row.failure.as_ref().map(|failure| format!("{}: {failure}", row.case)))
        .collect();
    failures.extend(pieces_failed(&rows));
    let scene = Arc::into_inner(scene).context("a lane is still at work")?;
    if let Err(error) = scene.close().await {
        failures.push(format!("afterwards: {error:#}"));
    }
    Ok((table(&rows), failures))
}

/// What a call of this story is made of.
async fn learn(scene: &Scene, kind: Kind, story: Story) -> anyhow::Result<Vec<Place>> {
    let post = &scene.posts[0];
    let mut person = scene.person()?;
    let world = scene.stage.world();
    // A rule that falls on nothing counts.
    let count = |name: &str| world.add_fault(of_line(post, name).share(0.0, 0), Action::DropPush);
    let counters: Vec<_> = PUSHES.into_iter().map(|name| (name, count(name))).collect();
    post.cable.order(None);
    let told = scene.call(post, &mut person, story, None).await;
    let ([to_telegram, from_telegram], _) = post.cable.passed();
    let rules = world.faults();
    for (_, rule) in &counters {
        world.remove_fault(*rule);
    }
    let told = told?;
    ensure!(told.joined.is_some(), "nobody heard anybody: {}", told.end);
    let dialog = told.dialog.context("there was no INVITE")?;
    ensure!(
        to_telegram > 0 && from_telegram > 0,
        "the account reaches Telegram by another way than its cable"
    );
    let mut places = Vec::new();
    match kind {
        Kind::Sip { .. } => {
            for sender in Sender::BOTH {
                places.extend(dialog.labels(sender).map(|label| Place::Sip(sender, label.to_owned())));
            }
        }
        Kind::Telegram => {
            for (name, rule) in counters {
                let matched = rules.iter().find(|info| info.id == rule).map_or(0, |info| info.matched);
                places.extend((1..=matched).map(|number| Place::Push(name, number)));
            }
            let most = if std::env::var("TGTRUNK_FAULTS").is_ok_and(|how| how == "all") {
                u32::MAX
            } else {
                MOST_PIECES
            };
            for (sender, count) in [(Sender::Gateway, to_telegram), (Sender::Other, from_telegram)] {
                places.extend(spread(count, most).into_iter().map(|number| Place::Piece(sender, number)));
            }
        }
    }
    ensure!(!places.is_empty(), "nothing of it was seen");
    Ok(places)
}

/// What does not hold of all pieces of a stream together: most are there to be hurt, and a call outlives half of all cuts.
fn pieces_failed(rows: &[Row]) -> Vec<String> {
    let mut failures = Vec::new();
    for fault in STREAM_FAULTS {
        let hurt = || {
            rows.iter().filter(|row| matches!(row.case.place, Place::Piece(..)) && row.case.fault == fault)
        };
        let (all, met) = (hurt().count(), hurt().filter(|row| row.is_met).count());
        if met * 2 < all {
            failures.push(format!("pieces {fault}: {met} of {all} were met, want half"));
        }
        let joined = hurt().filter(|row| row.is_met && row.setup_ms.is_some()).count();
        if joined * 2 < met {
            failures.push(format!("pieces {fault}: {joined} of {met} calls came about, want half"));
        }
    }
    failures
}

/// At most so many of the numbers from 1 on, the first and the last among them.
fn spread(count: u32, most: u32) -> Vec<u32> {
    if count <= most {
        return (1..=count).collect();
    }
    (0..most).map(|step| 1 + step * (count - 1) / (most - 1).max(1)).collect()
}

/// Each place of each story with each fault.
fn each(learnt: &[Learnt]) -> Vec<Case> {
    let mut cases = Vec::new();
    for Learnt { story, places } in learnt {
        for place in places {
            cases.extend(faults(place).iter().map(|fault| case(*story, place, *fault)));
        }
    }
    cases
}

/// The same, where a place that comes before the end is that of both stories of a caller: they take turns.
fn shared(learnt: &[Learnt]) -> Vec<Case> {
    let mut cases = Vec::new();
    for caller in End::BOTH {
        let of_caller = || learnt.iter().filter(|learnt| learnt.story.caller == caller);
        let places: BTreeSet<&Place> = of_caller().flat_map(|learnt| &learnt.places).collect();
        for (turn, place) in places.into_iter().enumerate() {
            let having: Vec<_> = of_caller().filter(|learnt| learnt.places.contains(place)).collect();
            let is_end = matches!(place, Place::Push("phoneCallDiscarded", _));
            for (number, fault) in faults(place).iter().enumerate() {
                let one = (turn + number) % having.len();
                let chosen = if is_end { &having[..] } else { &having[one..=one] };
                cases.extend(chosen.iter().map(|learnt| case(learnt.story, place, *fault)));
            }
        }
    }
    cases
}

/// The cases by their numbers, those of both callers in turn: a PBX that calls is a process with ports of its own.
fn in_turn(cases: Vec<Case>) -> VecDeque<(usize, Case)> {
    let numbered = cases.into_iter().enumerate();
    let (of_pbx, of_person): (VecDeque<_>, VecDeque<_>) =
        numbered.partition(|(_, case)| case.story.caller == End::Pbx);
    let ranked = of_pbx.into_iter().enumerate().chain(of_person.into_iter().enumerate());
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, case)| case).collect()
}

fn faults(place: &Place) -> &'static [Fault] {
    match place {
        Place::Sip(..) | Place::Push(..) => &MESSAGE_FAULTS,
        Place::Piece(..) => &STREAM_FAULTS,
    }
}

fn case(story: Story, place: &Place, fault: Fault) -> Case {
    Case { story, place: place.clone(), fault }
}

/// Takes one case after the other until none is left.
async fn work(scene: Arc<Scene>, post: usize, waiting: Arc<Mutex<VecDeque<(usize, Case)>>>) -> Vec<Row> {
    let mut rows = Vec::new();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((number, case)) = next else { return rows };
        let mut row =
            Row { number, case, outcome: String::new(), failure: None, setup_ms: None, is_met: false };
        if let Err(error) = try_out(&scene, &scene.posts[post], &mut row).await {
            row.failure = Some(format!("{error:#}"));
        }
        rows.push(row);
    }
}

/// A call with its fault, and one without afterwards.
async fn try_out(scene: &Scene, post: &Post, row: &mut Row) -> anyhow::Result<()> {
    let case = row.case.clone();
    let mut person = scene.person()?;
    let (mut plan, mut rule) = (None, None);
    match &case.place {
        Place::Sip(sender, label) => {
            plan = Some(Plan { sender: *sender, label: label.clone(), fault: case.fault });
        }
        Place::Push(name, number) => {
            let matches = Match { nth: Some(*number), ..of_line(post, name).once() };
            rule = Some(scene.stage.world().add_fault(matches, push_action(case.fault)?));
        }
        Place::Piece(sender, number) => post.cable.order(Some((*sender, *number, case.fault))),
    }
    let told = scene.call(post, &mut person, case.story, plan).await;
    let is_met = match (&case.place, rule) {
        (Place::Piece(..), _) => post.cable.passed().1,
        (_, Some(rule)) => scene.stage.world().faults().iter().any(|info| info.id == rule && info.acted > 0),
        (_, None) => {
            told.as_ref().ok().and_then(|told| told.dialog.as_ref()).is_some_and(|dialog| dialog.is_met)
        }
    };
    if let Some(rule) = rule {
        scene.stage.world().remove_fault(rule);
    }
    if matches!(case.place, Place::Piece(..)) {
        post.cable.order(None);
    }
    row.is_met = is_met;
    let told = told?;
    let met = if is_met { "" } else { ", not met" };
    row.setup_ms = told.joined.map(|joined| joined.as_millis());
    row.outcome = format!("{}{}{met}", if told.joined.is_some() { "joined, " } else { "" }, told.end);
    ensure!(is_met || case.may_be_missed(), "the message never came: {}", row.outcome);
    ensure!(
        told.joined.is_some() || is_met && case.loses_for_good(),
        "want a call that is heard both ways, got {}",
        row.outcome
    );
    scene.connected(post).await.context("the line afterwards")?;
    let clean = scene.call(post, &mut person, case.story, None).await.context("the clean call afterwards")?;
    let joined =
        clean.joined.with_context(|| format!("the clean call afterwards was not heard: {}", clean.end))?;
    ensure!(
        joined <= CLEAN_LIMIT,
        "the clean call afterwards was heard after {joined:?}, want {CLEAN_LIMIT:?}"
    );
    Ok(())
}

fn push_action(fault: Fault) -> anyhow::Result<Action> {
    Ok(match fault {
        Fault::Drop => Action::DropPush,
        Fault::Delay => Action::DelayPush { ms: DELAY_MS },
        Fault::Duplicate => Action::DuplicatePush,
        Fault::Reorder => Action::ReorderPush,
        Fault::Cut => anyhow::bail!("a push cannot be cut"),
    })
}

fn of_line(post: &Post, push: &str) -> Match {
    Match::method(push).user(post.line.account)
}

fn table(rows: &[Row]) -> String {
    let mut table = format!("{:28} {:44} {:10} {:>8}  outcome\n", "call", "message", "fault", "setup ms");
    for Row { case, outcome, failure, setup_ms, .. } in rows {
        let setup = setup_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        // Padding is for strings alone.
        let (story, place, fault) = (case.story.to_string(), case.place.to_string(), case.fault.to_string());
        let failed = failure.as_ref().map(|failure| format!(" FAILS: {failure}")).unwrap_or_default();
        let line = format!("{story:28} {place:44} {fault:10} {setup:>8}  {outcome}{failed}");
        writeln!(table, "{}", line.lines().collect::<Vec<_>>().join(" ")).ok();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(hangs_up: End, places: &[Place]) -> Learnt {
        Learnt { story: Story { caller: End::Pbx, hangs_up }, places: places.to_vec() }
    }

    #[test]
    fn few_of_many_are_spread_from_the_first_to_the_last() {
        assert_eq!(spread(3, 8), [1, 2, 3]);
        assert_eq!(spread(15, 8), [1, 3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(spread(9, 2), [1, 9]);
    }

    #[test]
    fn stories_of_a_caller_share_what_comes_before_the_end() {
        let (first, end) = (Place::Push("phoneCall", 1), Place::Push("phoneCallDiscarded", 1));
        let both =
            [learnt(End::Pbx, &[first.clone(), end.clone()]), learnt(End::Person, &[first.clone(), end])];
        let cases = shared(&both);
        assert_eq!(cases.iter().filter(|case| case.place == first).count(), 4);
        assert_eq!(cases.len(), 4 + 8);
        assert!(cases.iter().any(|case| case.place == first && case.story.hangs_up == End::Person));
        assert_eq!(each(&both).len(), 16);
    }
}
