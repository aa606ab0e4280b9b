//! `tgtrunk-bot`: what people press in Telegram.

fn main() {}
