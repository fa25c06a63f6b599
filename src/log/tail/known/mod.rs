//! Content that is known is not delivered again, whatever file has it.
//!
//! | a new file | is told by | and then |
//! |---|---|---|
//! | is the old one with another birth (overlayfs' copy-up) | device and inode, and the old one's content | the life goes on in it |
//! | has all the content of one that lost its last name | every byte up to where that was seen | the life goes on in it |
//! | has a name made of another's, and only bytes that this one begins with | every byte; at rest for `sealAfter` | its life begins at its end |
//! | took the place of one of which it has the last bytes | the anchor of a cursor before some line end | its life begins behind them |
//!
//! What always holds: a file whose old generation still has a name is a rotation, and the old one's life never goes on in
//! it. Fewer bytes than an anchor has prove little: where nothing else tells, such a file is read. A crash leaves what
//! the catalog says.

mod anchors;
mod copied_up;
mod copy_of;
mod left_behind;
mod newer_part;
mod replaced;
mod same_bytes;

pub(super) use self::copy_of::LivesByLineage;
