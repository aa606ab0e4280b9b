//! What the pages look like: functions of what they show and the language they are read in.
