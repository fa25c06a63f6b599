//! Cofide Connect: `proto.audit.v1alpha1.Event` as protojson writes it, one object a line.
//!
//! Empty members are left out, spaces may stand anywhere, and a number stands where a reader's proto does not know an
//! enum's name yet. A rule calls a type by its lower-case tail (`trust_zone_creation`), as Connect's own Helm values do;
//! `EVENT_TYPE_TRUST_ZONE_CREATION` is the same type.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, SeqAccess, Visitor},
};

use super::{
    Facts, Field, FieldPlace,
    system::{Definition, FieldSource, NO_OTHER, places},
};

/// Every event type of the API's version `v1alpha1`, as a rule writes it.
pub const EVENT_TYPES: [&str; 34] = [
    "attestation_policy_creation",
    "attestation_policy_update",
    "attestation_policy_deletion",
    "attestation_policy_binding_creation",
    "attestation_policy_binding_update",
    "attestation_policy_binding_deletion",
    "cluster_creation",
    "cluster_update",
    "cluster_deletion",
    "cofide_agent_registration",
    "exchange_policy_creation",
    "exchange_policy_update",
    "exchange_policy_deletion",
    "federated_service_registration",
    "federated_service_update",
    "federated_service_deregistration",
    "federation_creation",
    "federation_deletion",
    "node_attestation",
    "node_deletion",
    "node_pruning",
    "role_binding_creation",
    "role_binding_update",
    "role_binding_deletion",
    "trust_zone_creation",
    "trust_zone_update",
    "trust_zone_deletion",
    "trust_zone_server_creation",
    "trust_zone_server_update",
    "trust_zone_server_deletion",
    "trust_zone_server_status_update",
    "workload_creation",
    "workload_deletion",
    "token_exchange",
];

places! { Connect;
    ID = ["/id"];
    OCCURRED_AT = ["/occurredAt", "/occurred_at"];
    TYPE = ["/type"];
    MESSAGE = ["/message"];
    /// An array of `{type, id}`: read it with [`primary`] and [`links`].
    LINKS = ["/links"];
    /// Base64 of JSON: read it with [`decode_data`].
    DATA = ["/data"];
    ACTOR = ["/actor"];
    SOURCE_IP = ["/sourceIp", "/source_ip"];
    OUTCOME = ["/outcome"];
    SERVER_VERSION = ["/serverVersion", "/server_version"];
}

const TYPE_PREFIX: &str = "EVENT_TYPE_";
const ENTITY_PREFIX: &str = "ENTITY_TYPE_";
const OUTCOME_PREFIX: &str = "OUTCOME_";

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[OCCURRED_AT, TYPE, ID],
    is: |facts| {
        let says = |place, start: &str| facts.scalar(place).is_some_and(|value| value.raw.starts_with(start));
        facts.says(OCCURRED_AT)
            && facts.says(TYPE)
            && (says(TYPE, TYPE_PREFIX) || says(ID, "ae-") || EVENT_TYPES.iter().any(|name| facts.is(TYPE, name)))
    },
    field,
    also: NO_OTHER,
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Id => FieldSource::At(&[ID]),
        Field::Type => FieldSource::Made(&[TYPE], |facts, scratch| lower_tail(facts, TYPE, TYPE_PREFIX, scratch)),
        Field::Time => FieldSource::At(&[OCCURRED_AT]),
        Field::ActorId | Field::ActorName => FieldSource::At(&[ACTOR]),
        Field::ActorType => FieldSource::Made(&[ACTOR], actor_type),
        Field::SourceAddress => FieldSource::At(&[SOURCE_IP]),
        Field::Outcome => FieldSource::Made(&[OUTCOME], |facts, scratch| {
            lower_tail(facts, OUTCOME, OUTCOME_PREFIX, scratch).filter(|outcome| *outcome != "unspecified")
        }),
        Field::Reason => FieldSource::Made(&[DATA, OUTCOME], reason),
        Field::TargetType => FieldSource::Made(&[TYPE, LINKS], |facts, scratch| {
            let link = primary(facts)?;
            lower(tail(&link.kind, ENTITY_PREFIX), scratch)
        }),
        Field::TargetId => FieldSource::Made(&[TYPE, LINKS], |facts, scratch| said(primary(facts)?.id, scratch)),
        Field::Message => FieldSource::At(&[MESSAGE]),
        Field::OrganizationId => FieldSource::Made(&[LINKS], |facts, scratch| {
            let mut id = None;
            links(facts.at(LINKS)?.raw, |link| {
                if id.is_none() && tail(&link.kind, ENTITY_PREFIX).eq_ignore_ascii_case("organization") {
                    id = Some(link.id);
                }
            });
            said(id?, scratch)
        }),
        Field::Payload => FieldSource::Made(&[DATA], |facts, scratch| {
            let data = facts.scalar(DATA)?;
            if decode_data(data.raw, scratch) { Some(scratch) } else { Some(data.raw) }
        }),
        Field::ActorEmail
        | Field::TargetName
        | Field::TraceId
        | Field::RequestMethod
        | Field::RequestPath
        | Field::RequestStatus
        | Field::RequestQuery
        | Field::UserAgent => FieldSource::Nowhere,
    }
}

