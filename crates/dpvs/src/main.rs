//! The command `dpvs`.

fn main() {}
