//! Servers that do what no server should.