/// Something that the event is about.
#[derive(Debug, Deserialize)]
pub struct LinkedObject<'a> {
    /// `ENTITY_TYPE_…`.
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
}

/// Sets `into` to the JSON that the base64 of `data` is; false where it is not base64 of text.
pub fn decode_data(data: &str, into: &mut String) -> bool {
    into.clear();
    let mut bytes = std::mem::take(into).into_bytes();
    let decoded = STANDARD.decode_vec(data, &mut bytes);
    match String::from_utf8(bytes) {
        Ok(text) if decoded.is_ok() => {
            *into = text;
            true
        }
        _ => false,
    }
}

/// Tells `each` of the links in their order; `json` is the array. What is not as expected ends it.
pub fn links<'a>(json: &'a str, each: impl FnMut(LinkedObject<'a>)) {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // Whatever follows a link that has another form cannot be read either, and the record itself goes out verbatim.
    let _ = deserializer.deserialize_seq(Each(each));
}

/// The link that the event is mainly about: of those whose type begins the event's type that of the longest name,
/// or else the first that is not the organization.
pub fn primary(facts: Facts<'_>) -> Option<LinkedObject<'_>> {
    let event_type = facts.scalar(TYPE)?.raw;
    let event_type = tail(event_type, TYPE_PREFIX);
    let (mut best, mut first): (Option<LinkedObject<'_>>, Option<LinkedObject<'_>>) = (None, None);
    links(facts.at(LINKS)?.raw, |link| {
        let kind = tail(&link.kind, ENTITY_PREFIX);
        let begins = event_type.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
            && event_type.as_bytes().get(kind.len()) == Some(&b'_');
        if begins && best.as_ref().is_none_or(|best| best.kind.len() < link.kind.len()) {
            best = Some(link);
        } else if first.is_none() && !kind.eq_ignore_ascii_case("organization") {
            first = Some(link);
        }
    });
    best.or(first)
}

fn actor_type<'s>(facts: Facts<'s>, _: &'s mut String) -> Option<&'s str> {
    Some(match facts.scalar(ACTOR)?.raw {
        "system" => "system",
        "join-token" => "join-token",
        actor if actor.starts_with("spiffe:") => "workload",
        _ => "user",
    })
}

#[derive(Deserialize)]
struct Exchange<'a> {
    #[serde(borrow)]
    deny_reason: Cow<'a, str>,
}

/// Why a token exchange was denied.
fn reason<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    if facts.is(OUTCOME, "OUTCOME_SUCCESS") || !decode_data(facts.scalar(DATA)?.raw, scratch) {
        return None;
    }
    let exchange: Exchange<'_> = serde_json::from_str(scratch).ok()?;
    let reason = exchange.deny_reason.into_owned();
    *scratch = reason;
    (!scratch.is_empty()).then_some(scratch)
}

/// The text at a place without the prefix of its enum, in lower case.
fn lower_tail<'s>(facts: Facts<'s>, place: FieldPlace, prefix: &str, scratch: &'s mut String) -> Option<&'s str> {
    let value = facts.scalar(place)?;
    let mut unescaped = String::new();
    let text = value.text(&mut unescaped);
    match text.strip_prefix(prefix) {
        Some(tail) => lower(tail, scratch),
        None => facts.text(place, scratch),
    }
}

fn tail<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn lower<'s>(text: &str, scratch: &'s mut String) -> Option<&'s str> {
    scratch.clear();
    scratch.push_str(text);
    scratch.make_ascii_lowercase();
    (!scratch.is_empty()).then_some(scratch)
}

fn said<'s>(text: Cow<'s, str>, scratch: &'s mut String) -> Option<&'s str> {
    scratch.clear();
    scratch.push_str(&text);
    (!scratch.is_empty()).then_some(scratch)
}

struct Each<F>(F);

impl<'a, F: FnMut(LinkedObject<'a>)> Visitor<'a> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of links")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(link) = items.next_element_seed(FirstLink)? {
            (self.0)(link);
        }
        Ok(())
    }
}

struct FirstLink;

impl<'a> DeserializeSeed<'a> for FirstLink {
    type Value = LinkedObject<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<LinkedObject<'a>, D::Error> {
        LinkedObject::deserialize(deserializer)
    }
}
