// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scheduler flags: three bits with names that depend on the scheduler.

use crate::Failure;

const GENERAL: [&str; 3] = ["flag-1", "flag-2", "flag-3"];
const SH: [&str; 2] = ["sh-fallback", "sh-port"];
const MH: [&str; 2] = ["mh-fallback", "mh-port"];

/// Reads the comma list of `-b` for a scheduler; empty items are skipped.
///
/// The names come back in the order of their bits, the scheduler's own name where it has one.
///
/// # Errors
/// The first item that is unknown, or another scheduler's.
pub(crate) fn parse_flags(list: &[u8], scheduler: &str) -> Result<Vec<String>, Failure> {
    let mut bits = [false; 3];
    for item in list.split(|&byte| byte == b',').filter(|item| !item.is_empty()) {
        let at = |names: &[&str]| names.iter().position(|name| name.as_bytes() == item);
        let (bit, owner) = if let Some(bit) = at(&GENERAL) {
            (bit, None)
        } else if let Some(bit) = at(&SH) {
            (bit, Some("sh"))
        } else if let Some(bit) = at(&MH) {
            (bit, Some("mh"))
        } else {
            return Err(Failure::usage_quoting("invalid scheduler flag `", item, "'"));
        };
        if owner.is_some_and(|owner| owner != scheduler) {
            return Err(Failure::usage_quoting("incompatible scheduler flag `", item, "'"));
        }
        bits[bit] = true;
    }
    let name = |bit: usize| own_names(scheduler).get(bit).unwrap_or(&GENERAL[bit]);
    Ok((0..3).filter(|&bit| bits[bit]).map(|bit| (*name(bit)).to_owned()).collect())
}

/// Returns the flags as a listing names them: `sh` and `mh` have no name for the third.
pub(crate) fn listed_flags(flags: &[String], scheduler: &str) -> String {
    let mut names = saved_flags(flags, scheduler);
    if !own_names(scheduler).is_empty() {
        names.retain(|name| name != GENERAL[2]);
    }
    names.join(",")
}

/// Returns the flags as `-b` takes them, in the order of their bits.
pub(crate) fn saved_flags(flags: &[String], scheduler: &str) -> Vec<String> {
    parse_flags(flags.join(",").as_bytes(), scheduler).unwrap_or_else(|_| flags.to_vec())
}

fn own_names(scheduler: &str) -> &'static [&'static str] {
    match scheduler {
        "sh" => &SH,
        "mh" => &MH,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(list: &str, scheduler: &str) -> String {
        match parse_flags(list.as_bytes(), scheduler) {
            Ok(flags) => flags.join(","),
            Err(failure) => String::from_utf8(failure.message).unwrap(),
        }
    }

    #[test]
    fn flags_have_the_names_of_their_scheduler_in_the_order_of_bits() {
        assert_eq!(flags("sh-port,,sh-fallback,", "sh"), "sh-fallback,sh-port");
        assert_eq!(flags("flag-1,flag-3", "mh"), "mh-fallback,flag-3");
        assert_eq!(flags("flag-3,flag-1", "rr"), "flag-1,flag-3");
        assert_eq!(flags(",", "sh"), "");
        assert_eq!(listed_flags(&["flag-3".to_owned()], "mh"), "");
        assert_eq!(listed_flags(&["flag-3".to_owned()], "rr"), "flag-3");
    }

    #[test]
    fn unknown_and_foreign_flags_are_told_apart() {
        assert_eq!(flags("sh-port,foo", "sh"), "invalid scheduler flag `foo'\n");
        assert_eq!(flags("sh-port", "wlc"), "incompatible scheduler flag `sh-port'\n");
    }
}
