//! `tgtrunk-bot`: what people press in Telegram.

mod calls;
mod clock;
mod data;
mod flood;
mod gateway;
mod in_order;
mod keypad;
mod press;
mod recent;
mod telegram;

fn main() {}
