//! Lines to events: one pass, which keeps no more than its reader needs.

use super::{Facts, Field, Needs, Schema, System, facts::ScannedRecord, konnect, layout::Layout};
use crate::{
    scan::{CefFields, Fields, Invalid, Nothing, scan},
    schema::{Event, EventForm, JsonEvent},
};

/// Turns lines into events.
#[derive(Debug)]
pub struct Checker {
    plan: CheckPlan,
    needs: Needs,
    /// Whether a line of CEF is an event.
    takes_cef: bool,
    only_json: bool,
    cef: CefFields,
    /// The event's type where it had to be unescaped or made.
    scratch: String,
}

#[derive(Debug)]
enum CheckPlan {
    Raw,
    Validity,
    Facts(Box<WantedFields>),
}

#[derive(Debug)]
struct WantedFields {
    fields: Fields,
    layout: Layout,
    /// What a record can be of; the last one takes all.
    systems: &'static [System],
}

impl Checker {
    /// For lines of a source without `fields` of its own.
    pub fn new(schema: Schema, needs: Needs) -> Checker {
        Checker::with(schema, &[], needs, &[])
    }

    /// `mapped` are the source's own pointers to fields. `asked` are JSON pointers for [`Facts::asked`]; where there
    /// are any, more than validity is needed.
    pub fn with(schema: Schema, mapped: &[(Field, String)], needs: Needs, asked: &[String]) -> Checker {
        let systems = systems(schema);
        let needs = if asked.is_empty() { needs } else { needs.max(Needs::Type) };
        let plan = match (schema, needs) {
            (Schema::Raw, _) => CheckPlan::Raw,
            (_, Needs::Validity) => CheckPlan::Validity,
            _ => {
                let (layout, paths) = Layout::new(systems, mapped, needs, asked);
                let fields = Fields::new(paths, needs == Needs::Members);
                CheckPlan::Facts(Box::new(WantedFields { fields, layout, systems }))
            }
        };
        let takes_cef = matches!(schema, Schema::Auto | Schema::Konnect);
        Checker { plan, needs, takes_cef, only_json: false, cef: CefFields::default(), scratch: String::new() }
    }

    /// Whether it passes over lines that are no JSON object, nor CEF where that is an event.
    #[must_use]
    pub fn only_json(self, only_json: bool) -> Checker {
        Checker { only_json, ..self }
    }

    /// Whether a line is no event by its beginning. What begins as an event and is none is not passed over.
    pub fn passes_over(&self, line: &[u8]) -> bool {
        let begins_as_one = || {
            line.trim_ascii_start().first() == Some(&b'{')
                || self.takes_cef && memchr::memmem::find(line, b"CEF:").is_some()
        };
        self.only_json && !begins_as_one()
    }

    /// Judges one line, without its line end. A line of [`Schema::Raw`] is always an event.
    pub fn check<'a>(&'a mut self, line: &'a [u8]) -> Result<Event<'a>, Invalid> {
        if let CheckPlan::Raw = self.plan {
            return Ok(Event { line, event_type: None, form: EventForm::Raw, facts: None });
        }
        let may_be_json = matches!(line.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
        if self.takes_cef && !may_be_json && memchr::memmem::find(line, b"CEF:").is_some() {
            let text = std::str::from_utf8(line).map_err(|error| Invalid::Utf8 { at: error.valid_up_to() })?;
            if self.cef.header(text) {
                return Ok(self.cef_event(text));
            }
        }
        let CheckPlan::Facts(wanted) = &mut self.plan else {
            let text = scan(line, &mut Nothing)?;
            let form = EventForm::Json(JsonEvent { text, fields: None });
            return Ok(Event { line, event_type: None, form, facts: None });
        };
        let WantedFields { fields, layout, systems } = &mut **wanted;
        fields.clear();
        let text = scan(line, fields)?;
        let facts = recognised(systems, ScannedRecord::Json { text, fields }, layout);
        let event_type = facts.get(Field::Type, &mut self.scratch);
        Ok(Event {
            line,
            event_type,
            form: EventForm::Json(JsonEvent { text, fields: Some(fields) }),
            facts: Some(facts),
        })
    }

    /// The event that a line of CEF is, of which the header was found.
    fn cef_event<'a>(&'a mut self, text: &'a str) -> Event<'a> {
        let line = text.as_bytes();
        let CheckPlan::Facts(wanted) = &self.plan else {
            return Event { line, event_type: None, form: EventForm::Cef(self.cef.record(text)), facts: None };
        };
        let WantedFields { layout, systems, .. } = &**wanted;
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
        let facts = Facts { system, record: ScannedRecord::Cef(record), layout };
        let event_type = facts.get(Field::Type, &mut self.scratch);
        Event { line, event_type, form: EventForm::Cef(record), facts: Some(facts) }
    }
}

fn is_konnect(cef: &CefFields, text: &str) -> bool {
    let record = cef.record(text);
    let (product, name) = (record.header(2).raw, record.header(5).raw);
    matches!(product, "Konnect" | "Dev-Portal") && (konnect::names_a_class(name) || record.header(1).raw == "KongInc")
}

/// The systems that a record of the schema can be of.
fn systems(schema: Schema) -> &'static [System] {
    use Schema as S;
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
fn recognised<'a>(systems: &[System], record: ScannedRecord<'a>, layout: &'a Layout) -> Facts<'a> {
    let facts = |system| Facts { system, record, layout };
    let (last, others) = systems.split_last().expect("a schema has a system");
    let known = others.iter().map(|&system| facts(system)).find(|facts| (facts.system().definition().is)(*facts));
    known.unwrap_or_else(|| facts(*last))
}
