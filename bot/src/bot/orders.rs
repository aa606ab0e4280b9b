//! Calls that people and operators order by a button: looked at, answered, begun, and shown when they are over.

use tgtrunk_config::{Language, Phone, TextKey, UserId, Words};

use super::{Bot, Done};
use crate::call_back;
use crate::cards;
use crate::clock;
use crate::face::Face;
use crate::in_order::Turn;
use crate::notes::Note;
use crate::store::Asked;
use crate::telegram::{Open, Press};

/// A press that orders a call.
pub(super) struct Order {
    pub(super) update: u32,
    pub(super) press: Press,
    pub(super) line: Phone,
    pub(super) person: UserId,
    /// Whether an operator orders it; else the person does.
    pub(super) leads: bool,
    pub(super) open: Open,
}

impl Bot {
    /// Orders of one person are looked at one after another: whether anybody waits for one is known when it is answered.
    pub(super) fn wants_call(&mut self, order: Order) {
        match self.orders.push(order.press.person.id, order) {
            Turn::Now(order) => self.order(order),
            Turn::Waits => {}
            Turn::Full(_) => tracing::warn!("a press is not answered: too many of the same person wait"),
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        let (asker, mut next) = (order.press.person.id, Some(order));
        while let Some(order) = next {
            next = match self.refusal(&order) {
                None => return self.accept(order),
                Some(refusal) => {
                    let text = self.order_text(&order, refusal);
                    let desk = self.desk.clone();
                    self.spawn(async move { desk.answer(&order.press.id, &text, true).await });
                    self.orders.done(asker)
                }
            }
        }
    }

    /// Why a call is not placed.
    fn refusal(&mut self, order: &Order) -> Option<TextKey> {
        let asker = order.press.person.id;
        let may = if order.leads { self.desk.leads(&order.line, asker) } else { asker == order.person };
        let roster = self.desk.roster();
        if !may {
            Some(TextKey::NotYours)
        } else if roster.line(&order.line).is_none_or(|served| served.chat.call_back.is_none()) {
            Some(TextKey::CallBackFailed)
        } else if self.calling.contains(&order.person) || self.flood.ask(asker, clock::now()).is_err() {
            Some(TextKey::CallBackWait)
        } else {
            None
        }
    }

    fn order_text(&self, Order { press, line, .. }: &Order, key: TextKey) -> String {
        let served = self.desk.roster().line(line).cloned().unwrap_or_else(|| self.desk.voice());
        let (name, time) = (press.person.name.clone(), clock::time_of_day(clock::unix_ms()));
        served.say(key, self.order_language(press, line), Words { name, time, ..Words::default() })
    }

    fn order_language(&self, press: &Press, line: &Phone) -> Language {
        let own = press.person.language.or_else(|| self.desk.languages.of(press.person.id));
        let roster = self.desk.roster();
        own.unwrap_or_else(|| {
            roster.line(line).map_or_else(|| self.desk.voice().chat.language, |on| on.chat.language)
        })
    }

    /// Has a call placed, unless the press turns out to be an old one.
    fn accept(&mut self, order: Order) {
        let language = self.order_language(&order.press, &order.line);
        let text = if order.leads {
            cards::ordered(language).to_owned()
        } else {
            self.order_text(&order, TextKey::CallBackSoon)
        };
        let Order { update, press, line, person, leads, open } = order;
        let asker = press.person.id;
        let asked = Asked {
            key: hex::encode(clock::random::<16>()),
            person,
            operator: leads.then_some(asker),
            name: press.person.name,
            line,
            message: press.message.filter(|_| !leads),
            language,
            asked_ms: clock::unix_ms(),
            tries: 0,
            call: None,
            talked: false,
            outcome: None,
        };
        self.calling.insert(person);
        let desk = self.desk.clone();
        self.work.spawn(async move {
            desk.kept(desk.store.ask(&asked).await);
            desk.note(Note::Taken(update));
            drop(open);
            let is_waited_for = desk.is_waited_for(&press.id, &text).await;
            if !is_waited_for {
                tracing::info!("a press of long ago orders no call");
                desk.kept(desk.store.answered(&asked.key).await);
            }
            Done::Ordered { asker, asked: Box::new(asked), is_waited_for }
        });
    }

    /// Goes on with a call-back that is in the store.
    pub(super) fn call_back(&mut self, asked: Asked) {
        if let Some(before) = asked.message.as_ref().and_then(|message| self.showing.remove(message)) {
            before.abort();
        }
        self.calling.insert(asked.person);
        let desk = self.desk.clone();
        self.work.spawn(async move {
            let (asked, face) = call_back::run(&desk, asked).await;
            Done::CalledBack(Box::new(asked), face)
        });
    }

    /// Shows how a call-back ended.
    pub(super) fn show(&mut self, asked: Asked, face: Face) {
        let (desk, message) = (self.desk.clone(), asked.message.clone());
        let task = self.work.spawn(async move {
            call_back::show(&desk, &asked, face).await;
            Done::Told
        });
        self.showing.retain(|_, task| !task.is_finished());
        self.showing.extend(message.map(|message| (message, task)));
    }
}
