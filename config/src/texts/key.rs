//! Which texts there are, where each is read, and which places it may have.

use super::defaults;
use crate::language::Language;

/// A text that people read in Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKey {
    /// Above the keypad, while the call lives.
    Keypad,
    /// The keypad in the list of what the bot offers.
    KeypadTitle,
    /// Instead of the keypad where no bot can draw it.
    TypeDigits,
    /// What a keypad becomes that could not be deleted.
    CallEnded,
    /// The business card above its button, after a call that was not answered.
    Card,
    /// The business card without a button.
    CardPlain,
    /// The card in the list of what the bot offers.
    CardTitle,
    /// The button under the card.
    CardButton,
    /// The answer to a person who writes.
    AutoAnswer,
    /// To a person whose calls the line does not take.
    Refused,
    /// To a person who called outside the line's hours.
    OutsideHours,
    /// The bot's answer to `/start`.
    Greeting,
    /// After the greeting: how to get one's key.
    KeyHint,
    /// The person's key.
    Key,
    /// The button that asks for the key.
    KeyButton,
    /// The bot's answer to what it does not understand.
    UnknownCommand,
    /// A key was pressed.
    Pressed,
    /// A key was pressed and no call is up.
    NoCall,
    /// A button was pressed by somebody else.
    NotYours,
    /// A key was pressed and did not reach the call.
    NotSent,
    /// The button under the card was pressed.
    CallBackSoon,
    /// It was pressed again too soon.
    CallBackWait,
    /// The card while somebody at the company is being found, and the person called.
    CallBackRunning,
    /// The card after both have talked.
    CallBackTalked,
    /// The card when nobody at the company answered.
    CallBackNobody,
    /// The card when the person did not answer.
    CallBackMissed,
    /// The card when the call could not be placed.
    CallBackFailed,
    /// To operators: a line's account is not logged in.
    NoticeRed,
    /// To operators: a line's PBX does not answer.
    NoticePbx,
    /// To operators: Telegram has a line wait.
    NoticeFlood,
    /// To operators: the gateway is gone.
    NoticeGateway,
    /// To operators: the trouble is over.
    NoticeOver,
}

/// Longest message, in UTF-16 code units, as Telegram counts.
const MESSAGE: usize = 4_096;
/// Longest answer to a press of a button (Bot API, answerCallbackQuery).
const ANSWER: usize = 200;
/// Longest label of a button, or title of an offer, that a phone shows.
const LABEL: usize = 64;

/// Places that every text about a line's calls has.
const OF_A_LINE: [&str; 4] = ["company", "line", "name", "time"];

impl TextKey {
    /// All of them, in the order of the example file.
    pub const ALL: [Self; 32] = [
        Self::Keypad,
        Self::KeypadTitle,
        Self::TypeDigits,
        Self::CallEnded,
        Self::Card,
        Self::CardPlain,
        Self::CardTitle,
        Self::CardButton,
        Self::AutoAnswer,
        Self::Refused,
        Self::OutsideHours,
        Self::Greeting,
        Self::KeyHint,
        Self::Key,
        Self::KeyButton,
        Self::UnknownCommand,
        Self::Pressed,
        Self::NoCall,
        Self::NotYours,
        Self::NotSent,
        Self::CallBackSoon,
        Self::CallBackWait,
        Self::CallBackRunning,
        Self::CallBackTalked,
        Self::CallBackNobody,
        Self::CallBackMissed,
        Self::CallBackFailed,
        Self::NoticeRed,
        Self::NoticePbx,
        Self::NoticeFlood,
        Self::NoticeGateway,
        Self::NoticeOver,
    ];

    /// Its key in `texts.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keypad => "keypad",
            Self::KeypadTitle => "keypad_title",
            Self::TypeDigits => "type_digits",
            Self::CallEnded => "call_ended",
            Self::Card => "card",
            Self::CardPlain => "card_plain",
            Self::CardTitle => "card_title",
            Self::CardButton => "card_button",
            Self::AutoAnswer => "auto_answer",
            Self::Refused => "refused",
            Self::OutsideHours => "outside_hours",
            Self::Greeting => "greeting",
            Self::KeyHint => "key_hint",
            Self::Key => "key",
            Self::KeyButton => "key_button",
            Self::UnknownCommand => "unknown_command",
            Self::Pressed => "pressed",
            Self::NoCall => "no_call",
            Self::NotYours => "not_yours",
            Self::NotSent => "not_sent",
            Self::CallBackSoon => "call_back_soon",
            Self::CallBackWait => "call_back_wait",
            Self::CallBackRunning => "call_back_running",
            Self::CallBackTalked => "call_back_talked",
            Self::CallBackNobody => "call_back_nobody",
            Self::CallBackMissed => "call_back_missed",
            Self::CallBackFailed => "call_back_failed",
            Self::NoticeRed => "notice_red",
            Self::NoticePbx => "notice_pbx",
            Self::NoticeFlood => "notice_flood",
            Self::NoticeGateway => "notice_gateway",
            Self::NoticeOver => "notice_over",
        }
    }

    /// What is said where a line has no text of its own, with its places as they are.
    pub fn default_text(self, language: Language) -> &'static str {
        defaults::text(self, language)
    }

    /// The places that it may have, without their braces.
    pub fn places(self) -> &'static [&'static str] {
        match self {
            Self::Keypad
            | Self::KeypadTitle
            | Self::TypeDigits
            | Self::CallEnded
            | Self::Card
            | Self::CardPlain
            | Self::CardTitle
            | Self::CardButton
            | Self::AutoAnswer
            | Self::Refused
            | Self::OutsideHours
            | Self::NoCall
            | Self::NotYours
            | Self::CallBackSoon
            | Self::CallBackWait
            | Self::CallBackRunning
            | Self::CallBackTalked
            | Self::CallBackNobody
            | Self::CallBackMissed => &OF_A_LINE,
            Self::CallBackFailed => &["company", "line", "name", "time", "reason"],
            Self::Greeting | Self::KeyHint | Self::KeyButton | Self::UnknownCommand => &["company", "name"],
            Self::Key => &["company", "name", "key"],
            Self::Pressed => &["company", "line", "name", "time", "digits"],
            Self::NotSent => &["company", "line", "name", "time", "digits", "reason"],
            Self::NoticeRed
            | Self::NoticePbx
            | Self::NoticeFlood
            | Self::NoticeGateway
            | Self::NoticeOver => &["company", "line", "time", "reason"],
        }
    }

    /// The longest that Telegram takes in its place, in UTF-16 code units.
    pub fn limit(self) -> usize {
        match self {
            Self::KeypadTitle | Self::CardTitle | Self::CardButton | Self::KeyButton => LABEL,
            Self::Pressed
            | Self::NoCall
            | Self::NotYours
            | Self::NotSent
            | Self::CallBackSoon
            | Self::CallBackWait => ANSWER,
            Self::Keypad
            | Self::TypeDigits
            | Self::CallEnded
            | Self::Card
            | Self::CardPlain
            | Self::AutoAnswer
            | Self::Refused
            | Self::OutsideHours
            | Self::Greeting
            | Self::KeyHint
            | Self::Key
            | Self::UnknownCommand
            | Self::CallBackRunning
            | Self::CallBackTalked
            | Self::CallBackNobody
            | Self::CallBackMissed
            | Self::CallBackFailed
            | Self::NoticeRed
            | Self::NoticePbx
            | Self::NoticeFlood
            | Self::NoticeGateway
            | Self::NoticeOver => MESSAGE,
        }
    }
}
