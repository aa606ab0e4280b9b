//! What GREEN-API's documentation allows, and where this program allows more.

use std::ops::RangeInclusive;

/// Characters of a message. Telegram takes 4096; longer ones are sent as several.
pub(super) const MESSAGE: RangeInclusive<usize> = 1..=20_000;
/// Characters of a message that is edited, which cannot become several.
pub(super) const EDITED: RangeInclusive<usize> = 1..=4096;
/// Characters of the word to a file.
pub(super) const CAPTION: usize = 1024;
/// Characters of a poll's question.
pub(super) const QUESTION: RangeInclusive<usize> = 1..=255;
/// How many answers a poll has.
pub(super) const OPTIONS: RangeInclusive<usize> = 2..=12;
/// Characters of a poll's answer.
pub(super) const OPTION: RangeInclusive<usize> = 1..=100;
/// Characters of a group's name.
pub(super) const GROUP_NAME: RangeInclusive<usize> = 1..=100;
/// How many people a group is made with.
pub(super) const GROUP_MEMBERS: usize = 200;
/// Days after which messages of a group vanish.
pub(super) const AUTO_DELETE_DAYS: RangeInclusive<i64> = 0..=365;
/// Milliseconds for which typing is shown.
pub(super) const TYPING_MS: RangeInclusive<i64> = 1000..=20_000;
/// Seconds for which a notification is waited for.
pub(super) const RECEIVE_S: RangeInclusive<i64> = 5..=60;
/// Messages, contacts or chats asked for at once.
pub(super) const COUNT: RangeInclusive<i64> = 1..=10_000;
/// Messages of a chat asked for, where nobody says how many.
pub(super) const HISTORY: i64 = 100;
/// Chats asked for, where nobody says how many.
pub(super) const CHATS: i64 = 1000;
/// Minutes of a journal.
pub(super) const MINUTES: RangeInclusive<i64> = 1..=525_600;
/// Minutes of a journal, where nobody says how many.
pub(super) const DAY: i64 = 1440;
/// How many messages are forwarded at once.
pub(super) const FORWARDED: RangeInclusive<usize> = 1..=100;
/// Characters of a name, a code or a password.
pub(super) const WORD: usize = 256;
/// Bytes of a link.
pub(super) const LINK: RangeInclusive<usize> = 1..=4096;

/// Bytes of a request without a file.
pub(super) const BODY_BYTES: usize = 1 << 20;
/// Bytes of one field of a form beside its file.
pub(super) const FIELD_BYTES: usize = 1 << 18;
/// Parts of a form.
pub(super) const PARTS: usize = 64;
/// Bytes of a form, with its file and with what nobody asked for.
pub(super) const FORM_BYTES: u64 = FILE_BYTES + (PARTS * FIELD_BYTES) as u64;
/// Bytes of a file.
pub(super) const FILE_BYTES: u64 = crate::files::MOST_BYTES;
