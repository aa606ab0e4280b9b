//! `tgtrunk-bot`: what people press in Telegram.

mod calls;
mod clock;
mod data;
mod flood;
mod gateway;
mod in_order;
mod keypad;
mod keys;
mod languages;
mod notices;
mod press;
mod recent;
mod store;
mod telegram;

fn main() {}
