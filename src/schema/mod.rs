//! What the fields of a system's events are called, and whether a line is an event at all.
//!
//! A [`Checker`] belongs to one forwarder's reading of one source. It makes one pass over a line and keeps no
//! more of it than its reader [`Needs`]: where nothing is filtered and JSON goes out as it came, only validity
//! is judged.

pub mod chainloop;
pub mod connect;
mod facts;
mod field;
pub mod generic;
pub mod infrakitchen;
pub mod konnect;
pub mod kubernetes;
mod layout;
mod system;
pub mod vault;

pub use facts::Facts;
pub use field::{Field, FieldSet};
pub use system::{Place, System};

use self::{facts::Record, layout::Layout};
use crate::{
    config,
    event::{CefFields, Event, Fields, Form, Invalid, Json, Nothing, scan},
};

/// What a forwarder must know of an event. Each needs what those before it need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Only that it is one.
    Validity,
    /// Its type.
    Type,
    /// Its type and these fields.
    Fields(FieldSet),
    /// Every field, every place of its system, and all its outermost members.
    Members,
}

impl Needs {
    /// What two readers need together.
    #[must_use]
    pub fn max(self, other: Needs) -> Needs {
        match (self, other) {
            (Needs::Members, _) | (_, Needs::Members) => Needs::Members,
            (Needs::Validity, needs) | (needs, Needs::Validity) => needs,
            (Needs::Type, Needs::Type) => Needs::Type,
            _ => Needs::Fields(self.fields().union(other.fields())),
        }
    }

    fn fields(self) -> FieldSet {
        match self {
            Needs::Validity | Needs::Type => FieldSet::EMPTY,
            Needs::Fields(fields) => fields,
            Needs::Members => Field::ALL.into_iter().collect(),
        }
    }
}

/// Turns lines into events.
#[derive(Debug)]
pub struct Checker {
    plan: Plan,
    needs: Needs,
    /// Whether a line of CEF is an event.
    takes_cef: bool,
    cef: CefFields,
    /// The event's type where it had to be unescaped or made.
    scratch: String,
}

#[derive(Debug)]
enum Plan {
    Raw,
    Validity,
    Facts { fields: Fields, layout: Layout, systems: &'static [System] },
}

impl Checker {
    /// For lines of a source without `fields` of its own.
    pub fn new(schema: config::Schema, needs: Needs) -> Checker {
        Checker::with(schema, &[], needs, &[])
    }

    /// `mapped` are the source's own pointers to fields. `asked` are JSON pointers for [`Facts::asked`]; where there
    /// are any, more than validity is needed.
    pub fn with(schema: config::Schema, mapped: &[(Field, String)], needs: Needs, asked: &[String]) -> Checker {
        let systems = systems(schema);
        let needs = if asked.is_empty() { needs } else { needs.max(Needs::Type) };
        let plan = match (schema, needs) {
            (config::Schema::Raw, _) => Plan::Raw,
            (_, Needs::Validity) => Plan::Validity,
            _ => {
                let (layout, paths) = Layout::new(systems, mapped, needs, asked);
                Plan::Facts { fields: Fields::new(paths, needs == Needs::Members), layout, systems }
            }
        };
        let takes_cef = matches!(schema, config::Schema::Auto | config::Schema::Konnect);
        Checker { plan, needs, takes_cef, cef: CefFields::default(), scratch: String::new() }
    }

