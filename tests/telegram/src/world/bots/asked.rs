//! What users asked of bots and bots have not answered yet, and the answers that are kept for others who ask the same.

use std::collections::{BTreeMap, VecDeque};

use grammers_tl_types as tl;
use tokio::sync::oneshot;

use super::inline::InlineAnswer;
use crate::link::Answer;

/// Inline queries kept, whose results may still be sent; the oldest go first.
const QUERIES_KEPT: usize = 10_000;
/// Answers kept for those who ask the same; the oldest go first.
const ANSWERS_KEPT: usize = 1_000;

/// One inline query of a user.
#[derive(Debug)]
pub(crate) struct InlineQuery {
    pub(crate) bot: i64,
    pub(crate) user: i64,
    pub(crate) text: String,
    pub(crate) offset: String,
    /// Who waits for the answer.
    pub(crate) waiter: Option<oneshot::Sender<Answer>>,
    /// What the bot offered.
    pub(crate) results: Vec<tl::enums::BotInlineResult>,
}

/// One press of a button.
#[derive(Debug)]
pub(crate) struct Press {
    pub(crate) bot: i64,
    pub(crate) waiter: oneshot::Sender<Answer>,
}

/// Bot, text, offset, and the user for whom alone the answer is.
type Question = (i64, String, String, Option<i64>);

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    queries: BTreeMap<i64, InlineQuery>,
    order: VecDeque<i64>,
    pub(crate) presses: BTreeMap<i64, Press>,
    /// With the time until which they are good, Unix time in milliseconds.
    answers: BTreeMap<Question, (u64, InlineAnswer)>,
}

impl Asked {
    pub(crate) fn add(&mut self, id: i64, query: InlineQuery) {
        if self.order.len() == QUERIES_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.queries.remove(&oldest);
        }
        self.order.push_back(id);
        self.queries.insert(id, query);
    }

    pub(crate) fn query(&self, id: i64) -> Option<&InlineQuery> {
        self.queries.get(&id)
    }

    pub(crate) fn query_mut(&mut self, id: i64) -> Option<&mut InlineQuery> {
        self.queries.get_mut(&id)
    }

    /// Keeps an answer for a while.
    pub(crate) fn keep(&mut self, query: (i64, i64, &str, &str), answer: InlineAnswer, until_ms: u64) {
        let (bot, user, text, offset) = query;
        if self.answers.len() == ANSWERS_KEPT {
            let oldest = self.answers.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            self.answers.remove(&oldest.unwrap_or_default());
        }
        let whose = answer.personal.then_some(user);
        self.answers.insert((bot, text.to_owned(), offset.to_owned(), whose), (until_ms, answer));
    }

    /// An answer that is still good for this user.
    pub(crate) fn kept(&self, query: (i64, i64, &str, &str), now_ms: u64) -> Option<InlineAnswer> {
        let (bot, user, text, offset) = query;
        [Some(user), None].into_iter().find_map(|whose| {
            let (until, answer) = self.answers.get(&(bot, text.to_owned(), offset.to_owned(), whose))?;
            (now_ms < *until).then(|| answer.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_is_for_all_or_for_its_asker_alone_and_grows_old() {
        let mut asked = Asked::default();
        let answer = |personal| InlineAnswer {
            results: Vec::new(),
            next_offset: None,
            cache_time: 1,
            personal,
            gallery: false,
        };
        asked.keep((9, 1, "a", ""), answer(false), 1000);
        asked.keep((9, 1, "b", ""), answer(true), 1000);
        assert!(asked.kept((9, 2, "a", ""), 999).is_some());
        assert!(asked.kept((9, 2, "a", ""), 1000).is_none());
        assert!(asked.kept((9, 2, "a", "10"), 999).is_none());
        assert!(asked.kept((9, 1, "b", ""), 999).is_some());
        assert!(asked.kept((9, 2, "b", ""), 999).is_none());
    }
}
