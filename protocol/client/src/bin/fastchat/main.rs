//! `fastchat`: FastChat for people, in a terminal and in scripts.

fn main() {}