    /// Judges one line, without its line end. A line of [`config::Schema::Raw`] is always an event.
    pub fn check<'a>(&'a mut self, line: &'a [u8]) -> Result<Event<'a>, Invalid> {
        if let Plan::Raw = self.plan {
            return Ok(Event { line, event_type: None, form: Form::Raw, facts: None });
        }
        let may_be_json = matches!(line.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
        if self.takes_cef && !may_be_json && memchr::memmem::find(line, b"CEF:").is_some() {
            let text = std::str::from_utf8(line).map_err(|error| Invalid::Utf8 { at: error.valid_up_to() })?;
            if self.cef.header(text) {
                return Ok(self.cef_event(text));
            }
        }
        let (fields, layout, systems) = match &mut self.plan {
            Plan::Facts { fields, layout, systems } => (fields, layout, *systems),
            _ => {
                let text = scan(line, &mut Nothing)?;
                let form = Form::Json(Json { text, fields: None });
                return Ok(Event { line, event_type: None, form, facts: None });
            }
        };
        fields.clear();
        let text = scan(line, fields)?;
        let facts = recognised(systems, Record::Json { text, fields }, layout);
        let event_type = facts.get(Field::Type, &mut self.scratch);
        Ok(Event { line, event_type, form: Form::Json(Json { text, fields: Some(fields) }), facts: Some(facts) })
    }

    /// The event that a line of CEF is, of which the header was found.
    fn cef_event<'a>(&'a mut self, text: &'a str) -> Event<'a> {
        let line = text.as_bytes();
        let Plan::Facts { layout, systems, .. } = &self.plan else {
            return Event { line, event_type: None, form: Form::Cef(self.cef.record(text)), facts: None };
        };
        let system = match *systems {
            [only] => *only,
            _ if is_konnect(&self.cef, text) => System::Konnect,
            _ => System::Generic,
        };
        if self.needs != Needs::Type || !layout.asks_nothing() {
            let known: Option<&[&str]> = if system == System::Konnect { Some(&konnect::KEYS) } else { None };
            self.cef.extension(text, known);
        }
        let record = self.cef.record(text);
        let facts = Facts { system, record: Record::Cef(record), layout };
        let event_type = facts.get(Field::Type, &mut self.scratch);
        Event { line, event_type, form: Form::Cef(record), facts: Some(facts) }
    }
}

fn is_konnect(cef: &CefFields, text: &str) -> bool {
    let record = cef.record(text);
    let (product, name) = (record.header(2).raw, record.header(5).raw);
    matches!(product, "Konnect" | "Dev-Portal") && (konnect::names_a_class(name) || record.header(1).raw == "KongInc")
}

/// The systems that a record of the schema can be of.
fn systems(schema: config::Schema) -> &'static [System] {
    use config::Schema as S;
    match schema {
        S::Auto => &System::ALL,
        S::Connect => &[System::Connect],
        S::Infrakitchen => &[System::InfraKitchen],
        S::Konnect => &[System::Konnect],
        S::Chainloop => &[System::Chainloop],
        S::Kubernetes => &[System::Kubernetes],
        S::Vault => &[System::Vault],
        S::Generic | S::Raw => &[System::Generic],
    }
}

/// The facts of a record of the first system whose record it is; of the last one where it is none's.
fn recognised<'a>(systems: &[System], record: Record<'a>, layout: &'a Layout) -> Facts<'a> {
    let facts = |system| Facts { system, record, layout };
    let (last, others) = systems.split_last().expect("a schema has a system");
    let known = others.iter().map(|&system| facts(system)).find(|facts| (facts.system().definition().is)(*facts));
    known.unwrap_or_else(|| facts(*last))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use config::Schema::{Auto, Generic, Raw};

    fn type_of(line: &str) -> Option<String> {
        let mut types = Checker::new(Generic, Needs::Type);
        let mut members = Checker::new(Auto, Needs::Members);
        let event_type = types.check(line.as_bytes()).unwrap().event_type.map(str::to_owned);
        assert_eq!(members.check(line.as_bytes()).unwrap().event_type, event_type.as_deref(), "{line}");
        event_type
    }

    #[test]
    fn the_event_type_is_the_first_by_preference_that_is_a_string() {
        assert_eq!(
            type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":"b","type":"a"}"#).unwrap(),
            "a"
        );
        assert_eq!(
            type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":"b","type":1}"#).unwrap(),
            "b"
        );
        assert_eq!(
            type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":null}"#).unwrap(),
            "c"
        );
        assert_eq!(type_of(r#"{"name":"f","event":"e","action":"d","eventType":["x"]}"#).unwrap(), "d");
        assert_eq!(type_of(r#"{"name":"f","event":"e","action":{"type":"x"}}"#).unwrap(), "e");
        assert_eq!(type_of(r#"{"name":"f","event":true}"#).unwrap(), "f");
        assert_eq!(type_of(r#"{"Type":"x","kind":"y"}"#), None);
    }

    #[test]
    fn only_the_outermost_object_has_the_type_and_other_values_have_none() {
        assert_eq!(type_of(r#"{"actor":{"type":"user"},"list":[{"type":"x"}],"text":"\"type\":\"fake\""}"#), None);
        for line in ["42", "\"type\"", "null", r#"[{"type":"x"}]"#, r#"[["type","x"]]"#] {
            assert_eq!(type_of(line), None, "{line}");
        }
    }

    #[test]
    fn disguised_and_repeated_names_are_seen_as_serde_json_sees_them() {
        assert_eq!(type_of(r#"{"t\u0079pe":"login"}"#).unwrap(), "login");
        assert_eq!(type_of(r#"{"type":"log\u0069n\n"}"#).unwrap(), "login\n");
        assert_eq!(type_of(r#"{"type":"first","type":"last"}"#).unwrap(), "last");
        assert_eq!(type_of(r#"{"type":"first","t\u0079pe":"last"}"#).unwrap(), "last");
        assert_eq!(type_of(r#"{"type":"first","name":"n","type":7}"#).unwrap(), "n");
    }

    #[test]
    fn many_members_hide_no_type() {
        let many: Vec<String> = (0..1000).map(|n| format!("\"m{n}\":{n}")).collect();
        assert_eq!(type_of(&format!("{{{},\"type\":\"last\"}}", many.join(","))).unwrap(), "last");
    }

    #[test]
    fn raw_lines_are_taken_as_they_are_and_others_must_be_json() {
        let line = b"not json \xff\0";
        let mut raw = Checker::new(Raw, Needs::Members);
        assert_eq!(raw.check(line).unwrap().line, line);
        for needs in [Needs::Validity, Needs::Type, Needs::Members] {
            assert_eq!(Checker::new(Auto, needs).check(line).unwrap_err(), Invalid::Utf8 { at: 9 });
            let cut = Checker::new(Auto, needs).check(b"{\"a\":1").unwrap_err();
            assert_eq!(cut.reason(), "invalid_json");
        }
    }

    #[test]
    fn a_repeated_name_is_counted_where_it_was_looked_for() {
        let line = br#"{"type":"x","a":1,"type":"y","a":2,"b":{"a":1,"a":2}}"#;
        for (needs, count) in [(Needs::Validity, 0), (Needs::Type, 1), (Needs::Members, 2)] {
            let mut checker = Checker::new(Generic, needs);
            assert_eq!(checker.check(line).unwrap().repeated_names(), count, "{needs:?}");
        }
    }

    #[test]
    fn a_checker_remembers_nothing_of_the_line_before() {
        let mut checker = Checker::new(Generic, Needs::Members);
        assert_eq!(checker.check(br#"{"type":"x","a":1,"a":2}"#).unwrap().event_type, Some("x"));
        checker.check(br#"{"type":"y","#).unwrap_err();
        let event = checker.check(br#"{"b":1}"#).unwrap();
        assert_eq!(event.event_type, None);
        let Form::Json(Json { fields: Some(fields), .. }) = event.form else { panic!("checked with members") };
        assert_eq!((fields.members().unwrap().len(), fields.repeated()), (1, 0));
    }
}
