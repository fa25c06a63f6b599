//! A path in a file of ours: text where it is UTF-8, as nearly every path is; else its bytes.
//!
//! ```text
//! "/var/log/audit.log"        {"base64":"L3Zhci9sb2cv…"}
//! ```

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenPath {
    Text(PathBuf),
    Bytes { base64: String },
}

/// For `#[serde(with = "…")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => WrittenPath::Bytes { base64: STANDARD.encode(path.as_os_str().as_bytes()) }.serialize(serializer),
    }
}

/// The same in the other direction.
///
/// # Errors
/// Where it is neither text nor base64.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    match WrittenPath::deserialize(deserializer)? {
        WrittenPath::Text(path) => Ok(path),
        WrittenPath::Bytes { base64 } => {
            let bytes = STANDARD.decode(base64).map_err(D::Error::custom)?;
            Ok(OsString::from_vec(bytes).into())
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct PathHolder {
        #[serde(with = "super")]
        path: PathBuf,
    }

    #[test]
    fn a_path_comes_back_byte_for_byte() {
        for (bytes, written) in [
            (&b"/a/\xC3\xA9.log"[..], "{\"path\":\"/a/é.log\"}"),
            (b"/a/\xE9.log", "{\"path\":{\"base64\":\"L2Ev6S5sb2c=\"}}"),
        ] {
            let named = PathHolder { path: OsString::from_vec(bytes.to_vec()).into() };
            assert_eq!(serde_json::to_string(&named).unwrap(), written);
            assert_eq!(serde_json::from_str::<PathHolder>(written).unwrap(), named);
        }
        assert!(serde_json::from_str::<PathHolder>("{\"path\":{\"base64\":\"?\"}}").is_err());
    }
}
