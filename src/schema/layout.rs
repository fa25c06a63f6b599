//! Which places one checker looks for, compiled for its one pass.
//!
//! The common names of [`generic`] stand first where all members are wanted, under their own indexes; behind them
//! the source's own `fields` and a filter's pointers; behind these the places of the systems that a record can be of.

use std::ops::Range;

use super::{
    Field, FieldPlace, FieldSet, Needs, System, generic,
    system::{Definition, FieldSource},
};
use crate::scan::PointerSet;

#[derive(Debug, Default)]
pub struct Layout {
    /// For each system and each of its places, the pointers it may be at.
    places: [Vec<Range<usize>>; System::ALL.len()],
    /// The source's own pointers to fields.
    mapped: Vec<(Field, usize, String)>,
    /// The filter's own pointers.
    asked: Vec<(usize, String)>,
}

impl Layout {
    /// For records of any of `systems`.
    pub fn new(
        systems: &[System],
        mapped: &[(Field, String)],
        needs: Needs,
        asked: &[String],
    ) -> (Layout, PointerSet) {
        let mut layout = Layout::default();
        let mut pointers: Vec<&str> = if needs == Needs::Members { generic::pointers() } else { Vec::new() };
        for (field, pointer) in mapped {
            if *field == Field::Type || needs == Needs::Members || needs.fields().has(*field) {
                layout.mapped.push((*field, pointers.len(), pointer.clone()));
                pointers.push(pointer);
            }
        }
        for pointer in asked {
            layout.asked.push((pointers.len(), pointer.clone()));
            pointers.push(pointer);
        }
        for &system in systems {
            let definition = system.definition();
            let wanted = wanted(definition, systems.len() > 1, needs);
            let places = &mut layout.places[system as usize];
            for (alternatives, wanted) in definition.pointers.iter().zip(wanted) {
                let start = pointers.len();
                if wanted {
                    pointers.extend(*alternatives);
                }
                places.push(start..pointers.len());
            }
        }
        (layout, PointerSet::new(&pointers))
    }

    /// The indexes of the pointers that the place may be at; none where nobody asked for it.
    pub(super) fn pointers(&self, place: FieldPlace) -> Range<usize> {
        self.places[place.system as usize].get(usize::from(place.index)).cloned().unwrap_or_default()
    }

    /// The source's own pointer to the field, and its index.
    pub(super) fn mapped(&self, field: Field) -> Option<(usize, &str)> {
        let mut mapped = self.mapped.iter();
        mapped.find(|(mapped, ..)| *mapped == field).map(|(_, index, pointer)| (*index, pointer.as_str()))
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn asked(&self, number: usize) -> Option<(usize, &str)> {
        self.asked.get(number).map(|(index, pointer)| (*index, pointer.as_str()))
    }
}

/// For each place of the system, whether it is to be looked for.
fn wanted(definition: &Definition, recognise: bool, needs: Needs) -> Vec<bool> {
    let mut wanted = vec![needs == Needs::Members; definition.pointers.len()];
    let mut want = |places: &[FieldPlace]| places.iter().for_each(|place| wanted[usize::from(place.index)] = true);
    if recognise {
        want(definition.marks);
    }
    want((definition.field)(Field::Type).places());
    want(definition.also.0);
    let fields: FieldSet = needs.fields();
    for field in Field::ALL.into_iter().filter(|field| fields.has(*field)) {
        let origin: FieldSource = (definition.field)(field);
        want(origin.places());
    }
    wanted
}
