//! The keys of the CEF dictionary that a sender may set, with what each can hold.
//!
//! Left out are the keys of consumers (connectors and the SIEM itself set those), zones, and the labels of custom
//! fields, which are written with their field or not at all.
//!
//! Source: ArcSight "CEF Implementation Standard" (document version 27) with the additions of CEF 1.2. `c6a2` is
//! missing from its table and named by its section on IPv6.

/// What a key can hold. Lengths count characters of the value as a reader gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CefValueKind {
    /// A longer text is cut.
    Text(usize),
    /// A longer text is left out: an id of which the end is missing names something else.
    Id(usize),
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    Double,
    /// Milliseconds since 1970.
    Time,
    /// IPv4 by the letter; readers take either family, and so does this.
    Address,
    Ipv6,
    Mac,
}

macro_rules! dictionary {
    ($($variant:ident $name:ident $kind:ident $(($max:literal))?,)*) => {
        /// A key of the dictionary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CefKey {
            $($variant,)*
        }

        /// In the order of their names' bytes, which is that of the variants.
        const TABLE: &[(CefKey, &str, CefValueKind)] = &[$((CefKey::$variant, stringify!($name), CefValueKind::$kind $(($max))?),)*];
    };
}

dictionary! {
    Act act Text(63),
    App app Text(31),
    C6a1 c6a1 Ipv6,
    C6a2 c6a2 Ipv6,
    C6a3 c6a3 Ipv6,
    C6a4 c6a4 Ipv6,
    Cat cat Text(1023),
    Cfp1 cfp1 Double,
    Cfp2 cfp2 Double,
    Cfp3 cfp3 Double,
    Cfp4 cfp4 Double,
    Cn1 cn1 Long,
    Cn2 cn2 Long,
    Cn3 cn3 Long,
    Cnt cnt Integer,
    Cs1 cs1 Text(4000),
    Cs2 cs2 Text(4000),
    Cs3 cs3 Text(4000),
    Cs4 cs4 Text(4000),
    Cs5 cs5 Text(4000),
    Cs6 cs6 Text(4000),
    DestinationDnsDomain destinationDnsDomain Text(255),
    DestinationServiceName destinationServiceName Text(1023),
    DestinationTranslatedAddress destinationTranslatedAddress Address,
    DestinationTranslatedPort destinationTranslatedPort Integer,
    DeviceCustomDate1 deviceCustomDate1 Time,
    DeviceCustomDate2 deviceCustomDate2 Time,
    DeviceDirection deviceDirection Integer,
    DeviceDnsDomain deviceDnsDomain Text(255),
    DeviceExternalId deviceExternalId Id(255),
    DeviceFacility deviceFacility Text(1023),
    DeviceInboundInterface deviceInboundInterface Text(128),
    DeviceNtDomain deviceNtDomain Text(255),
    DeviceOutboundInterface deviceOutboundInterface Text(128),
    DevicePayloadId devicePayloadId Text(128),
    DeviceProcessName deviceProcessName Text(1023),
    DeviceTranslatedAddress deviceTranslatedAddress Address,
    Dhost dhost Text(1023),
    Dmac dmac Mac,
    Dntdom dntdom Text(255),
    Dpid dpid Integer,
    Dpriv dpriv Text(1023),
    Dproc dproc Text(1023),
    Dpt dpt Integer,
    Dst dst Address,
    Dtz dtz Text(255),
    Duid duid Id(1023),
    Duser duser Text(1023),
    Dvc dvc Address,
    Dvchost dvchost Text(100),
    Dvcpid dvcpid Integer,
    End end Time,
    ExternalId externalId Id(40),
    FileCreateTime fileCreateTime Time,
    FileHash fileHash Id(255),
    FileId fileId Id(1023),
    FileModificationTime fileModificationTime Time,
    FilePath filePath Text(1023),
    FilePermission filePermission Text(1023),
    FileType fileType Text(1023),
    FlexDate1 flexDate1 Time,
    FlexString1 flexString1 Text(1023),
    FlexString2 flexString2 Text(1023),
    Fname fname Text(1023),
    FrameworkName frameworkName Text(256),
    Fsize fsize Integer,
    In in Integer,
    Msg msg Text(1023),
    OldFileCreateTime oldFileCreateTime Time,
    OldFileHash oldFileHash Id(255),
    OldFileId oldFileId Id(1023),
    OldFileModificationTime oldFileModificationTime Time,
    OldFileName oldFileName Text(1023),
    OldFilePath oldFilePath Text(1023),
    OldFilePermission oldFilePermission Text(1023),
    OldFileSize oldFileSize Integer,
    OldFileType oldFileType Text(1023),
    Out out Integer,
    Outcome outcome Text(63),
    Proto proto Text(31),
    Reason reason Text(1023),
    ReportedDuration reportedDuration Text(1023),
    ReportedResourceGroupName reportedResourceGroupName Text(128),
    ReportedResourceId reportedResourceID Id(256),
    ReportedResourceName reportedResourceName Text(64),
    ReportedResourceType reportedResourceType Text(64),
    Request request Text(1023),
    RequestClientApplication requestClientApplication Text(1023),
    RequestContext requestContext Text(2048),
    RequestCookies requestCookies Text(1023),
    RequestMethod requestMethod Text(1023),
    Rt rt Time,
    Shost shost Text(1023),
    Smac smac Mac,
    Sntdom sntdom Text(255),
    SourceDnsDomain sourceDnsDomain Text(255),
    SourceServiceName sourceServiceName Text(1023),
    SourceTranslatedAddress sourceTranslatedAddress Address,
    SourceTranslatedPort sourceTranslatedPort Integer,
    Spid spid Integer,
    Spriv spriv Text(1023),
    Sproc sproc Text(1023),
    Spt spt Integer,
    Src src Address,
    Start start Time,
    Suid suid Id(1023),
    Suser suser Text(1023),
    ThreatActor threatActor Text(40),
    ThreatAttackId threatAttackID Text(32),
    Type type Integer,
}

