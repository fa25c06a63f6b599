//! Any bytes under any schema and need: no panic, and a field asked for alone is the same as among all.
#![no_main]

use auditpost::internals::{Checker, Field, FieldSet, Needs, Schema, connect};
use libfuzzer_sys::fuzz_target;

const SCHEMAS: [Schema; 9] = [
    Schema::Auto,
    Schema::Connect,
    Schema::Infrakitchen,
    Schema::Konnect,
    Schema::Chainloop,
    Schema::Kubernetes,
    Schema::Vault,
    Schema::Generic,
    Schema::Raw,
];

fuzz_target!(|line: &[u8]| {
    let asked = ["/a".to_owned(), "/actor/id".to_owned()];
    let (mut scratch, mut other) = (String::new(), String::new());
    for schema in SCHEMAS {
        let valid = Checker::new(schema, Needs::Validity).check(line).is_ok();
        let mut all = Checker::with(schema, &[(Field::Id, "/a".to_owned())], Needs::Members, &asked);
        let Ok(event) = all.check(line) else {
            assert!(!valid, "what is needed of a line does not change whether it is an event");
            continue;
        };
        assert!(valid && event.line == line);
        let Some(facts) = event.facts else { continue };
        let _ = (facts.asked(0), facts.asked(1), facts.any_other_type(&mut scratch, &mut |_| false));
        let mut plain = Checker::new(schema, Needs::Members);
        let plain = plain.check(line).expect("it is an event").facts.expect("its members were asked for");
        for field in Field::ALL {
            let mut one = Checker::new(schema, Needs::Fields(FieldSet::EMPTY.with(field)));
            let one = one.check(line).expect("it is an event").facts.expect("a field was asked for");
            assert_eq!(one.get(field, &mut scratch), plain.get(field, &mut other), "{field}");
        }
        if let Some(data) = plain.at(connect::DATA) {
            connect::decode_data(data.raw, &mut scratch);
        }
    }
});
