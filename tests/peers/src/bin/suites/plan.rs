//! Which test program begins next: the longest that still fits on the machine, those that must be alone first.

use std::time::{Duration, Instant};

use crate::table::Needs;

/// What programs may use together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Of its processors: what waits for its packet must find one free.
    cores: f64,
    programs: usize,
}

/// What a program that must be alone says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// It measures.
    No,
    /// It waits for so long, and others may run that end by then.
    Waits(Duration),
    /// It measures no more.
    Done,
}

#[derive(Debug)]
pub(crate) struct Plan {
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    needs: Needs,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Runs,
    /// Others may begin that end by then; none where they may take as long as they like.
    Aside(Option<Instant>),
    /// It begins a second time when all others are over.
    Again,
    Over,
}

/// How much longer than usual a program may take.
const SLOWER: f64 = 1.3;

impl Machine {
    /// One with so many processors.
    pub(crate) fn of(processors: usize) -> Self {
        Self { cores: processors as f64 * 0.6, programs: processors * 4 }
    }
}

impl Plan {
    pub(crate) fn new(machine: Machine, needs: Vec<Needs>) -> Self {
        Self { machine, rows: needs.into_iter().map(|needs| Row { needs, state: State::Waiting }).collect() }
    }

    /// Takes what a running program says; `now` is when.
    pub(crate) fn handle_aside(&mut self, number: usize, aside: Aside, now: Instant) {
        let row = &mut self.rows[number];
        row.state = match (aside, row.state) {
            (Aside::No, _) => State::Runs,
            (Aside::Waits(span), State::Runs) => State::Aside(Some(now + span)),
            (Aside::Waits(_), state) => state,
            (Aside::Done, _) => State::Aside(None),
        };
    }

    /// A program that is to begin now.
    pub(crate) fn poll_start(&mut self, now: Instant) -> Option<usize> {
        let mut waiting: Vec<usize> =
            (0..self.rows.len()).filter(|number| self.rows[*number].state == State::Waiting).collect();
        waiting.sort_by_key(|number| {
            let needs = self.rows[*number].needs;
            (!needs.alone, std::cmp::Reverse(needs.seconds))
        });
        let begins = |number: &usize| self.fits(self.rows[*number].needs, now);
        let next = waiting.into_iter().find(begins).or_else(|| self.last())?;
        self.rows[next].state = State::Runs;
        Some(next)
    }

    /// A program that has waited aside for as long as it said, and is alone again.
    pub(crate) fn poll_recall(&mut self, now: Instant) -> Option<usize> {
        if self.running().count() != 1 {
            return None;
        }
        let over = |row: &Row| matches!(row.state, State::Aside(Some(until)) if until <= now);
        let number = self.rows.iter().position(over)?;
        self.rows[number].state = State::Runs;
        Some(number)
    }

    /// Whether what runs now judges the machine's own time, so that not even what gives way to all may run beside it.
    pub(crate) fn is_measuring(&self) -> bool {
        let judges = |row: &Row| row.state == State::Runs && (row.needs.alone || row.needs.measures);
        self.rows.iter().any(judges)
    }

    /// Takes that a program ended for good.
    pub(crate) fn handle_end(&mut self, number: usize) {
        self.rows[number].state = State::Over;
    }

    /// Takes that a program failed which is to have a second try, when nothing else runs any more.
    pub(crate) fn handle_failure(&mut self, number: usize) {
        self.rows[number].state = State::Again;
    }

    /// One that has its second try when nothing else is left to do.
    fn last(&self) -> Option<usize> {
        let rests = |row: &Row| matches!(row.state, State::Again | State::Over);
        let again = |row: &Row| row.state == State::Again;
        self.rows.iter().all(rests).then(|| self.rows.iter().position(again)).flatten()
    }

