//! The names that a file defines.

/// The structs, enums and traits of a file.
pub(super) fn types(code: &str) -> impl Iterator<Item = String> {
    code.lines().filter_map(|line| {
        let mut words = line.split_whitespace().peekable();
        while words.peek().is_some_and(|word| word.starts_with("pub") || word.ends_with(')')) {
            words.next();
        }
        let word = words.next().filter(|word| ["struct", "enum", "trait"].contains(word))?;
        let name: String = words.next()?.chars().take_while(|letter| letter.is_alphanumeric()).collect();
        (!name.is_empty() && !word.is_empty()).then_some(name)
    })
}

#[test]
fn types_are_found_whatever_their_visibility() {
    let code = "pub struct A<'a> {\n    pub(in crate::config) enum B;\nstruct C(u8);\n/// struct D\nlet structure = 1;\npub trait E:";
    assert_eq!(types(code).collect::<Vec<_>>(), ["A", "B", "C", "E"]);
}
