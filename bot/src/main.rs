//! `tgtrunk-bot`: what people press in Telegram.

mod clock;
mod telegram;

fn main() {}
