//! What a follower has to tell and nobody has taken yet.

use std::collections::VecDeque;

use super::follower::Told;

/// Most that waits here; a listener who is further behind is told of the state that holds instead.
pub(super) const MOST: usize = 4096;

/// News in the order they came.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: VecDeque<Told>,
    /// The last word on it was that the gateway is gone.
    is_gone: bool,
}

impl News {
    /// Adds news. False when there was no room: only the ends of connections are left here, and what holds now has to
    /// be asked for.
    pub(super) fn push(&mut self, told: Told) -> bool {
        if self.waiting.len() >= MOST {
            self.waiting.retain(|told| *told == Told::Gone);
            self.waiting.truncate(1);
            return false;
        }
        self.is_gone = false;
        self.waiting.push_back(told);
        true
    }

    /// Notes that the gateway is gone. It is told once until it is up again.
    pub(super) fn gone(&mut self) {
        if !std::mem::replace(&mut self.is_gone, true) && self.waiting.back() != Some(&Told::Gone) {
            self.waiting.push_back(Told::Gone);
        }
    }

    /// The oldest news.
    pub(super) fn pop(&mut self) -> Option<Told> {
        self.waiting.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{Event, StatusReport};

    use super::*;

    #[test]
    fn an_end_is_told_once_until_the_gateway_is_up_again() {
        let mut news = News::default();
        news.gone();
        news.gone();
        news.push(up());
        news.gone();
        news.gone();
        assert_eq!(all(&mut news), [Told::Gone, up(), Told::Gone]);
        news.gone();
        assert!(news.is_empty());
    }

    #[test]
    fn a_listener_who_sleeps_keeps_that_there_was_an_end_and_fills_no_memory() {
        let mut news = News::default();
        news.push(up());
        news.gone();
        news.push(up());
        news.gone();
        while news.push(Told::Event(Event::Lagged { missed: 1 })) {
            assert!(news.waiting.len() <= MOST);
        }
        assert_eq!(all(&mut news), [Told::Gone]);
        assert!(news.push(up()));
        assert_eq!(all(&mut news), [up()]);
    }

    fn up() -> Told {
        Told::Up { calls: Vec::new(), status: StatusReport::default() }
    }

    fn all(news: &mut News) -> Vec<Told> {
        std::iter::from_fn(|| news.pop()).collect()
    }
}
