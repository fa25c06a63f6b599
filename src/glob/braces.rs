//! `{a,b}`: one glob that stands for several.

use super::{GlobFault, LONGEST, MOST_BRANCHES};

/// Everything that a glob with braces stands for, in bash's order: each is a glob without. One that has no braces, or
/// none with a comma and a partner, stands for itself.
pub fn expand(glob: &str) -> Result<Vec<String>, GlobFault> {
    if glob.len() > LONGEST {
        return Err(GlobFault::TooLong);
    }
    alternatives(glob)
}

fn alternatives(text: &str) -> Result<Vec<String>, GlobFault> {
    let opening = text.match_indices('{').map(|(at, _)| at);
    let Some((at, group)) = opening.filter_map(|at| Some((at, group(&text[at..])?))).next() else {
        return Ok(vec![text.to_owned()]);
    };
    let behind = alternatives(&text[at + group.len..])?;
    let mut all = Vec::new();
    for choice in group.choices {
        for choice in alternatives(choice)? {
            // Each list has at least one member, so no list on the way is longer than the last.
            if all.len() + behind.len() > MOST_BRANCHES {
                return Err(GlobFault::TooManyBranches);
            }
            all.extend(behind.iter().map(|behind| format!("{}{choice}{behind}", &text[..at])));
        }
    }
    Ok(all)
}

/// A pair of braces with a comma between them.
struct BraceGroup<'t> {
    choices: Vec<&'t str>,
    /// From its opening brace to behind the closing one.
    len: usize,
}

/// The group that a text begins with.
fn group(text: &str) -> Option<BraceGroup<'_>> {
    let mut choices = Vec::new();
    let (mut depth, mut start) = (0, 1);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&text[start..at]);
                start = at + 1;
            }
            // Before the first comma it closes nothing, as in bash.
            '}' if depth == 1 && choices.is_empty() => {}
            '}' if depth == 1 => {
                choices.push(&text[start..at]);
                return Some(BraceGroup { choices, len: at + 1 });
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_what_bash_makes_of_them() {
        for (glob, expected) in [
            ("a", "a"),
            ("", ""),
            ("x{a,b}y", "xay xby"),
            ("{a,b}{c,d}", "ac ad bc bd"),
            ("{a,{b,c}}", "a b c"),
            ("/var/{log/a,lib}/*.log", "/var/log/a/*.log /var/lib/*.log"),
            ("{a,}x", "ax x"),
            ("{x}", "{x}"),
            ("{}", "{}"),
            ("{{a,b}}", "{a} {b}"),
            ("{x}{a,b}", "{x}a {x}b"),
            ("{a,b", "{a,b"),
            ("a,b}", "a,b}"),
            ("{a,{b,c}", "{a,b {a,c"),
            ("{a{b,c}", "{ab {ac"),
            ("{a,b}}", "a} b}"),
            ("{a},b}", "a} b"),
            ("{1..3}", "{1..3}"),
            ("é{ü,}", "éü é"),
        ] {
            assert_eq!(expand(glob).unwrap().join(" "), expected, "{glob}");
        }
    }

    #[test]
    fn many_braces_are_refused_at_once() {
        assert_eq!(expand(&"{a,b}".repeat(800)), Err(GlobFault::TooManyBranches));
        assert_eq!(expand(&"{a,b}".repeat(9)).unwrap().len(), 512);
        assert_eq!(expand(&"{".repeat(LONGEST)).unwrap().len(), 1);
        let nested = "{a,".repeat(900) + &"}".repeat(900);
        assert_eq!(expand(&nested).unwrap().len(), 901);
        assert_eq!(expand(&"{a,".repeat(2000)), Err(GlobFault::TooLong));
    }
}
