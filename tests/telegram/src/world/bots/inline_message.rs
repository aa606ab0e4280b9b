//! Messages that users sent via a bot, as the bot names them: `inline_message_id`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::world::prime::random;
use crate::world::state::State;

/// Messages kept; the oldest go first.
const KEPT: usize = 20_000;

/// `inputBotInlineMessageID64`, which the Bot API gives out as base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InlineMessageId {
    pub(crate) dc: i32,
    /// The user who sent it.
    pub(crate) owner: i64,
    /// Its number in their box.
    pub(crate) id: i32,
    access_hash: i64,
}

impl InlineMessageId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (dc, rest) = bytes.split_first_chunk::<4>()?;
        let (owner, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let access_hash = rest.first_chunk::<8>()?;
        Some(Self {
            dc: i32::from_le_bytes(*dc),
            owner: i64::from_le_bytes(*owner),
            id: i32::from_le_bytes(*id),
            access_hash: i64::from_le_bytes(*access_hash),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend(self.dc.to_le_bytes());
        bytes.extend(self.owner.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(self.access_hash.to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The messages sent via bots, by sender and number.
#[derive(Debug, Default)]
pub(crate) struct InlineMessages {
    sent: BTreeMap<(i64, i32), (i64, InlineMessageId)>,
    /// In the order of sending.
    order: std::collections::VecDeque<(i64, i32)>,
}

impl InlineMessages {
    /// Names a message that was just sent via a bot.
    pub(crate) fn name(&mut self, bot: i64, dc: i32, owner: i64, id: i32) -> InlineMessageId {
        let access_hash = i64::from_le_bytes(random());
        let name = InlineMessageId { dc, owner, id, access_hash };
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent.remove(&oldest);
        }
        self.order.push_back((owner, id));
        self.sent.insert((owner, id), (bot, name));
        name
    }

    /// The name of a message, seen from its sender's box.
    fn of(&self, owner: i64, id: i32) -> Option<InlineMessageId> {
        self.sent.get(&(owner, id)).map(|(_, name)| *name)
    }

    /// Whether this bot's message has this name.
    pub(crate) fn is_of(&self, bot: i64, name: InlineMessageId) -> bool {
        self.sent.get(&(name.owner, name.id)) == Some(&(bot, name))
    }
}

impl State {
    /// The name of a message that was sent via a bot, seen from either box.
    pub(crate) fn inline_message_id(&self, owner: i64, id: i32) -> Option<InlineMessageId> {
        self.bots.inline_messages.of(owner, id).or_else(|| {
            let (owner, id) = self.twin(owner, id)?;
            self.bots.inline_messages.of(owner, id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_opaque_text_that_only_its_bot_may_use() {
        let mut messages = InlineMessages::default();
        let name = messages.name(9, 2, 5_000_001, 17);
        let text = name.text();
        assert_eq!(text.len(), 32);
        assert_eq!(InlineMessageId::parse(&text), Some(name));
        assert!(messages.is_of(9, name) && !messages.is_of(8, name));
        let forged = InlineMessageId { access_hash: name.access_hash ^ 1, ..name };
        assert!(!messages.is_of(9, forged));
        assert_eq!(InlineMessageId::parse("AAAA"), None);
    }
}
