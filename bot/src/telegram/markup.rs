//! Buttons, as this program speaks of them, and the Bot API's shape for them.

use teloxide::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, KeyboardMarkup, ReplyMarkup,
};

/// A button under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Button {
    /// What stands on it.
    pub(crate) text: String,
    /// What comes back when it is pressed, at most 64 bytes.
    pub(crate) data: String,
}

/// Rows of buttons under a message. Empty for none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Keyboard(pub(crate) Vec<Vec<Button>>);

impl Button {
    pub(crate) fn new(text: impl Into<String>, data: impl Into<String>) -> Self {
        Self { text: text.into(), data: data.into() }
    }
}

impl Keyboard {
    pub(super) fn markup(self) -> InlineKeyboardMarkup {
        let button = |Button { text, data }| InlineKeyboardButton::callback(text, data);
        InlineKeyboardMarkup::new(
            self.0.into_iter().map(|row| row.into_iter().map(button).collect::<Vec<_>>()),
        )
    }
}

/// One button in place of the person's letters, which types its text.
pub(super) fn typing(text: String) -> ReplyMarkup {
    let keyboard = KeyboardMarkup::new([[KeyboardButton::new(text)]]);
    ReplyMarkup::Keyboard(keyboard.persistent().resize_keyboard())
}
