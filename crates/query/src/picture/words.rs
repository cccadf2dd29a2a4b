//! Class names as people write them in a sentence.

/// `AppVersion` is `app version`.
pub(crate) fn words(class: &str) -> String {
    let mut out = String::new();
    for letter in class.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// `AppVersion` is `app versions`, `Hypothesis` is `hypotheses`.
pub(crate) fn plural(class: &str) -> String {
    let one = words(class);
    if let Some(stem) = one.strip_suffix("is") {
        return format!("{stem}es");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => return format!("{stem}ies"),
        _ => {}
    }
    let hisses = ["s", "x", "ch", "sh"].iter().any(|end| one.ends_with(end));
    format!("{one}{}", if hisses { "es" } else { "s" })
}

/// `AppVersion` is `an app version`.
pub(crate) fn one(class: &str) -> String {
    let name = words(class);
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// `a, b and c`.
pub(crate) fn list(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A number with a thin space between thousands.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_are_written_as_words() {
        assert_eq!(plural("AppVersion"), "app versions");
        assert_eq!(plural("Hypothesis"), "hypotheses");
        assert_eq!(plural("Country"), "countries");
        assert_eq!(plural("Switch"), "switches");
        assert_eq!(plural("Playback"), "playbacks");
        assert_eq!(plural("Topic"), "topics");
        assert_eq!(plural("Display"), "displays");
        assert_eq!((one("Host"), one("Operation")), ("a host".to_owned(), "an operation".to_owned()));
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(list(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
    }
}
