//! What a test says about bots and asks of them.

use super::faults::{BotAction, BotMatch, BotRule, BotRuleInfo};
use super::journal::BotEntry;
use crate::world::handle::World;

impl World {
    /// Puts a fault of the Bot API in force and returns its number.
    pub fn add_bot_fault(&self, matches: BotMatch, action: BotAction) -> u64 {
        self.lock().bots.faults.add(BotRule { matches, action })
    }

    /// Takes a fault away. False if there is none of this number.
    pub fn remove_bot_fault(&self, id: u64) -> bool {
        self.lock().bots.faults.remove(id)
    }

    /// Takes all faults of the Bot API away.
    pub fn clear_bot_faults(&self) {
        self.lock().bots.faults.clear();
    }

    /// The faults of the Bot API in force.
    pub fn bot_faults(&self) -> Vec<BotRuleInfo> {
        self.lock().bots.faults.list()
    }

    /// Requests to the Bot API after the one with this number, oldest first; 0 gives all that are kept.
    pub fn bot_journal(&self, after: u64) -> Vec<BotEntry> {
        self.lock().bots.journal.since(after).cloned().collect()
    }

    /// How often a bot called a method, among the requests kept.
    pub fn count_bot(&self, bot: i64, method: &str) -> usize {
        let mine = |entry: &&BotEntry| entry.bot == Some(bot) && entry.method.eq_ignore_ascii_case(method);
        self.lock().bots.journal.since(0).filter(mine).count()
    }

    /// Forgets the requests so far.
    pub fn clear_bot_journal(&self) {
        self.lock().bots.journal.clear();
    }
}
