//! `tgtrunk-client`: the account's other hand.

fn main() {}