const _: () = assert!(TABLE.len() <= 128, "a bit for every key");

impl CefKey {
    /// The key of this name.
    pub fn find(name: &str) -> Option<CefKey> {
        TABLE.binary_search_by(|(_, known, _)| known.cmp(&name)).ok().map(|index| TABLE[index].0)
    }

    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    pub fn kind(self) -> CefValueKind {
        TABLE[self as usize].2
    }

    /// Whether its meaning is the sender's to give, in a label beside it. Some readers refuse one without the other.
    pub fn has_label(self) -> bool {
        ["cs", "cn", "cfp", "c6a", "deviceCustomDate", "flex"].iter().any(|start| {
            self.name().strip_prefix(start).is_some_and(|rest| rest.ends_with(|end: char| end.is_ascii_digit()))
        })
    }

    /// The greatest length of the label, in characters.
    pub fn label_max(self) -> usize {
        if self.name().starts_with("flex") { 128 } else { 1023 }
    }

    /// The names, for a suggestion.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, name, _)| *name)
    }
}

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CefKeySet(u128);

impl CefKeySet {
    pub fn add(&mut self, key: CefKey) {
        self.0 |= 1 << key as u32;
    }

    pub fn has(self, key: CefKey) -> bool {
        self.0 >> key as u32 & 1 == 1
    }
}

/// Names that no key of a sender's may have: readers put the header's fields and their own under them, and one
/// would overwrite the other.
pub const RESERVED: [&str; 18] = [
    "cefVersion",
    "deviceEventClassId",
    "deviceProduct",
    "deviceVendor",
    "deviceVersion",
    "device_event_class_id",
    "device_product",
    "device_vendor",
    "device_version",
    "event",
    "extension",
    "host",
    "message",
    "name",
    "severity",
    "tags",
    "timestamp",
    "version",
];

/// Names of the dictionary that connectors and the SIEM set.
pub const CONSUMERS: [&str; 18] = [
    "agentDnsDomain",
    "agentNtDomain",
    "agentTranslatedAddress",
    "agt",
    "ahost",
    "aid",
    "amac",
    "art",
    "at",
    "atz",
    "av",
    "dlat",
    "dlong",
    "eventId",
    "rawEvent",
    "slat",
    "slong",
    "customerURI",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_name_and_know_their_own() {
        for (index, (key, name, _)) in TABLE.iter().enumerate() {
            assert_eq!((*key as usize, CefKey::find(name)), (index, Some(*key)), "{name}");
        }
        assert_eq!(CefKey::find("suse"), None);
        assert_eq!(CefKey::find("cs1Label"), None);
        assert_eq!(CefKey::ExternalId.kind(), CefValueKind::Id(40));
        assert_eq!(CefKey::RequestContext.kind(), CefValueKind::Text(2048));
    }

    #[test]
    fn custom_fields_have_labels_and_no_others_do() {
        let labelled: Vec<&str> =
            TABLE.iter().filter(|(key, ..)| key.has_label()).map(|(_, name, _)| *name).collect();
        assert_eq!(
            labelled.join(" "),
            "c6a1 c6a2 c6a3 c6a4 cfp1 cfp2 cfp3 cfp4 cn1 cn2 cn3 cs1 cs2 cs3 cs4 cs5 cs6 deviceCustomDate1 \
             deviceCustomDate2 flexDate1 flexString1 flexString2"
        );
    }

    #[test]
    fn a_set_has_what_was_added() {
        let mut keys = CefKeySet::default();
        keys.add(CefKey::Type);
        keys.add(CefKey::Act);
        assert!(keys.has(CefKey::Type) && keys.has(CefKey::Act) && !keys.has(CefKey::Cs1));
    }
}
