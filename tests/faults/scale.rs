//! Two thousand instances under a thousand descriptors.
