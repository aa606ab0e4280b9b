//! Lamps: colour, shape and word together, so that none is needed to understand the others.

use maud::{Markup, html};
use tgtrunk_config::{Lamp, Light};

use crate::page::model::{Frame, LineCard, Part};
use crate::page::view::icons::Icon;
use crate::page::view::words::sentence;

/// What one program says of a line: its lamp, and all lights behind it.
#[derive(Clone, Debug)]
pub(crate) struct PartLamp<'t> {
    /// Which program.
    pub(crate) part: Part,
    /// The colour for all of it. None where the line does without: it has no bot.
    pub(crate) lamp: Option<Lamp>,
    /// The lights behind it, each with what it is about.
    pub(crate) lights: Vec<(About, &'t Light)>,
}

/// What a light is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The session of a user or of a bot.
    Telegram,
    /// The PBX.
    Pbx,
    /// The keypad of callers.
    Keypad,
    /// The bot's way to the gateway.
    Gateway,
}

/// The three lamps of a line.
pub(crate) fn of_line(card: &LineCard) -> [PartLamp<'_>; 3] {
    let gateway = vec![(About::Telegram, &card.gateway.telegram), (About::Pbx, &card.gateway.sip)];
    let client = vec![(About::Telegram, &card.client.telegram), (About::Keypad, &card.client.keypad)];
    let bot =
        card.bot.as_ref().map(|bot| vec![(About::Telegram, &bot.telegram), (About::Gateway, &bot.gateway)]);
    [
        PartLamp { part: Part::Gateway, lamp: Some(whole(&gateway)), lights: gateway },
        PartLamp { part: Part::Client, lamp: Some(whole(&client)), lights: client },
        PartLamp { part: Part::Bot, lamp: bot.as_deref().map(whole), lights: bot.unwrap_or_default() },
    ]
}

/// The colour that stands for several lights: the one that needs a person most. What is switched off beside a session that
/// runs is no trouble.
fn whole(lights: &[(About, &Light)]) -> Lamp {
    let lamps = || lights.iter().map(|(_, light)| light.lamp);
    if lights.first().is_some_and(|(_, light)| light.lamp == Lamp::Off) {
        return Lamp::Off;
    }
    [Lamp::Red, Lamp::Orange]
        .into_iter()
        .find(|wanted| lamps().any(|lamp| lamp == *wanted))
        .unwrap_or(Lamp::Green)
}

/// Whether everything a line needs is connected.
pub(crate) fn is_connected(card: &LineCard) -> bool {
    card.problem.is_none() && of_line(card).iter().all(|part| matches!(part.lamp, None | Some(Lamp::Green)))
}

/// What a program is called.
pub(crate) fn part_name(frame: &Frame, part: Part) -> &'static str {
    match part {
        Part::Gateway => frame.say("Шлюз", "Gateway"),
        Part::Client => frame.say("Клиент", "Client"),
        Part::Bot => frame.say("Бот", "Bot"),
    }
}

/// The word of a colour.
pub(crate) fn word(frame: &Frame, lamp: Lamp) -> &'static str {
    match lamp {
        Lamp::Green => frame.say("подключён", "connected"),
        Lamp::Orange => frame.say("ожидание", "waiting"),
        Lamp::Red => frame.say("нужен вход", "login needed"),
        Lamp::Off => frame.say("выключен", "off"),
    }
}

/// The class of a colour.
pub(crate) fn class(lamp: Lamp) -> &'static str {
    match lamp {
        Lamp::Green => "green",
        Lamp::Orange => "orange",
        Lamp::Red => "red",
        Lamp::Off => "off",
    }
}

/// The shape of a colour.
pub(crate) fn shape(lamp: Lamp) -> Icon {
    match lamp {
        Lamp::Green => Icon::Good,
        Lamp::Orange => Icon::Waiting,
        Lamp::Red => Icon::Bad,
        Lamp::Off => Icon::Off,
    }
}

/// A row of three lamps.
pub(crate) fn row(frame: &Frame, card: &LineCard) -> Markup {
    html! {
        div.lamps role="status" aria-live="polite" { @for part in of_line(card) { (one(frame, &part)) } }
    }
}

