//! Who may do what to a conversation: pure decisions over its roster.