    fn running(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !matches!(row.state, State::Waiting | State::Again | State::Over))
    }

    fn fits(&self, needs: Needs, now: Instant) -> bool {
        let (mut cores, mut programs) = (needs.cores, 1);
        for row in self.running() {
            match row.state {
                State::Aside(None) => {}
                State::Aside(Some(until)) if now + needs.length().mul_f64(SLOWER) <= until => {}
                State::Aside(Some(_)) => return false,
                _ if row.needs.alone || needs.alone => return false,
                _ => {
                    cores += row.needs.cores;
                    programs += 1;
                }
            }
        }
        // What needs the whole machine gets it when nothing else runs.
        programs == 1 || (cores <= self.machine.cores && programs <= self.machine.programs)
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_tests::clock::now;

    use super::*;

    const TWO: Machine = Machine { cores: 1.2, programs: 3 };

    fn takes(seconds: u32, cores: f64) -> Needs {
        Needs { seconds, cores, alone: false, threads: None, measures: false, waits: false, inside: None }
    }

    fn alone(seconds: u32) -> Needs {
        Needs { seconds, cores: 1.0, alone: true, threads: None, measures: false, waits: false, inside: None }
    }

    fn begun(plan: &mut Plan, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| plan.poll_start(now)).collect()
    }

    #[test]
    fn the_longest_begin_first_and_no_more_than_fit() {
        let at = now();
        let mut plan =
            Plan::new(TWO, vec![takes(1, 1.0), takes(9, 0.5), takes(5, 0.5), takes(4, 0.1), takes(3, 0.1)]);
        assert_eq!(begun(&mut plan, at), [1, 2, 3]);
        plan.handle_end(3);
        assert_eq!(begun(&mut plan, at), [4]);
        plan.handle_end(1);
        assert_eq!(begun(&mut plan, at), [0usize; 0]);
        plan.handle_end(2);
        assert_eq!(begun(&mut plan, at), [0]);
    }

    #[test]
    fn what_must_be_alone_is() {
        let at = now();
        let mut plan = Plan::new(TWO, vec![takes(9, 0.1), alone(5), alone(6)]);
        assert_eq!(begun(&mut plan, at), [2]);
        plan.handle_end(2);
        assert_eq!(begun(&mut plan, at), [1]);
        plan.handle_end(1);
        assert_eq!(begun(&mut plan, at), [0]);
    }

    #[test]
    fn others_run_while_it_waits_and_it_goes_on_when_they_ended() {
        let (at, second) = (now(), Duration::from_secs(1));
        let mut plan = Plan::new(TWO, vec![alone(200), takes(90, 0.1), takes(20, 0.1), takes(30, 0.1)]);
        assert_eq!(begun(&mut plan, at), [0]);
        plan.handle_aside(0, Aside::Waits(second * 60), at);
        assert_eq!(begun(&mut plan, at), [3, 2]);
        plan.handle_end(2);
        assert_eq!(plan.poll_recall(at + second * 61), None);
        plan.handle_end(3);
        assert_eq!(plan.poll_recall(at + second * 59), None);
        assert_eq!(plan.poll_recall(at + second * 61), Some(0));
        plan.handle_aside(0, Aside::No, at + second * 62);
        assert_eq!(begun(&mut plan, at + second * 62), [0usize; 0]);
        plan.handle_aside(0, Aside::Done, at + second * 90);
        assert_eq!(begun(&mut plan, at + second * 90), [1]);
    }

    #[test]
    fn what_measures_is_known_while_it_does() {
        let at = now();
        let mut plan =
            Plan::new(TWO, vec![alone(200), Needs { measures: true, ..takes(9, 0.5) }, takes(5, 0.5)]);
        assert!(!plan.is_measuring());
        assert_eq!(begun(&mut plan, at), [0]);
        assert!(plan.is_measuring());
        plan.handle_aside(0, Aside::Waits(Duration::from_secs(60)), at);
        assert!(!plan.is_measuring());
        assert_eq!(begun(&mut plan, at), [1, 2]);
        assert!(plan.is_measuring());
        plan.handle_failure(1);
        assert!(!plan.is_measuring());
    }

    #[test]
    fn a_second_try_begins_when_nothing_else_is_left() {
        let at = now();
        let mut plan = Plan::new(TWO, vec![takes(9, 0.1), takes(5, 0.1), takes(4, 1.2)]);
        assert_eq!(begun(&mut plan, at), [0, 1]);
        plan.handle_failure(0);
        plan.handle_failure(1);
        assert_eq!(begun(&mut plan, at), [2]);
        plan.handle_end(2);
        assert_eq!(begun(&mut plan, at), [0]);
        plan.handle_end(0);
        assert_eq!(begun(&mut plan, at), [1]);
    }

    #[test]
    fn what_needs_more_than_there_is_runs_by_itself() {
        let at = now();
        let mut plan = Plan::new(TWO, vec![takes(9, 2.0), takes(5, 0.1)]);
        assert_eq!(begun(&mut plan, at), [0]);
        plan.handle_end(0);
        assert_eq!(begun(&mut plan, at), [1]);
    }
}
