//! Encoders and estimators over linfa, their evaluation, and freezing them into scoring functions
