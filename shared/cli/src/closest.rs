//! The name that was probably meant.

/// Words longer than this are no misspelt names, and would take long to compare.
const MAX_LEN: usize = 64;

/// The name that `word` is most likely a misspelling of, the first of several; none when no name
/// is near. Case does not matter, and `_` is `-`.
///
/// A word of three letters or more that only one name begins with stands for that name. Otherwise a
/// third of the longer one's letters may be wrong, missing, superfluous or swapped, but never all.
pub fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_LEN {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    let mut best: Option<(usize, &str)> = None;
    let mut begins = Vec::new();
    for name in names {
        if word.len() >= 3 && name.starts_with(&word) && !begins.contains(&name) {
            begins.push(name);
        }
        let longer = word.chars().count().max(name.chars().count());
        let distance = strsim::osa_distance(&word, name);
        let is_near = distance <= longer.max(3) / 3 && distance < longer;
        if is_near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    match begins[..] {
        [only] if best.is_none_or(|(distance, _)| distance > 0) => Some(only),
        _ => best.map(|(_, name)| name),
    }
}

/// The end of a message about a name that is none: ` (did you mean NAME?)`, or nothing.
pub fn hint(meant: Option<&str>) -> String {
    meant.map_or(String::new(), |name| format!(" (did you mean {name}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = [
        "all",
        "main",
        "object",
        "object-server",
        "object-replicator",
        "start",
        "status",
    ];

    #[test]
    fn a_misspelt_name_is_recognised() {
        for (word, meant) in [
            ("objct", "object"),
            ("obejct", "object"),
            ("Object", "object"),
            ("OBJECT_SERVER", "object-server"),
            ("object-repl", "object-replicator"),
            ("swift-object-server", "object-server"),
            ("mian", "main"),
            ("al", "all"),
            ("stat", "status"),
            ("strat", "start"),
            ("stats", "status"),
        ] {
            assert_eq!(closest(word, NAMES), Some(meant), "{word}");
        }
    }

    #[test]
    fn nonsense_is_like_nothing() {
        let long = "object".repeat(1000);
        for word in ["", "x", "zz", "nonsense", "elephant", "sta", &long] {
            let meant = closest(word, NAMES);
            assert_eq!(meant, None, "{word}");
        }
    }

    #[test]
    fn no_word_of_one_or_two_letters_is_all_wrong() {
        assert_eq!(closest("9", ["1", "2"]), None);
        assert_eq!(closest("12", ["1", "2"]), Some("1"));
    }
}
