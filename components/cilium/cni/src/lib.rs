//! The CNI plugin: ADD, DEL, CHECK, STATUS and GC of CNI 1.1.
