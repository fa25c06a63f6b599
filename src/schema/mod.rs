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
mod tests;
