//! The gloonet command line: status, render, explain, dump.
