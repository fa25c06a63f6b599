//! Scalars that are more than a text: secrets, durations, sizes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::super::{Secret, units};

/// A text that nobody may see. `writeOnly` is JSON Schema's word for it.
pub(in crate::config) struct SecretText(pub(in crate::config) Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true})
    }
}

/// The keyword by which a schema says that a text is a duration or a size. JSON Schema's own `duration` is ISO 8601.
pub(in crate::config) const UNIT: &str = "x-unit";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Duration(pub(in crate::config) std::time::Duration);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        units::duration(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d)|.*\$\{.*)$",
            "description": "500ms, 5s, 1.5s, 2m, 1h, 1d",
            "x-unit": "duration",
        })
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        units::size(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": r"^([0-9]+|[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)|.*\$\{.*)$",
            "minimum": 0,
            "description": "64KiB, 1MB, 1.5MiB, or a number of bytes",
            "x-unit": "size",
        })
    }
}
