//! Numeric kernels of CLoVe. The crate `clove` calls them; nothing here reads files or knows of models.
//!
//! [`resample`] holds the antialiased resampling coefficients of image preprocessing, for host and device code alike.

pub mod resample;