/// One program's lamp.
pub(crate) fn one(frame: &Frame, part: &PartLamp<'_>) -> Markup {
    let (class, shape, word) = match part.lamp {
        Some(lamp) => (class(lamp), shape(lamp), word(frame, lamp)),
        None => ("off", Icon::Off, frame.say("не задан", "none")),
    };
    html! {
        span.lamp.(class) data-part=(part.part.word()) data-lamp=(class) {
            (shape.draw())
            span.who { (part_name(frame, part.part)) }
            span.word { (word) }
        }
    }
}

/// The word of a colour for one light: in Russian it agrees with what it is of, and only a session needs a login.
fn word_about(frame: &Frame, about: About, lamp: Lamp) -> &'static str {
    match (about, lamp) {
        (About::Pbx, Lamp::Green) => frame.say("подключена", "connected"),
        (About::Pbx, Lamp::Off) => frame.say("выключена", "off"),
        (About::Keypad, Lamp::Green) => frame.say("готовы", "ready"),
        (About::Keypad, Lamp::Off) => frame.say("выключены", "off"),
        (About::Gateway, Lamp::Green) => frame.say("есть связь", "connected"),
        (About::Gateway, Lamp::Off) => frame.say("связи нет", "off"),
        (About::Pbx | About::Keypad | About::Gateway, Lamp::Red) => frame.say("нужна помощь", "help needed"),
        (_, lamp) => word(frame, lamp),
    }
}

/// A lamp of one light, with its name beside it.
pub(crate) fn single(frame: &Frame, name: &str, about: About, lamp: Lamp) -> Markup {
    html! {
        span.lamp.(class(lamp)) data-lamp=(class(lamp)) {
            (shape(lamp).draw())
            span.who { (name) }
            span.word { (word_about(frame, about, lamp)) }
        }
    }
}

/// Why something of a line is not green, told once for all programs that say the same.
#[derive(Clone, Debug)]
pub(crate) struct Reason<'t> {
    /// Who says it, as it begins the sentence.
    who: Vec<&'static str>,
    /// The first of those lights.
    pub(crate) light: &'t Light,
    /// The first of those programs.
    pub(crate) part: Part,
    /// What it is about.
    pub(crate) about: About,
}

impl Reason<'_> {
    /// The sentence.
    pub(crate) fn told(&self, frame: &Frame) -> String {
        let who = self.who.iter().enumerate().map(|(at, name)| {
            if at == 0 {
                (*name).to_owned()
            } else {
                format!("{}{}", frame.say(" и ", " and "), name.to_lowercase())
            }
        });
        let who: String = who.collect();
        let told = sentence(self.light.reason_in(frame.language));
        // "PBX: the PBX does not answer" would say it twice.
        if told.contains(&who) { told } else { format!("{who}: {}", lower_first(&told)) }
    }
}

/// All reasons of a line. Green says everything itself, and so does a light that is off beside a session that runs.
pub(crate) fn reasons<'t>(frame: &Frame, card: &'t LineCard) -> Vec<Reason<'t>> {
    let mut found: Vec<Reason<'t>> = Vec::new();
    for PartLamp { part, lights, .. } in of_line(card) {
        let is_there = lights.first().is_some_and(|(_, light)| light.lamp == Lamp::Green);
        for (about, light) in lights {
            // Without its account a client has no keypad either: that goes without saying.
            if about == About::Keypad && !is_there {
                continue;
            }
            let is_quiet = light.lamp == Lamp::Green || (light.lamp == Lamp::Off && about != About::Telegram);
            if is_quiet || light.reason_in(frame.language).is_empty() {
                continue;
            }
            let who = match about {
                About::Telegram => part_name(frame, part),
                About::Pbx => frame.say("АТС", "PBX"),
                About::Keypad => frame.say("Клавиши", "Keypad"),
                About::Gateway => frame.say("Связь бота со шлюзом", "Bot’s way to the gateway"),
            };
            let same = found.iter_mut().find(|other| {
                other.light.lamp == light.lamp
                    && other.light.reason == light.reason
                    && about == About::Telegram
            });
            match same {
                Some(other) => other.who.push(who),
                None => found.push(Reason { who: vec![who], light, part, about }),
            }
        }
    }
    found
}

/// The sentence after a colon. A word with a second capital letter keeps its first one: "API", "OPTIONS".
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next();
    if letters.clone().next().is_some_and(char::is_uppercase) || text.starts_with("Telegram") {
        return text.to_owned();
    }
    first.into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}
