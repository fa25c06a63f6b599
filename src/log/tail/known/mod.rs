//! Content that is known is not delivered again, whatever file has it.
//!
//! | a new file | is told by | and then |
//! |---|---|---|
//! | is the old one with another birth (overlayfs' copy-up) | device and inode, and the old one's content | the life goes on in it |
//! | has all the content of one that lost its last name | every byte up to where that was seen | the life goes on in it |
//!
//! What always holds: a file whose old generation still has a name is a rotation, and the old one's life never goes on in
//! it. Fewer bytes than an anchor has prove little: where nothing else tells, such a file is read. A crash leaves what
//! the catalog says.

mod copied_up;
mod left_behind;
mod replaced;
mod same_bytes;

pub(super) use self::left_behind::LeftBehind;
