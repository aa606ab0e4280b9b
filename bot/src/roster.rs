//! The lines that one bot serves, with what their callers read.

use std::collections::BTreeMap;

use tgtrunk_config::{
    BotName, Chat, Language, Line, Lines, Phone, Said, StateDir, StateError, TextKey, Texts, Words,
};

/// The lines of one bot.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Roster {
    lines: BTreeMap<Phone, Served>,
}

/// A line, as far as a bot has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) chat: Chat,
    pub(crate) texts: Texts,
    words: Words,
}

/// The lines of all bots, and what is wrong with files.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    pub(crate) of: BTreeMap<BotName, Roster>,
    pub(crate) problems: Vec<Said>,
}

impl Rosters {
    /// Reads every line that has a bot. One whose texts are wrong keeps those of `before`; without, it has the default
    /// ones.
    ///
    /// # Errors
    /// When the state directory cannot be listed.
    pub(crate) fn load(
        state: &StateDir,
        before: impl Fn(&Phone) -> Option<Texts>,
    ) -> Result<Self, StateError> {
        let mut rosters = Self::default();
        // What is wrong with a line's own file is the gateway's to tell.
        for line in Lines::load(state)?.lines.into_iter().filter(|line| line.enabled) {
            let Some(bot) = line.chat.bot.clone() else { continue };
            let texts = Texts::load(state, &line.phone).unwrap_or_else(|problems| {
                rosters.problems.extend(problems.iter().map(Said::from));
                before(&line.phone).unwrap_or_default()
            });
            rosters.of.entry(bot).or_default().add(line, texts);
        }
        Ok(rosters)
    }
}

impl Roster {
    fn add(&mut self, line: Line, texts: Texts) {
        let words = Words::of_line(&line);
        self.lines.insert(line.phone, Served { chat: line.chat, texts, words });
    }

    /// A line of this bot.
    pub(crate) fn line(&self, phone: &Phone) -> Option<&Served> {
        self.lines.get(phone)
    }

    /// The numbers, in order.
    pub(crate) fn phones(&self) -> Vec<Phone> {
        self.lines.keys().cloned().collect()
    }

    /// In whose name the bot speaks where it is about no line: the first one's, or else nobody's, in the bot's own
    /// `language`.
    pub(crate) fn voice(&self, language: Language) -> Served {
        self.lines.values().next().cloned().unwrap_or_else(|| Served::nobody(language))
    }
}

impl Served {
    /// Nobody's: default texts, in a company without a name.
    pub(crate) fn nobody(language: Language) -> Self {
        let chat = Chat {
            bot: None,
            language,
            keypad: false,
            menu: Vec::new(),
            typed_digits: false,
            auto_answer: false,
            card: false,
            card_every: std::time::Duration::ZERO,
            card_contact: None,
            card_photo: None,
            call_back: None,
            company: String::new(),
        };
        Self { chat, texts: Texts::default(), words: Words::default() }
    }

    /// A text of the line. What the line knows itself is filled in.
    pub(crate) fn say(&self, key: TextKey, language: Language, words: Words) -> String {
        let Words { company, line, .. } = self.words.clone();
        self.texts.say(key, language, &Words { company, line, ..words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bot_has_its_own_lines_and_wrong_texts_are_told_and_harm_no_keypad() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        for (number, rest) in [
            (1, "bot = \"Acme_Bot\"\ncompany = \"Acme\"\n"),
            (2, "bot = \"acme_bot\"\n"),
            (3, "bot = \"other_bot\"\n"),
            (4, "bot = \"acme_bot\"\nenabled = false\n"),
            (5, ""),
        ] {
            let phone: Phone = format!("+7906000000{number}").parse().unwrap();
            let folder = state.make_phone_dir(&phone).unwrap();
            let text = format!("phone = \"{phone}\"\nsip_port = 3000{number}\npbx = \"127.0.0.1\"\n{rest}");
            std::fs::write(folder.join("line.toml"), text).unwrap();
        }
        let first: Phone = "+79060000001".parse().unwrap();
        std::fs::write(state.texts_file(&first), "[ru]\nkeypad = \"{weather}\"\n").unwrap();
        let rosters = Rosters::load(&state, |_| None).unwrap();
        let acme = &rosters.of[&"acme_bot".parse().unwrap()];
        assert_eq!(
            acme.phones().iter().map(Phone::as_str).collect::<Vec<_>>(),
            ["+79060000001", "+79060000002"]
        );
        assert_eq!(rosters.of.len(), 2);
        assert!(
            rosters.problems.len() == 1 && rosters.problems[0].en.contains("{weather}"),
            "{:?}",
            rosters.problems
        );
        let voice = acme.voice(Language::Russian);
        assert_eq!(voice.chat.language, Language::English);
        assert_eq!(voice.chat.company, "Acme");
        assert_eq!(
            voice.say(TextKey::Keypad, Language::Russian, Words::default()),
            "Введите внутренний номер абонента"
        );
        let russian = Roster::default().voice(Language::Russian);
        assert_eq!(russian, Served::nobody(Language::Russian));
        // Whoever mistypes a place while it runs changes nothing.
        let before = Texts::parse("[ru]\nkeypad = \"Номер?\"\n", std::path::Path::new("texts.toml")).unwrap();
        let rosters = Rosters::load(&state, |phone| (*phone == first).then(|| before.clone())).unwrap();
        let acme = &rosters.of[&"acme_bot".parse().unwrap()];
        let said = acme.line(&first).unwrap().say(TextKey::Keypad, Language::Russian, Words::default());
        assert_eq!(said, "Номер?");
    }
}
