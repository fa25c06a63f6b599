//! Which file is which: what the paths name, whether a life still has its bytes, and where they are otherwise.

mod content;
mod copies;
mod empty_paths;
mod listing;
mod missed;
mod named;
mod new_file;
mod rotated_name;

pub(super) use self::{
    copies::original_paths,
    empty_paths::{EmptyPaths, empty_paths_to_keep},
    listing::Listings,
    named::Named,
    new_file::{NewFile, is_compressed},
};
