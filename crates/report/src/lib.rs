//! HTML pages and SVG charts of what CLoVe found. Each is one file that needs no script and requests nothing.

pub mod lab;
