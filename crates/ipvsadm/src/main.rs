//! The command `ipvsadm`.

fn main() {}
