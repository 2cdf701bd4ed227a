//! Numbers as Python reads them.

/// A text as Python's int() reads it. What is too large for us is large.
pub(super) fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let parts = digits.split('_');
    let is_good = |part: &str| !part.is_empty() && part.chars().all(char::is_numeric);
    if !parts.clone().all(is_good) {
        return None;
    }
    let plain: String = parts.collect();
    if !plain.is_ascii() {
        // Digits of other scripts are digits for Python too.
        return Some(1);
    }
    let value = plain.parse().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -value } else { value })
}

/// A text as Python's float() reads it, or a little more than that.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.is_ascii() {
        true => text.replace('_', "").parse().ok(),
        false => Some(1.0),
    }
}
