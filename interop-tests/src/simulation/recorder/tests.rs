//! Each check of the recorder can fail.
