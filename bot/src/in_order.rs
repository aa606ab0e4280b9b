//! Jobs of many people: those of one person one after another, those of different people at once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use tgtrunk_config::UserId;

/// Who is being served, and what waits for them.
#[derive(Debug)]
pub(crate) struct InOrder<J> {
    served: BTreeMap<UserId, VecDeque<J>>,
    most_people: usize,
    most_waiting: usize,
}

/// What became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn<J> {
    /// It is its turn: begin, and say [`InOrder::done`] when it is done.
    Now(J),
    /// It waits for the person's earlier ones.
    Waits,
    /// Too many wait already.
    Full(J),
}

impl<J> InOrder<J> {
    /// For at most so many people at once, with so many waiting jobs each.
    pub(crate) fn new(most_people: usize, most_waiting: usize) -> Self {
        Self { served: BTreeMap::new(), most_people, most_waiting }
    }

    /// Takes a job in.
    pub(crate) fn push(&mut self, person: UserId, job: J) -> Turn<J> {
        let people = self.served.len();
        match self.served.entry(person) {
            Entry::Occupied(mut waiting) if waiting.get().len() < self.most_waiting => {
                waiting.get_mut().push_back(job);
                Turn::Waits
            }
            Entry::Vacant(place) if people < self.most_people => {
                place.insert(VecDeque::new());
                Turn::Now(job)
            }
            Entry::Occupied(_) | Entry::Vacant(_) => Turn::Full(job),
        }
    }

    /// How many jobs of a person there are, with the one that is served.
    pub(crate) fn waiting(&self, person: UserId) -> usize {
        self.served.get(&person).map_or(0, |waiting| waiting.len() + 1)
    }

    /// The person's next job, when one is done.
    pub(crate) fn done(&mut self, person: UserId) -> Option<J> {
        let next = self.served.get_mut(&person)?.pop_front();
        if next.is_none() {
            self.served.remove(&person);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_persons_jobs_keep_their_order_and_nobody_elses_wait_for_them() {
        let mut jobs = InOrder::new(10, 10);
        let (anna, boris) = (UserId::new(1).unwrap(), UserId::new(2).unwrap());
        assert_eq!(jobs.push(anna, '2'), Turn::Now('2'));
        assert_eq!(jobs.push(anna, '0'), Turn::Waits);
        assert_eq!(jobs.push(boris, '9'), Turn::Now('9'));
        assert_eq!(jobs.push(anna, '4'), Turn::Waits);
        assert_eq!((jobs.waiting(anna), jobs.waiting(boris)), (3, 1));
        assert_eq!([jobs.done(anna), jobs.done(anna), jobs.done(anna)], [Some('0'), Some('4'), None]);
        assert_eq!(jobs.push(anna, '1'), Turn::Now('1'));
    }

    #[test]
    fn a_flood_of_one_person_or_of_many_is_bounded() {
        let mut jobs = InOrder::new(2, 1);
        let people = [1, 2, 3].map(|id| UserId::new(id).unwrap());
        assert_eq!(jobs.push(people[0], 1), Turn::Now(1));
        assert_eq!(jobs.push(people[0], 2), Turn::Waits);
        assert_eq!(jobs.push(people[0], 3), Turn::Full(3));
        assert_eq!(jobs.push(people[1], 4), Turn::Now(4));
        assert_eq!(jobs.push(people[2], 5), Turn::Full(5));
        assert_eq!(jobs.done(people[1]), None);
        assert_eq!(jobs.push(people[2], 6), Turn::Now(6));
    }
}
