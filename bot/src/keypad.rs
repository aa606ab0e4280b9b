//! The keypad: named rows of the line's menu above 123, 456, 789, *0#.

use tgtrunk_config::{Digits, MenuRow};

use crate::data::Pressed;
use crate::telegram::{Button, Keyboard};

const ROWS: [&str; 4] = ["123", "456", "789", "*0#"];

/// The buttons, each with what its keys are `meant` to be.
pub(crate) fn keyboard(menu: &[MenuRow], meant: impl Fn(Digits) -> Pressed) -> Keyboard {
    let button = |text: &str, digits: Digits| Button::new(text, meant(digits).to_data());
    let named = menu.iter().map(|row| vec![button(&row.name, row.extension.clone())]);
    let keys = ROWS.map(|row| {
        let keys = row.chars().map(|key| key.to_string());
        keys.filter_map(|key| Some(button(&key, key.parse().ok()?))).collect()
    });
    Keyboard(named.chain(keys).collect())
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::CallId;

    use super::*;

    #[test]
    fn named_rows_stand_above_the_twelve_keys_and_send_the_whole_extension() {
        let menu = [("Продажи", "101"), ("Support", "102#")];
        let menu = menu
            .map(|(name, extension)| MenuRow { name: name.into(), extension: extension.parse().unwrap() });
        let call = CallId(0xa1);
        let Keyboard(rows) = keyboard(&menu, |digits| Pressed::Digits { call, digits });
        let texts: Vec<String> =
            rows.iter().map(|row| row.iter().map(|key| key.text.as_str()).collect()).collect();
        assert_eq!(texts, ["Продажи", "Support", "123", "456", "789", "*0#"]);
        assert_eq!(rows[1][0].data, "d:00000000000000a1:102#");
        assert_eq!(rows[5][1].data, "d:00000000000000a1:0");
        assert!(rows[2..].iter().all(|row| row.len() == 3));
    }
}
