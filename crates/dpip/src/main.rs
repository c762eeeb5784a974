//! The command `dpip`.

fn main() {}
