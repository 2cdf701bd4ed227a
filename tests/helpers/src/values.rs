//! Values of a config: the usual ones, but for some.

/// The lines `KEY = VALUE` of these values, of which `changes` replaces or adds some.
pub fn lines_of(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let mut values = usual.to_vec();
    for change in changes {
        match values.iter_mut().find(|(known, _)| *known == change.0) {
            Some(place) => *place = *change,
            None => values.push(*change),
        }
    }
    let lines = values.iter().map(|(key, value)| format!("{key} = {value}"));
    lines.collect::<Vec<_>>().join("\n")
}
