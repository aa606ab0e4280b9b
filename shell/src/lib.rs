//! What the programs' shells share.
