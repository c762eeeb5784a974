// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers as C's `strtol` and `atoi` read them, in base 10.

/// Reads a whole text as `strtol` does: blanks and a sign may lead, nothing may follow.
pub(crate) fn strtol(text: &[u8]) -> Option<i64> {
    let text = skip_blanks(text);
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a whole text as a number in a range.
pub(crate) fn number_in(text: &[u8], min: u32, max: u32) -> Option<u32> {
    let number = u32::try_from(strtol(text)?).ok()?;
    (min..=max).contains(&number).then_some(number)
}

/// Reads the number that a text starts with; 0 if it starts with none.
pub(crate) fn atoi(text: &[u8]) -> i64 {
    let text = skip_blanks(text);
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix(b"+").unwrap_or(text)),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |sum, b| sum.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    if negative { -magnitude } else { magnitude }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// Tells whether C's `isspace` holds.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strtol_takes_blanks_and_signs_in_front_only() {
        assert_eq!(strtol(b" +010"), Some(10));
        assert_eq!(strtol(b"-1"), Some(-1));
        for bad in [&b""[..], b"+", b"1.5", b"1 ", b"0x10", b"99999999999999999999"] {
            assert_eq!(strtol(bad), None);
        }
    }

    #[test]
    fn atoi_stops_at_the_first_letter() {
        assert_eq!(atoi(b" 64abc"), 64);
        assert_eq!(atoi(b"x"), 0);
        assert_eq!(atoi(b"99999999999999999999"), i64::MAX);
    }
}
