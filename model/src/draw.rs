//! Topologies as pictures: text, Mermaid, SVG.
//!
//! All three are made from the value alone. Text and SVG share one layout: namespaces are boxes in
//! columns, their links are lines in the boxes (ports below their bridge, children below a parent
//! of the same namespace), and what joins two boxes runs in the gutters between the columns.
//!
//! | module | idea |
//! |---|---|
//! | `blocks` | what stands in each box, line by line |
//! | `edges` | what joins links: cables, and children to parents |
//! | `layout` | where the boxes stand |
//! | `route` | where the lines between them run |
//! | [`ascii`], [`svg`], [`mermaid`] | the pictures |

mod ascii;
mod blocks;
mod edges;
mod layout;
mod mermaid;
mod route;
mod svg;

pub use ascii::ascii;
pub use mermaid::mermaid;
pub use svg::{STYLE, figure, svg};

#[cfg(test)]
mod tests;
